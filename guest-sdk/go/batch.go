package plugin

import (
	"time"

	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
)

// Batch is the events of one call. Rows count from 0. A row out of range ends the call.
//
// What comes as a pointer is read once and kept for the rest of the call; the others cost the same each time.
// Byte slices are lent: they are good until the call returns.
type Batch struct {
	lent       host.Batch
	bodies     Packed
	headers    Headers
	hasBodies  bool
	hasHeaders bool
}

// Lent wraps what the agent lends, for the packages of this SDK.
func (b *Batch) Lent(lent host.Batch) { *b = Batch{lent: lent} }

// Len says how many events there are; never 0.
func (b *Batch) Len() int { return int(b.lent.Count()) }

// BodyBytes says how many bytes all bodies have together.
func (b *Batch) BodyBytes() uint64 { return b.lent.BodyBytes() }

// FormedAt says when the agent formed the batch. It is the same when the batch is tried again.
func (b *Batch) FormedAt() time.Time { return time.Unix(0, int64(b.lent.FormedAt())).UTC() }

// Bodies gives all bodies, read with the first call.
func (b *Batch) Bodies() *Packed {
	if !b.hasBodies {
		b.bodies, b.hasBodies = packedFrom(b.lent.Bodies()), true
	}
	return &b.bodies
}

// BodiesOf gives the bodies of some rows, in the order asked for.
func (b *Batch) BodiesOf(rows []uint32) Packed { return packedFrom(b.lent.BodiesOf(rows)) }

// HeaderColumn gives one header of every event: the fast way to filter by it.
func (b *Batch) HeaderColumn(name string) HeaderColumn {
	column := b.lent.HeaderColumn(name)
	return HeaderColumn{Values: packedFrom(column.Values), Missing: column.Missing}
}

// HeaderNames gives the header names that occur, each once.
func (b *Batch) HeaderNames() []string { return b.lent.HeaderNames() }

// Headers gives all headers of all events, read with the first call.
func (b *Batch) Headers() *Headers {
	if !b.hasHeaders {
		b.headers, b.hasHeaders = headersFrom(b.lent.Headers()), true
	}
	return &b.headers
}

// Everything reads bodies and headers in one call, and gives both.
func (b *Batch) Everything() (*Packed, *Headers) {
	if !b.hasBodies && !b.hasHeaders {
		events := b.lent.Events()
		b.bodies, b.hasBodies = packedFrom(events.Bodies), true
		b.headers, b.hasHeaders = headersFrom(events.Headers), true
	}
	return b.Bodies(), b.Headers()
}

// Body gives the body of one row: a slice of Bodies if these have been read already.
func (b *Batch) Body(row int) []byte {
	if b.hasBodies {
		return b.bodies.At(row)
	}
	return b.lent.Body(uint32(row))
}

// BodyPart gives a part of the body of one row, cut short where the body ends.
func (b *Batch) BodyPart(row, start, length int) []byte {
	return b.lent.BodyPart(uint32(row), uint32(start), uint32(length))
}

// Header gives one header of one row, copied.
func (b *Batch) Header(row int, name string) (string, bool) {
	value, ok := b.lent.Header(uint32(row), name)
	return string(value), ok
}

// Event gives one whole event, copied.
func (b *Batch) Event(row int) Event {
	event := b.lent.Event(uint32(row))
	headers := make([]Header, len(event.Headers))
	for i, header := range event.Headers {
		headers[i] = Header(header)
	}
	return Event{Headers: headers, Body: event.Body}
}

// Header is the name and the value of one header.
type Header struct {
	Name  string
	Value string
}

// Event is one event by value.
type Event struct {
	Headers []Header
	Body    []byte
}

// NewEvent makes an event without headers.
func NewEvent(body string) Event { return Event{Body: []byte(body)} }

// With gives the event with one header more.
func (e Event) With(name, value string) Event {
	headers := append([]Header(nil), e.Headers...)
	return Event{Headers: append(headers, Header{name, value}), Body: e.Body}
}

// Header gives one header.
func (e Event) Header(name string) (string, bool) {
	for _, header := range e.Headers {
		if header.Name == name {
			return header.Value, true
		}
	}
	return "", false
}

// HeaderColumn is one header, chosen by name, of every event of a batch.
type HeaderColumn struct {
	// Values has one value per event; empty where the event has no such header.
	Values Packed
	// Missing has the rows without the header, ascending.
	Missing []uint32
}

// All walks through the rows that have the header.
func (c *HeaderColumn) All() func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		missing := c.Missing
		for row, value := range c.Values.All() {
			if len(missing) > 0 && int(missing[0]) == row {
				missing = missing[1:]
				continue
			}
			if !yield(row, value) {
				return
			}
		}
	}
}

// Headers is all headers of a list of events.
type Headers struct {
	// Names has the names that occur, each once.
	Names []string
	// NameIDs and Values have name and value of each header, event by event.
	NameIDs []uint32
	Values  Packed
	// starts has where the headers of each event begin, and one entry more.
	starts []uint32
}

// Len says how many events there are.
func (h *Headers) Len() int { return len(h.starts) - 1 }

// Row walks through the headers of one event.
func (h *Headers) Row(row int) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for i := h.starts[row]; i < h.starts[row+1]; i++ {
			if !yield(h.Names[h.NameIDs[i]], h.Values.At(int(i))) {
				return
			}
		}
	}
}

// Get gives one header of one event.
func (h *Headers) Get(row int, name string) ([]byte, bool) {
	for i := h.starts[row]; i < h.starts[row+1]; i++ {
		if h.Names[h.NameIDs[i]] == name {
			return h.Values.At(int(i)), true
		}
	}
	return nil, false
}

func headersFrom(table wire.HeaderTable) Headers {
	starts := make([]uint32, len(table.Counts)+1)
	for row, count := range table.Counts {
		starts[row+1] = starts[row] + count
	}
	return Headers{Names: table.Names, NameIDs: table.NameIDs, Values: packedFrom(table.Values), starts: starts}
}
