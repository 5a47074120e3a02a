package host

import (
	"fmt"
	"os"
	"runtime/debug"

	"millrace/plugin/internal/wire"
)

// Guard is deferred by every export: a panic becomes one log line with the stack of Go in it, which the agent keeps
// with the dead letter, and then a trap. Without it the Go runtime would print the stack line by line.
func Guard() {
	what := recover()
	if what == nil {
		return
	}
	const levelError = 4
	text := fmt.Sprint("panic: ", what)
	LogEmit(levelError, text, []wire.Header{{Name: "backtrace", Value: string(debug.Stack())}})
	os.Exit(2)
}
