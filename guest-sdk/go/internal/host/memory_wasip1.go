// Package host is the border to the agent: the functions that the agent offers, as Go functions, and the
// places where its answers land.
//
// It is written by hand against the canonical ABI of the component model, because the batches of a log agent
// are large: answers land in memory that is used again with the next call, so reading a batch costs no
// garbage, and edits leave as the slices that the plugin filled, without a copy.
//
// Invariants: everything the agent puts into the plugin's memory during a call, arguments included, is good
// until the call ends. All layouts are those of wit/; `millrace plugin build` checks the signatures against it.
package host

import "unsafe"

const chunkBytesMin = 64 << 10

// One chunk of the memory into which the agent writes. Words, so that every address is aligned to 8.
type chunk struct {
	words []uint64
	used  uint32
}

func (c *chunk) at() uint32   { return uint32(uintptr(unsafe.Pointer(&c.words[0]))) }
func (c *chunk) size() uint32 { return uint32(len(c.words)) * 8 }

// The chunks, and the one that is being filled.
var (
	chunks  []*chunk
	current int
)

// reallocate gives the agent room for what it passes. The name is fixed by the component model.
//
//go:wasmexport cabi_realloc
func reallocate(old, oldSize, align, size uint32) uint32 {
	at := allocate(size, align)
	if old != 0 && oldSize != 0 {
		copy(bytesAt(at, size), bytesAt(old, min(oldSize, size)))
	}
	return at
}

func allocate(size, align uint32) uint32 {
	if size == 0 {
		return align
	}
	for ; current < len(chunks); current++ {
		c := chunks[current]
		start := (c.used + align - 1) &^ (align - 1)
		if start <= c.size() && size <= c.size()-start {
			c.used = start + size
			return c.at() + start
		}
	}
	bytes := uint32(chunkBytesMin)
	if len(chunks) > 0 {
		bytes = chunks[len(chunks)-1].size() * 2
	}
	c := &chunk{words: make([]uint64, (max(bytes, size)+7)/8), used: size}
	chunks = append(chunks, c)
	return c.at()
}

// Done ends a call: its memory may be used again. What is there stays in place until the agent begins the
// next call, so a result may still point to it.
func Done() {
	// Several chunks: one that holds them all spares the search the next time.
	if current > 0 {
		var total uint32
		for _, c := range chunks {
			total += c.size()
		}
		if total <= 16<<20 {
			retired = chunks
			chunks = []*chunk{{words: make([]uint64, total/8)}}
		}
	}
	for _, c := range chunks {
		c.used = 0
	}
	current = 0
}

// The chunks before the last growth: a result of the call may still point to them.
var retired []*chunk

func bytesAt(at, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(at))), length)
}

func wordsAt(at, length uint32) []uint32 {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(uintptr(at))), length)
}

// Copies a string, so that it may be kept.
func textAt(at, length uint32) string { return string(bytesAt(at, length)) }

// The address of something that a list points to. Whoever calls it keeps that alive until the agent has read it.
func addressOf(pointer unsafe.Pointer) uint32 {
	// Through a global, so that what it points to is on the heap: a stack may move.
	escaped = pointer
	return uint32(uintptr(pointer))
}

var escaped unsafe.Pointer

func bytesPointer(bytes []byte) unsafe.Pointer   { return unsafe.Pointer(unsafe.SliceData(bytes)) }
func wordsPointer(words []uint32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(words)) }

// Where an answer that is more than a number lands. Calls into the agent do not nest.
var answer [24]uint32

func answerAt() unsafe.Pointer { return unsafe.Pointer(&answer) }

func answerByte(word int) uint32 { return answer[word] & 0xff }

// BytesArgument gives an argument of an export: it is good until the call ends.
func BytesArgument(at, length uint32) []byte { return bytesAt(at, length) }

// TextArgument gives an argument of an export, copied.
func TextArgument(at, length uint32) string { return textAt(at, length) }

// WordsArgument gives an argument of an export: it is good until the call ends.
func WordsArgument(at, length uint32) []uint32 { return wordsAt(at, length) }
