package source

import (
	"unsafe"

	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
)

// Used again with every call.
var events plugin.Events

//go:wasmexport millrace:plugin/source@0.1.0#open
func open(hasPosition, position, positionLength uint32) unsafe.Pointer {
	defer host.Guard()
	var from []byte
	if hasPosition != 0 {
		// Copied, because sources keep it; not nil, because nil means the beginning.
		from = append([]byte{}, host.BytesArgument(position, positionLength)...)
	}
	return finish(guest.Plugin.(Source).Open(from))
}

//go:wasmexport millrace:plugin/source@0.1.0#poll
func poll(eventsMax, bytesMax uint32) unsafe.Pointer {
	defer host.Guard()
	events.Reset()
	polled, err := guest.Plugin.(Source).Poll(Limits{int(eventsMax), int(bytesMax)}, &events)
	if err != nil {
		return finish(err)
	}
	result := host.Begin()
	result.Polled(events.Wire(), polled.Position, polled.Pace.kind, polled.Pace.afterMs)
	return result.End()
}

//go:wasmexport millrace:plugin/source@0.1.0#committed
func committed(position, positionLength uint32) unsafe.Pointer {
	defer host.Guard()
	committer, ok := guest.Plugin.(Committer)
	if !ok {
		return finish(nil)
	}
	return finish(committer.Committed(append([]byte{}, host.BytesArgument(position, positionLength)...)))
}

func finish(err error) unsafe.Pointer {
	result := host.Begin()
	if err != nil {
		result.Fail(plugin.FailureOf(err).Wire())
	}
	return result.End()
}
