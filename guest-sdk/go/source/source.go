// Package source is the role that brings events in by being asked for them.
package source

import (
	"time"

	"millrace/plugin"
	"millrace/plugin/internal/guest"
)

// Source reads from somewhere. A method Stop(within time.Duration) is called last, if there is one.
type Source interface {
	// Open starts, or starts again, behind the events of the last position that was committed; nil: from the
	// beginning. Called after every failure of a call, too.
	Open(position []byte) error
	// Poll adds what there is to events, within the limits, without waiting for more.
	Poll(limits Limits, events *plugin.Events) (Polled, error)
}

// Committer is a source that acknowledges upstream.
type Committer interface {
	// Committed is called when everything up to this position is durable. A crash can skip it.
	Committed(position []byte) error
}

// Limits is how much one answer may hold.
type Limits struct{ Events, Bytes int }

// Polled is how reading went.
type Polled struct {
	// Position is where reading stands behind the events, in a form of the plugin's own, at most 64 KiB. The agent
	// stores it in the same commit as the events. Nil: unchanged.
	Position []byte
	// Pace is when to ask again. The zero value is Now.
	Pace Pace
}

// Pace is when to ask again.
type Pace struct{ kind, afterMs uint32 }

// Now: ask again at once, there is more.
var Now = Pace{}

// End: never, all has been read.
var End = Pace{kind: 2}

// After: ask again, but not before the pause.
func After(pause time.Duration) Pace {
	return Pace{1, uint32(min(max(pause, 0).Milliseconds(), 1<<32-1))}
}

// String tells the pace as text.
func (p Pace) String() string {
	return [...]string{"now", "after " + (time.Duration(p.afterMs) * time.Millisecond).String(), "end"}[p.kind]
}

// Export makes configure the maker of this component's plugin. Call it in an init function.
//
// C is a struct for the options, see plugin.ReadConfig. An error of configure may be plugin.Issues.
func Export[C any, P Source](configure func(config C, instance plugin.Instance) (P, error)) {
	guest.Export("source", configure)
}
