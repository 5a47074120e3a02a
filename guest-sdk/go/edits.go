package plugin

import (
	"slices"

	"millrace/plugin/internal/wire"
)

// Edits is what should change in the batch of this call. Nothing noted means: keep all as it is.
//
// Row numbers always mean the batch as it was lent. Each event can end once: as dropped, split or rejected.
// Edits are collected as columns, because one edit per row would cost the agent an allocation for each string.
//
// Changes to one header, or to bodies, are sent in the order in which they were made. What ends an event is sent
// behind what changes it, so that a row may be changed and dropped in any order.
type Edits struct {
	changes []change
	used    int
	drops   []uint32
	splits  change
	events  Events
	rejects []wire.Edit
	out     []wire.Edit
}

// One edit that still grows. Nothing is added to one that is closed.
type change struct {
	wire.Edit
	packed Packed
	closed bool
}

// IsEmpty says whether nothing has been noted.
func (e *Edits) IsEmpty() bool {
	return e.used == 0 && len(e.drops) == 0 && len(e.splits.Rows) == 0 && len(e.rejects) == 0
}

// Drop drops an event.
func (e *Edits) Drop(row int) { e.drops = append(e.drops, uint32(row)) }

// DropRows drops many events.
func (e *Edits) DropRows(rows []uint32) { e.drops = append(e.drops, rows...) }

// SetBody replaces a body.
func (e *Edits) SetBody(row int, body []byte) {
	e.bodiesFor(uint32(row)).Push(body)
}

// SetBodyFunc replaces a body by what write appends to what it gets.
func (e *Edits) SetBodyFunc(row int, write func(out []byte) []byte) {
	e.bodiesFor(uint32(row)).PushFunc(write)
}

// SetBodies replaces the bodies of some rows, which must ascend. There is one body for each row.
func (e *Edits) SetBodies(rows []uint32, bodies Packed) {
	if len(rows) != bodies.Len() {
		panic("one body for each row")
	}
	if len(rows) == 0 {
		return
	}
	c := e.add(wire.SetBodies, "")
	c.Rows, c.packed, c.closed = append(c.Rows, rows...), bodies, true
}

// SetAllBodies replaces the bodies of rows 0, 1, 2, and so on by these.
func (e *Edits) SetAllBodies(bodies Packed) {
	rows := make([]uint32, bodies.Len())
	for row := range rows {
		rows[row] = uint32(row)
	}
	e.SetBodies(rows, bodies)
}

// Gives the list to which the body of a row is added.
func (e *Edits) bodiesFor(row uint32) *Packed {
	for i := e.used - 1; i >= 0; i-- {
		c := &e.changes[i]
		if c.Kind != wire.SetBodies {
			continue
		}
		if last := c.Rows[len(c.Rows)-1]; !c.closed && last <= row {
			if last == row {
				c.packed.pop()
			} else {
				c.Rows = append(c.Rows, row)
			}
			return &c.packed
		}
		break
	}
	c := e.add(wire.SetBodies, "")
	c.Rows = append(c.Rows, row)
	return &c.packed
}

// SetHeader sets a header of one event; an older value is replaced.
func (e *Edits) SetHeader(row int, name, value string) {
	c := e.last(name)
	if c == nil || c.Kind != wire.SetHeader || c.Rows[len(c.Rows)-1] > uint32(row) {
		c = e.add(wire.SetHeader, name)
	}
	c.pushHeader(uint32(row), value)
}

// SetHeaderRows sets a header to the same value on some rows, which must ascend.
func (e *Edits) SetHeaderRows(rows []uint32, name, value string) {
	if len(rows) == 0 {
		return
	}
	c := e.add(wire.SetHeader, name)
	c.Rows = append(c.Rows, rows...)
	c.packed.PushText(value)
}

// SetHeaderOnAll sets a header on every event that is still there, also on those that took the place of others.
// What ended an event before this call stays ended: it may not be named again.
func (e *Edits) SetHeaderOnAll(name, value string) {
	e.closeEnded()
	c := e.add(wire.SetHeaderOnAll, name)
	c.Value, c.closed = value, true
}

// RemoveHeader removes a header of one event. An event without it stays as it is.
func (e *Edits) RemoveHeader(row int, name string) {
	c := e.last(name)
	if c == nil || c.Kind != wire.RemoveHeader || c.Rows[len(c.Rows)-1] > uint32(row) {
		c = e.add(wire.RemoveHeader, name)
	}
	c.pushRow(uint32(row))
}

// RemoveHeaderOnAll removes a header from every event that is still there.
func (e *Edits) RemoveHeaderOnAll(name string) {
	e.closeEnded()
	e.add(wire.RemoveHeaderOnAll, name).closed = true
}

