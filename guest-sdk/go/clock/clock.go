// Package clock tells the time. The clocks of package time stand nearly still in a plugin; these are those of the
// agent. A plugin that uses this package can no longer be replayed, and needs the grant "clocks" as an interceptor.
package clock

import (
	"time"

	"millrace/plugin/internal/host"
)

// Now gives the time, in UTC. It can jump, as the clock of the machine can.
func Now() time.Time { return time.Unix(0, int64(host.UnixNanos())).UTC() }

// Monotonic gives the time since some moment before the plugin started. It never goes back.
func Monotonic() time.Duration { return time.Duration(host.MonotonicNanos()) }
