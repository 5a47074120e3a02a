package interceptor

import (
	"unsafe"

	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
)

// Used again with every call.
var (
	batch plugin.Batch
	edits plugin.Edits
)

//go:wasmexport millrace:plugin/interceptor@0.1.0#intercept
func intercept(lent uint32) unsafe.Pointer {
	defer host.Guard()
	batch.Lent(host.Batch(lent))
	edits.Reset()
	err := guest.Plugin.(Interceptor).Intercept(&batch, &edits)
	host.Batch(lent).Drop()
	result := host.Begin()
	if err != nil {
		result.Fail(plugin.FailureOf(err).Wire())
	} else {
		result.Edits(edits.Wire())
	}
	return result.End()
}