// Split puts other events in the place of one. They inherit nothing from it. No events: a drop. Rows must ascend.
func (e *Edits) Split(row int, write func(events *Events)) {
	before := e.events.Len()
	write(&e.events)
	e.splits.Rows = append(e.splits.Rows, uint32(row))
	e.splits.Counts = append(e.splits.Counts, uint32(e.events.Len()-before))
}

// Route sends an event to the channel of this name, whatever the selector says. The operator must have granted
// the channel. The last route of an event counts.
func (e *Edits) Route(row int, channel string) {
	for i := e.used - 1; i >= 0; i-- {
		c := &e.changes[i]
		if c.Kind != wire.Route {
			continue
		}
		if c.Label == channel && c.Rows[len(c.Rows)-1] <= uint32(row) {
			c.pushRow(uint32(row))
			return
		}
		break
	}
	e.add(wire.Route, channel).pushRow(uint32(row))
}

// Reject sends an event to the dead-letter channel, with a reason.
func (e *Edits) Reject(row int, reason string) {
	for i := range e.rejects {
		if e.rejects[i].Label == reason {
			e.rejects[i].Rows = append(e.rejects[i].Rows, uint32(row))
			return
		}
	}
	e.rejects = append(e.rejects, wire.Edit{Kind: wire.Reject, Label: reason, Rows: []uint32{uint32(row)}})
}

// Wire gives the edits, for the packages of this SDK.
func (e *Edits) Wire() []wire.Edit {
	e.closeEnded()
	e.out = e.out[:0]
	for i := range e.changes[:e.used] {
		c := &e.changes[i]
		c.Packed = c.packed.wire()
		e.out = append(e.out, c.Edit)
	}
	return e.out
}

// Reset forgets everything and keeps the memory.
func (e *Edits) Reset() {
	e.used, e.drops, e.rejects = 0, e.drops[:0], e.rejects[:0]
	e.splits = change{}
	e.events.Reset()
}

// Adds a change, in memory that was used before if there is some.
func (e *Edits) add(kind wire.Kind, label string) *change {
	if e.used == len(e.changes) {
		e.changes = append(e.changes, change{})
	}
	c := &e.changes[e.used]
	e.used++
	rows, packed := c.Rows[:0], c.packed
	if c.closed {
		// The plugin owns these bodies.
		packed = Packed{}
	}
	packed.Reset()
	*c = change{Edit: wire.Edit{Kind: kind, Label: label, Rows: rows}, packed: packed}
	return c
}

// Finds the change that a new one to the same header could join. One to all headers of any name is a border that
// nothing may cross.
func (e *Edits) last(header string) *change {
	for i := e.used - 1; i >= 0; i-- {
		c := &e.changes[i]
		switch c.Kind {
		case wire.SetBodies, wire.Route:
		case wire.SetHeader, wire.RemoveHeader:
			if c.Label == header {
				return c
			}
		default:
			return nil
		}
	}
	return nil
}

// Moves what ends events behind the changes made so far.
func (e *Edits) closeEnded() {
	if len(e.drops) > 0 {
		c := e.add(wire.Drop, "")
		c.Rows, c.closed = append(c.Rows, ascending(e.drops)...), true
		e.drops = e.drops[:0]
	}
	if len(e.splits.Rows) > 0 {
		c := e.add(wire.Split, "")
		events := e.events
		c.Rows, c.Counts, c.closed = e.splits.Rows, e.splits.Counts, true
		c.Events = events.Wire()
		e.splits, e.events = change{}, Events{}
	}
	for _, reject := range e.rejects {
		c := e.add(wire.Reject, reject.Label)
		c.Rows, c.closed = append(c.Rows, ascending(reject.Rows)...), true
	}
	e.rejects = e.rejects[:0]
}

func (c *change) pushRow(row uint32) {
	if n := len(c.Rows); n == 0 || c.Rows[n-1] != row {
		c.Rows = append(c.Rows, row)
	}
}

// As long as all rows get the same value, it is there once.
func (c *change) pushHeader(row uint32, value string) {
	if n := len(c.Rows); n > 0 && c.Rows[n-1] == row {
		c.expand()
		c.packed.pop()
		c.packed.PushText(value)
		return
	}
	if isShared := c.packed.Len() == 1 && string(c.packed.bytes) == value; !isShared {
		c.expand()
		c.packed.PushText(value)
	}
	c.Rows = append(c.Rows, row)
}

// Gives every row a value of its own, once they are no longer all the same.
func (c *change) expand() {
	if c.packed.Len() == 1 && len(c.Rows) > 1 {
		shared := slices.Clone(c.packed.bytes)
		for range c.Rows[1:] {
			c.packed.Push(shared)
		}
	}
}

// Sorts rows unless they ascend already, as they nearly always do, and keeps each once.
func ascending(rows []uint32) []uint32 {
	for i := 1; i < len(rows); i++ {
		if rows[i-1] >= rows[i] {
			slices.Sort(rows)
			return slices.Compact(rows)
		}
	}
	return rows
}
