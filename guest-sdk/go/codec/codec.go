// Package codec is the role that turns frames into events and back, for sources and sinks of the agent.
package codec

import (
	"millrace/plugin"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/wire"
)

// Codec decodes and encodes many frames per call.
type Codec interface {
	// Frame finds the frames at the beginning of a piece of a stream. What is left behind the last frame comes
	// again, with more behind it. An error closes the stream.
	Frame(stream []byte, atEnd bool, cut *Cut) error
	// Decode decodes whole frames, as Frame, or the source, cut them: all of them, in order.
	Decode(frames *plugin.Packed, decoded *Decoded) error
	// Encode adds one byte string for each event to out; they are written one after the other.
	Encode(batch *plugin.Batch, out *plugin.Packed) error
}

// Cut is what was found in a piece of a stream.
type Cut struct {
	// Ends has where each whole frame ends, strictly ascending.
	Ends []uint32
	// Wanted is how many bytes are needed at least before asking again makes sense; 0 where that is not known.
	Wanted uint32
}

// Decoded is the events of many frames. Call Events or Refuse once for each frame, in order.
type Decoded struct {
	events  plugin.Events
	counts  []uint32
	refused []wire.Refusal
}

// Events decodes a frame into events.
func (d *Decoded) Events(write func(events *plugin.Events)) {
	before := d.events.Len()
	write(&d.events)
	d.counts = append(d.counts, uint32(d.events.Len()-before))
}

// Event decodes a frame into one event; Header on the answer adds its headers.
func (d *Decoded) Event(body []byte) plugin.Entry {
	d.counts = append(d.counts, 1)
	return d.events.Add(body)
}

// Refuse sends a damaged frame to the dead-letter channel, with a reason.
func (d *Decoded) Refuse(reason string) {
	d.refused = append(d.refused, wire.Refusal{Row: uint32(len(d.counts)), Failure: *plugin.Reject(reason).Wire()})
	d.counts = append(d.counts, 0)
}

// Wire gives the columns, for the packages of this SDK.
func (d *Decoded) Wire() (*wire.PackedEvents, []uint32, []wire.Refusal) {
	return d.events.Wire(), d.counts, d.refused
}

func (d *Decoded) reset() {
	d.events.Reset()
	d.counts, d.refused = d.counts[:0], d.refused[:0]
}

// Export makes configure the maker of this component's plugin. Call it in an init function.
//
// C is a struct for the options, see plugin.ReadConfig. An error of configure may be plugin.Issues.
func Export[C any, P Codec](configure func(config C, instance plugin.Instance) (P, error)) {
	guest.Export("codec", configure)
}
