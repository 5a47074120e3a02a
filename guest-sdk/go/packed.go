package plugin

import (
	"iter"

	"millrace/plugin/internal/wire"
)

// Packed is many byte strings back to back, numbered from 0: the form in which bodies cross the border. A batch
// of a thousand bodies is two slices instead of a thousand.
type Packed struct {
	bytes []byte
	ends  []uint32
}

// PackedOf packs strings.
func PackedOf(values ...string) Packed {
	var packed Packed
	for _, value := range values {
		packed.bytes = append(packed.bytes, value...)
		packed.close()
	}
	return packed
}

// Len says how many strings there are.
func (p *Packed) Len() int { return len(p.ends) }

// At gives one string. A row out of range panics, as an index does.
func (p *Packed) At(row int) []byte {
	end := p.ends[row]
	start := uint32(0)
	if row > 0 {
		start = p.ends[row-1]
	}
	return p.bytes[start:end:end]
}

// All walks through rows and strings.
func (p *Packed) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		start := uint32(0)
		for row, end := range p.ends {
			if !yield(row, p.bytes[start:end:end]) {
				return
			}
			start = end
		}
	}
}

// Bytes gives all bytes at once, without the borders.
func (p *Packed) Bytes() []byte { return p.bytes }

// Ends gives the place behind each string in Bytes.
func (p *Packed) Ends() []uint32 { return p.ends }

// Push adds a string.
func (p *Packed) Push(value []byte) {
	p.bytes = append(p.bytes, value...)
	p.close()
}

// PushText adds a string.
func (p *Packed) PushText(value string) {
	p.bytes = append(p.bytes, value...)
	p.close()
}

// PushFunc adds a string that write appends to what it gets. It must not shorten or change what is there.
func (p *Packed) PushFunc(write func(out []byte) []byte) {
	before := len(p.bytes)
	bytes := write(p.bytes)
	if len(bytes) < before {
		panic("the strings before this one were shortened")
	}
	p.bytes = bytes
	p.close()
}

// Reset empties the list and keeps its memory.
func (p *Packed) Reset() { p.bytes, p.ends = p.bytes[:0], p.ends[:0] }

func (p *Packed) close() {
	if uint64(len(p.bytes)) > 1<<32-1 {
		panic("a packed list holds less than 4 GiB")
	}
	p.ends = append(p.ends, uint32(len(p.bytes)))
}

// Takes the last string off again.
func (p *Packed) pop() {
	p.ends = p.ends[:len(p.ends)-1]
	end := uint32(0)
	if len(p.ends) > 0 {
		end = p.ends[len(p.ends)-1]
	}
	p.bytes = p.bytes[:end]
}

// Lent wraps what the agent lends, for the packages of this SDK.
func (p *Packed) Lent(bytes []byte, ends []uint32) { *p = Packed{bytes, ends} }

// Wire gives both columns, for the packages of this SDK.
func (p *Packed) Wire() wire.Packed { return p.wire() }

func (p *Packed) wire() wire.Packed { return wire.Packed{Bytes: p.bytes, Ends: p.ends} }

func packedFrom(packed wire.Packed) Packed { return Packed{packed.Bytes, packed.Ends} }
