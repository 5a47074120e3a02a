// Package wire holds the values that cross between a plugin and the agent, as plain Go.
//
// They mirror the WIT package millrace:plugin. Package host moves them over the border; the other packages
// of the SDK give them a face.
package wire

// Packed is many byte strings back to back. Number i is Bytes[Ends[i-1]:Ends[i]].
type Packed struct {
	Bytes []byte
	Ends  []uint32
}

// HeaderColumn is one header of every event.
type HeaderColumn struct {
	Values Packed
	// Missing holds the rows without the header, ascending.
	Missing []uint32
}

// HeaderTable is all headers of a list of events.
type HeaderTable struct {
	Names   []string
	Counts  []uint32
	NameIDs []uint32
	Values  Packed
}

// PackedEvents is a list of events by value.
type PackedEvents struct {
	Headers HeaderTable
	Bodies  Packed
}

// Header is a name and a value.
type Header struct {
	Name  string
	Value string
}

// Event is one event by value.
type Event struct {
	Headers []Header
	Body    []byte
}

// Kind says which change an Edit is; the numbers are those of the variant edit.
type Kind uint32

// The kinds of edits.
const (
	Drop Kind = iota
	SetBodies
	SetHeader
	SetHeaderOnAll
	RemoveHeader
	RemoveHeaderOnAll
	Split
	Route
	Reject
)

// Edit is one change to many rows. Which fields count depends on Kind.
type Edit struct {
	Kind Kind
	// Rows: all kinds but the two on all.
	Rows []uint32
	// Label: the name of a header or channel, or the reason of a reject.
	Label string
	// Value: SetHeaderOnAll.
	Value string
	// Packed: the bodies of SetBodies, the values of SetHeader.
	Packed Packed
	// Counts and Events: Split.
	Counts []uint32
	Events *PackedEvents
}

// Why says what the agent should do about a call that did not succeed; the numbers are those of the variant failure.
type Why uint32

// What the agent should do.
const (
	Retry Why = iota
	RejectIt
	Fatal
)

// Failure is why a call did not succeed.
type Failure struct {
	Why Why
	// AfterMs is the pause before a retry; negative: the agent chooses.
	AfterMs int64
	Reason  string
}

// Refusal is a row of a batch, or a frame, that was not taken.
type Refusal struct {
	Row     uint32
	Failure Failure
}

// Issue is one mistake in the configuration.
type Issue struct {
	Path   string
	Reason string
}

// StateError says why the state store refused; the numbers are those of the variant.
type StateError struct {
	Code   uint32
	Reason string
}

// HTTPError says why there is no response; the numbers are those of the variant.
type HTTPError struct {
	Code   uint32
	Reason string
}

// Field is a header of a request or response.
type Field struct {
	Name  string
	Value []byte
}

// Request is one HTTP request.
type Request struct {
	Method  string
	URL     string
	Headers []Field
	Body    []byte
	// TimeoutMs: 0 leaves it to the time of the call.
	TimeoutMs uint32
	// Auth: empty for none.
	Auth string
}

// Response is one HTTP response.
type Response struct {
	Status  uint16
	Headers []Field
	Body    []byte
}

// Answer is a response, or why there is none.
type Answer struct {
	Response Response
	Error    *HTTPError
}
