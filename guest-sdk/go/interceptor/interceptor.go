// Package interceptor is the role between a source and its channels: it drops, changes, splits, routes, rejects.
package interceptor

import (
	"millrace/plugin"
	"millrace/plugin/internal/guest"
)

// Interceptor looks at batches. A method Stop(within time.Duration) is called last, if there is one.
type Interceptor interface {
	// Intercept looks at one batch and notes what should change. It must be safe to repeat: after a fault the
	// same events come again, perhaps in smaller batches. Batch and edits are lent for this call.
	Intercept(batch *plugin.Batch, edits *plugin.Edits) error
}

// Export makes configure the maker of this component's plugin. Call it in an init function.
//
// C is a struct for the options, see plugin.ReadConfig. An error of configure may be plugin.Issues.
func Export[C any, P Interceptor](configure func(config C, instance plugin.Instance) (P, error)) {
	guest.Export("interceptor", configure)
}
