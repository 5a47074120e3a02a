package host

import (
	"unsafe"

	"millrace/plugin/internal/wire"
)

// Result is where the results of exports are put together. What it points to is kept until the next one.
type Result struct {
	words [80]uint32
	// Lists of records, by level.
	lists [4][]uint32
	keep  [4]any
}

// The one result; calls do not nest.
var result Result

// Begin starts a result that is Ok, with nothing in it.
func Begin() *Result {
	result.words = [80]uint32{}
	result.keep = [4]any{}
	namesHeld = namesHeld[:0]
	return &result
}

// End gives the address that an export returns, and ends the call.
func (r *Result) End() unsafe.Pointer {
	Done()
	return unsafe.Pointer(&r.words)
}

// Keep keeps what the result points to.
func (r *Result) Keep(values ...any) { copy(r.keep[:], values) }

// Writes from a word on: first the discriminant of the result, then the payload.
func (r *Result) put(word int, words ...uint32) { copy(r.words[word:], words) }

// Fail makes it an error with a failure.
func (r *Result) Fail(failure *wire.Failure) {
	r.words[0] = 1
	_ = putFailure(r.words[:1], failure)
	r.keep[0] = failure
}

// FailText makes it an error with a text.
func (r *Result) FailText(text string) {
	r.words[0] = 1
	_ = putText(r.words[:1], text)
	r.keep[0] = text
}

// A failure is three words: which one, and its payload.
func putFailure(words []uint32, failure *wire.Failure) []uint32 {
	words = append(words, uint32(failure.Why))
	if failure.Why != wire.Retry {
		return putText(words, failure.Reason)
	}
	if failure.AfterMs < 0 {
		return append(words, 0, 0)
	}
	return append(words, 1, uint32(failure.AfterMs))
}

// Issues makes it an error with mistakes of the configuration.
func (r *Result) Issues(issues []wire.Issue) {
	list := r.lists[0][:0]
	for _, issue := range issues {
		list = putText(putText(list, issue.Path), issue.Reason)
	}
	r.lists[0] = list
	r.put(0, 1, addressOf(wordsPointer(list)), uint32(len(issues)))
	r.keep[0] = issues
}

// One edit takes so many words.
const editWords = 19

// Edits makes it a list of edits.
func (r *Result) Edits(edits []wire.Edit) {
	list := r.lists[0][:0]
	for i := range edits {
		list = putEdit(list, &edits[i])
	}
	r.lists[0] = list
	r.put(1, addressOf(wordsPointer(list)), uint32(len(edits)))
	r.keep[0] = edits
}

func putEdit(words []uint32, edit *wire.Edit) []uint32 {
	end := len(words) + editWords
	words = append(words, uint32(edit.Kind))
	switch edit.Kind {
	case wire.Drop:
		words = putWords(words, edit.Rows)
	case wire.SetBodies:
		words = putPacked(putWords(words, edit.Rows), edit.Packed)
	case wire.SetHeader:
		words = putPacked(putWords(putText(words, edit.Label), edit.Rows), edit.Packed)
	case wire.SetHeaderOnAll:
		words = putText(putText(words, edit.Label), edit.Value)
	case wire.RemoveHeaderOnAll:
		words = putText(words, edit.Label)
	case wire.Split:
		words = putWords(putWords(words, edit.Rows), edit.Counts)
		words = putEvents(words, edit.Events)
	default:
		words = putWords(putText(words, edit.Label), edit.Rows)
	}
	for len(words) < end {
		words = append(words, 0)
	}
	return words
}

// Events take 14 words. The names need a list of their own, which r keeps.
func putEvents(words []uint32, events *wire.PackedEvents) []uint32 {
	names := texts(events.Headers.Names)
	namesHeld = append(namesHeld, names)
	words = append(words, addressOf(wordsPointer(names)), uint32(len(events.Headers.Names)))
	words = putWords(putWords(words, events.Headers.Counts), events.Headers.NameIDs)
	return putPacked(putPacked(words, events.Headers.Values), events.Bodies)
}

// Lists of names that the result points to.
var namesHeld [][]uint32

// Paces of a source.
const (
	PaceNow = iota
	PaceAfter
	PaceEnd
)

// Polled makes it the answer of a source. A position of nil means: unchanged.
func (r *Result) Polled(events *wire.PackedEvents, position []byte, pace, afterMs uint32) {
	words := putEvents(r.words[:1], events)
	words = putBytes(append(words, flag(position != nil)), position)
	_ = append(words, pace, afterMs)
	r.Keep(events, position)
}

// Refused makes it the outcome of a sink.
func (r *Result) Refused(refusals []wire.Refusal) {
	list := r.refusals(refusals)
	if len(refusals) > 0 {
		r.put(1, 1, addressOf(wordsPointer(list)), uint32(len(refusals)))
	}
	r.keep[0] = refusals
}

func (r *Result) refusals(refusals []wire.Refusal) []uint32 {
	list := r.lists[0][:0]
	for i := range refusals {
		list = putFailure(append(list, refusals[i].Row), &refusals[i].Failure)
	}
	r.lists[0] = list
	return list
}

// Packed makes it a packed list.
func (r *Result) Packed(packed wire.Packed) {
	_ = putPacked(r.words[:1], packed)
	r.keep[0] = packed
}

// Cut makes it what a codec found in a piece of a stream.
func (r *Result) Cut(ends []uint32, wanted uint32) {
	_ = append(putWords(r.words[:1], ends), wanted)
	r.keep[0] = ends
}

// Decoded makes it the events of many frames.
func (r *Result) Decoded(events *wire.PackedEvents, counts []uint32, refused []wire.Refusal) {
	words := putWords(putEvents(r.words[:1], events), counts)
	_ = append(words, addressOf(wordsPointer(r.refusals(refused))), uint32(len(refused)))
	r.Keep(events, counts, refused)
}

// Snapshot makes it what an instance leaves.
func (r *Result) Snapshot(schema string, version uint32, data []byte) {
	words := append(putText(r.words[:1], schema), version)
	_ = putBytes(words, data)
	r.Keep(schema, data)
}
