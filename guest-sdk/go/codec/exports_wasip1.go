package codec

import (
	"unsafe"

	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
)

// Used again with every call.
var (
	batch   plugin.Batch
	frames  plugin.Packed
	encoded plugin.Packed
	decoded Decoded
	cut     Cut
)

//go:wasmexport millrace:plugin/codec@0.1.0#frame
func frame(stream, streamLength, atEnd uint32) unsafe.Pointer {
	defer host.Guard()
	cut = Cut{Ends: cut.Ends[:0]}
	err := guest.Plugin.(Codec).Frame(host.BytesArgument(stream, streamLength), atEnd != 0, &cut)
	result := begin(err)
	if err == nil {
		result.Cut(cut.Ends, cut.Wanted)
	}
	return result.End()
}

//go:wasmexport millrace:plugin/codec@0.1.0#decode
func decode(bytes, bytesLength, ends, endsLength uint32) unsafe.Pointer {
	defer host.Guard()
	frames.Lent(host.BytesArgument(bytes, bytesLength), host.WordsArgument(ends, endsLength))
	decoded.reset()
	err := guest.Plugin.(Codec).Decode(&frames, &decoded)
	result := begin(err)
	if err == nil {
		result.Decoded(decoded.Wire())
	}
	return result.End()
}

//go:wasmexport millrace:plugin/codec@0.1.0#encode
func encode(lent uint32) unsafe.Pointer {
	defer host.Guard()
	batch.Lent(host.Batch(lent))
	encoded.Reset()
	err := guest.Plugin.(Codec).Encode(&batch, &encoded)
	host.Batch(lent).Drop()
	result := begin(err)
	if err == nil {
		result.Packed(encoded.Wire())
	}
	return result.End()
}

func begin(err error) *host.Result {
	result := host.Begin()
	if err != nil {
		result.Fail(plugin.FailureOf(err).Wire())
	}
	return result
}
