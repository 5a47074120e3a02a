package host

import (
	"runtime"
	"unsafe"

	"millrace/plugin/internal/wire"
)

// Batch is the batch that the agent lends: the number of a handle.
type Batch uint32

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.count
func batchCount(batch uint32) uint32

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.body-bytes
func batchBodyBytes(batch uint32) uint64

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.formed-at
func batchFormedAt(batch uint32) uint64

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.bodies
func batchBodies(batch uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.bodies-of
func batchBodiesOf(batch uint32, rows unsafe.Pointer, rowsLength uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.header-column
func batchHeaderColumn(batch uint32, name string, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.header-names
func batchHeaderNames(batch uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.headers
func batchHeaders(batch uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.events
func batchEvents(batch uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.body
func batchBody(batch, row uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.body-part
func batchBodyPart(batch, row, start, length uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.header
func batchHeader(batch, row uint32, name string, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [method]batch.event
func batchEvent(batch, row uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/types@0.1.0 [resource-drop]batch
func batchDrop(batch uint32)

// Count says how many events there are.
func (b Batch) Count() uint32 { return batchCount(uint32(b)) }

// BodyBytes gives the sum of the sizes of all bodies.
func (b Batch) BodyBytes() uint64 { return batchBodyBytes(uint32(b)) }

// FormedAt gives nanoseconds since 1970.
func (b Batch) FormedAt() uint64 { return batchFormedAt(uint32(b)) }

// Bodies gives all bodies.
func (b Batch) Bodies() wire.Packed {
	batchBodies(uint32(b), answerAt())
	return packedAt(0)
}

// BodiesOf gives some bodies.
func (b Batch) BodiesOf(rows []uint32) wire.Packed {
	batchBodiesOf(uint32(b), wordsPointer(rows), uint32(len(rows)), answerAt())
	runtime.KeepAlive(rows)
	return packedAt(0)
}

// HeaderColumn gives one header of every event.
func (b Batch) HeaderColumn(name string) wire.HeaderColumn {
	batchHeaderColumn(uint32(b), name, answerAt())
	return wire.HeaderColumn{Values: packedAt(0), Missing: wordsAt(answer[4], answer[5])}
}

// HeaderNames gives the names that occur.
func (b Batch) HeaderNames() []string {
	batchHeaderNames(uint32(b), answerAt())
	return textsAt(answer[0], answer[1])
}

// Headers gives all headers of all events.
func (b Batch) Headers() wire.HeaderTable {
	batchHeaders(uint32(b), answerAt())
	return headerTableAt(0)
}

// Events gives everything.
func (b Batch) Events() wire.PackedEvents {
	batchEvents(uint32(b), answerAt())
	return wire.PackedEvents{Headers: headerTableAt(0), Bodies: packedAt(10)}
}

// Body gives one body.
func (b Batch) Body(row uint32) []byte {
	batchBody(uint32(b), row, answerAt())
	return bytesAt(answer[0], answer[1])
}

// BodyPart gives a part of one body.
func (b Batch) BodyPart(row, start, length uint32) []byte {
	batchBodyPart(uint32(b), row, start, length, answerAt())
	return bytesAt(answer[0], answer[1])
}

// Header gives one header of one row.
func (b Batch) Header(row uint32, name string) ([]byte, bool) {
	batchHeader(uint32(b), row, name, answerAt())
	if answerByte(0) == 0 {
		return nil, false
	}
	return bytesAt(answer[1], answer[2]), true
}

// Event gives one event, copied.
func (b Batch) Event(row uint32) wire.Event {
	batchEvent(uint32(b), row, answerAt())
	words := wordsAt(answer[0], answer[1]*4)
	headers := make([]wire.Header, answer[1])
	for i := range headers {
		header := words[i*4 : i*4+4]
		headers[i] = wire.Header{Name: textAt(header[0], header[1]), Value: textAt(header[2], header[3])}
	}
	body := append([]byte(nil), bytesAt(answer[2], answer[3])...)
	return wire.Event{Headers: headers, Body: body}
}

// Drop gives the handle back, which must happen before the call ends.
func (b Batch) Drop() { batchDrop(uint32(b)) }

func packedAt(word int) wire.Packed {
	return wire.Packed{
		Bytes: bytesAt(answer[word], answer[word+1]),
		Ends:  wordsAt(answer[word+2], answer[word+3]),
	}
}

func headerTableAt(word int) wire.HeaderTable {
	return wire.HeaderTable{
		Names:   textsAt(answer[word], answer[word+1]),
		Counts:  wordsAt(answer[word+2], answer[word+3]),
		NameIDs: wordsAt(answer[word+4], answer[word+5]),
		Values:  packedAt(word + 6),
	}
}

func textsAt(at, length uint32) []string {
	words := wordsAt(at, length*2)
	texts := make([]string, length)
	for i := range texts {
		texts[i] = textAt(words[i*2], words[i*2+1])
	}
	return texts
}
