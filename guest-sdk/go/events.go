package plugin

import "millrace/plugin/internal/wire"

// Events is a list of events that is being built, as columns.
type Events struct {
	wire   wire.PackedEvents
	ids    map[string]uint32
	values Packed
	bodies Packed
}

// Len says how many events there are.
func (e *Events) Len() int { return e.bodies.Len() }

// Bytes says how many bytes the bodies have together.
func (e *Events) Bytes() int { return len(e.bodies.bytes) }

// Add adds an event; Header on the answer adds its headers.
func (e *Events) Add(body []byte) Entry {
	e.bodies.Push(body)
	return e.begun()
}

// AddText adds an event.
func (e *Events) AddText(body string) Entry {
	e.bodies.PushText(body)
	return e.begun()
}

// AddFunc adds an event whose body write appends to what it gets.
func (e *Events) AddFunc(write func(out []byte) []byte) Entry {
	e.bodies.PushFunc(write)
	return e.begun()
}

func (e *Events) begun() Entry {
	e.wire.Headers.Counts = append(e.wire.Headers.Counts, 0)
	return Entry{e}
}

// Reset empties the list and keeps its memory.
func (e *Events) Reset() {
	e.bodies.Reset()
	e.values.Reset()
	table := &e.wire.Headers
	table.Counts, table.NameIDs, table.Names = table.Counts[:0], table.NameIDs[:0], table.Names[:0]
	clear(e.ids)
}

// Wire gives the columns, for the packages of this SDK.
func (e *Events) Wire() *wire.PackedEvents {
	e.wire.Headers.Values, e.wire.Bodies = e.values.wire(), e.bodies.wire()
	return &e.wire
}

// Entry is the event that was added last.
type Entry struct{ events *Events }

// Header adds a header to the event. A name should occur once.
func (entry Entry) Header(name, value string) Entry {
	entry.named(name)
	entry.events.values.PushText(value)
	return entry
}

// HeaderBytes adds a header to the event; the value is UTF-8.
func (entry Entry) HeaderBytes(name string, value []byte) Entry {
	entry.named(name)
	entry.events.values.Push(value)
	return entry
}

func (entry Entry) named(name string) {
	e := entry.events
	table := &e.wire.Headers
	id, ok := e.ids[name]
	if !ok {
		if e.ids == nil {
			e.ids = map[string]uint32{}
		}
		id = uint32(len(table.Names))
		table.Names = append(table.Names, name)
		e.ids[name] = id
	}
	table.NameIDs = append(table.NameIDs, id)
	table.Counts[len(table.Counts)-1]++
}
