// Package sink is the role that takes events out.
package sink

import (
	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/wire"
)

// Sink delivers batches. A method Stop(within time.Duration) is called last, if there is one.
type Sink interface {
	// Deliver delivers a batch, or says why not. When it returns nil, the destination has all rows but those in
	// refused: the channel forgets them now. Batch and refused are lent for this call.
	Deliver(batch *plugin.Batch, delivery Delivery, refused *Refused) error
}

// Delivery says which batch this is.
type Delivery struct {
	// ID is unique across agents and restarts. The same ID always is the same events in the same order: it
	// serves as an idempotency key.
	ID string
	// Attempt is 1, then one more each time that the same ID is tried again.
	Attempt int
}

// Refused is the rows that the destination did not take.
type Refused struct{ list []wire.Refusal }

// Add notes a row. With plugin.Retry it comes again under another ID, with plugin.Reject it goes to the
// dead-letter channel. Rows must ascend.
func (r *Refused) Add(row int, why *plugin.Failure) {
	r.list = append(r.list, wire.Refusal{Row: uint32(row), Failure: *why.Wire()})
}

// Len says how many rows were noted.
func (r *Refused) Len() int { return len(r.list) }

// Wire gives the rows, for the packages of this SDK.
func (r *Refused) Wire() []wire.Refusal { return r.list }

// Export makes configure the maker of this component's plugin. Call it in an init function.
//
// C is a struct for the options, see plugin.ReadConfig. An error of configure may be plugin.Issues.
func Export[C any, P Sink](configure func(config C, instance plugin.Instance) (P, error)) {
	guest.Export("sink", configure)
}
