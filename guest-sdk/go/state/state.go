// Package state keeps keys and values that outlive the instance.
//
// Writes made during a call become durable together with the batch of that call, or not at all. A call reads its
// own writes. A key is at most 1,024 bytes long, a value at most 1 MiB. Errors of this package say what the agent should do
// when they are returned from the call.
package state

import (
	"time"

	"millrace/plugin"
	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
)

// Error is why a request was refused.
type Error struct {
	code   uint32
	reason string
}

// Why a request was refused, for errors.Is.
var (
	// ErrQuota: the component has used up its share.
	ErrQuota = &Error{code: 0}
	// ErrTooLarge: the key or the value is over its limit.
	ErrTooLarge = &Error{code: 1}
	// ErrDenied: not at this moment, while the plugin is configured.
	ErrDenied = &Error{code: 2}
	// ErrUnavailable: the store cannot answer.
	ErrUnavailable = &Error{code: 3}
)

// Error tells the reason.
func (e *Error) Error() string {
	switch e.code {
	case 0:
		return "state: the share of this component is used up"
	case 1:
		return "state: the key or the value is too large"
	case 2:
		return "state: denied while the plugin is configured"
	default:
		return "state: " + e.reason
	}
}

// Is says whether two errors are of one kind.
func (e *Error) Is(other error) bool {
	o, ok := other.(*Error)
	return ok && o.code == e.code
}

// Failure says what the agent should do about it.
func (e *Error) Failure() *plugin.Failure {
	if e.code == ErrUnavailable.code {
		return plugin.Retry(0)
	}
	return plugin.Fatal(e.Error())
}

func errorOf(failed *wire.StateError) error {
	if failed == nil {
		return nil
	}
	return &Error{failed.Code, failed.Reason}
}

// Get gives the value of a key, and whether there is one.
func Get(key string) ([]byte, bool, error) {
	value, ok, failed := host.StateGet(key)
	return value, ok, errorOf(failed)
}

// GetMany gives the values of many keys in one call; nil where there is none.
func GetMany(keys []string) ([][]byte, error) {
	values, failed := host.StateGetMany(keys)
	return values, errorOf(failed)
}

// Set sets a value for good.
func Set(key string, value []byte) error { return errorOf(host.StateSet(key, value, 0)) }

// SetFor sets a value that is gone after so long.
func SetFor(key string, value []byte, life time.Duration) error {
	return errorOf(host.StateSet(key, value, max(uint64(life.Milliseconds()), 1)))
}

// Delete removes a key. A key that is not there is no error.
func Delete(key string) error { return errorOf(host.StateDelete(key)) }

// Increment adds to a number that starts at 0, and gives the sum.
func Increment(key string, by int64) (int64, error) {
	sum, failed := host.StateIncrement(key, by)
	return sum, errorOf(failed)
}

// Keys gives the keys that begin with prefix, in the order of their bytes, from behind after on (empty: from the
// first), at most so many.
func Keys(prefix, after string, keysMax int) ([]string, error) {
	keys, failed := host.StateKeys(prefix, after, uint32(keysMax))
	return keys, errorOf(failed)
}
