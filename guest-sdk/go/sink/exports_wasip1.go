package sink

import (
	"unsafe"

	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
)

// Used again with every call.
var (
	batch   plugin.Batch
	refused Refused
)

//go:wasmexport millrace:plugin/sink@0.1.0#deliver
func deliver(lent, id, idLength, attempt uint32) unsafe.Pointer {
	defer host.Guard()
	batch.Lent(host.Batch(lent))
	refused.list = refused.list[:0]
	delivery := Delivery{host.TextArgument(id, idLength), int(attempt)}
	err := guest.Plugin.(Sink).Deliver(&batch, delivery, &refused)
	host.Batch(lent).Drop()
	result := host.Begin()
	if err != nil {
		result.Fail(plugin.FailureOf(err).Wire())
	} else {
		result.Refused(refused.list)
	}
	return result.End()
}
