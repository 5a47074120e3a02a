package plugin

import (
	"errors"
	"time"

	"millrace/plugin/internal/wire"
)

// Failure says why a call did not succeed, as what the agent should do now. It is an error: return it from a
// method of a role. Any other error that such a method returns counts as Fatal, unless it says otherwise, as
// those of packages http and state do.
type Failure struct{ wire wire.Failure }

// Retry: it may work later. The agent keeps the batch and tries it again, not before the pause; 0 leaves the
// pause to the agent.
func Retry(after time.Duration) *Failure {
	ms := int64(-1)
	if after > 0 {
		ms = min((after + time.Millisecond - 1).Milliseconds(), 1<<32-1)
	}
	return &Failure{wire.Failure{Why: wire.Retry, AfterMs: ms}}
}

// Reject: it can never work, for this reason. The batch goes to the dead-letter channel.
func Reject(reason string) *Failure {
	return &Failure{wire.Failure{Why: wire.RejectIt, Reason: reason}}
}

// Fatal: this instance is broken, for this reason. The agent replaces it, then tries the batch once more.
func Fatal(reason string) *Failure {
	return &Failure{wire.Failure{Why: wire.Fatal, Reason: reason}}
}

// Error tells the failure as text.
func (f *Failure) Error() string {
	switch f.wire.Why {
	case wire.Retry:
		return "try again"
	case wire.RejectIt:
		return "rejected: " + f.wire.Reason
	default:
		return "fatal: " + f.wire.Reason
	}
}

// Wire gives the failure, for the packages of this SDK.
func (f *Failure) Wire() *wire.Failure { return &f.wire }

// FailureOf finds what an error asks of the agent.
func FailureOf(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	var says interface{ Failure() *Failure }
	if errors.As(err, &says) {
		return says.Failure()
	}
	return Fatal(err.Error())
}
