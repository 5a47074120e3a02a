//go:build !wasip1

// Package host is the border to the agent. On the machine where plugins are written there is no agent: batches
// then hold events of their own, and what the agent offers is played by Fake.
package host

import (
	"slices"

	"millrace/plugin/internal/wire"
)

// Batch is a batch that holds events of its own.
type Batch struct {
	Held     []wire.Event
	FormedNs uint64
}

// Count says how many events there are.
func (b Batch) Count() uint32 { return uint32(len(b.Held)) }

// BodyBytes gives the sum of the sizes of all bodies.
func (b Batch) BodyBytes() uint64 {
	var sum uint64
	for _, event := range b.Held {
		sum += uint64(len(event.Body))
	}
	return sum
}

// FormedAt gives nanoseconds since 1970.
func (b Batch) FormedAt() uint64 { return b.FormedNs }

// Bodies gives all bodies.
func (b Batch) Bodies() wire.Packed {
	var bodies wire.Packed
	for _, event := range b.Held {
		push(&bodies, event.Body)
	}
	return bodies
}

// BodiesOf gives some bodies.
func (b Batch) BodiesOf(rows []uint32) wire.Packed {
	var bodies wire.Packed
	for _, row := range rows {
		push(&bodies, b.Held[row].Body)
	}
	return bodies
}

// HeaderColumn gives one header of every event.
func (b Batch) HeaderColumn(name string) wire.HeaderColumn {
	var column wire.HeaderColumn
	for row := range b.Held {
		value, ok := b.Header(uint32(row), name)
		if !ok {
			column.Missing = append(column.Missing, uint32(row))
		}
		push(&column.Values, value)
	}
	return column
}

// HeaderNames gives the names that occur.
func (b Batch) HeaderNames() []string { return b.Headers().Names }

// Headers gives all headers of all events.
func (b Batch) Headers() wire.HeaderTable {
	var table wire.HeaderTable
	for _, event := range b.Held {
		table.Counts = append(table.Counts, uint32(len(event.Headers)))
		for _, header := range event.Headers {
			id := slices.Index(table.Names, header.Name)
			if id < 0 {
				id = len(table.Names)
				table.Names = append(table.Names, header.Name)
			}
			table.NameIDs = append(table.NameIDs, uint32(id))
			push(&table.Values, []byte(header.Value))
		}
	}
	return table
}

// Events gives everything.
func (b Batch) Events() wire.PackedEvents {
	return wire.PackedEvents{Headers: b.Headers(), Bodies: b.Bodies()}
}

// Body gives one body.
func (b Batch) Body(row uint32) []byte { return slices.Clone(b.Held[row].Body) }

// BodyPart gives a part of one body.
func (b Batch) BodyPart(row, start, length uint32) []byte {
	body := b.Held[row].Body
	start = min(start, uint32(len(body)))
	return slices.Clone(body[start:][:min(length, uint32(len(body))-start)])
}

// Header gives one header of one row.
func (b Batch) Header(row uint32, name string) ([]byte, bool) {
	for _, header := range b.Held[row].Headers {
		if header.Name == name {
			return []byte(header.Value), true
		}
	}
	return nil, false
}

// Event gives one event, copied.
func (b Batch) Event(row uint32) wire.Event {
	event := b.Held[row]
	return wire.Event{Headers: slices.Clone(event.Headers), Body: slices.Clone(event.Body)}
}

// Drop gives nothing back here.
func (b Batch) Drop() {}

func push(packed *wire.Packed, value []byte) {
	packed.Bytes = append(packed.Bytes, value...)
	packed.Ends = append(packed.Ends, uint32(len(packed.Bytes)))
}
