// Package log writes lines to the log of the agent, together with the name of the component.
//
// Fields are names and values in turn: log.Info("rules loaded", "count", 3). What a plugin prints to standard
// output and error arrives as lines of level info and error, too.
package log

import (
	"fmt"

	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
)

// Level is how important a line is.
type Level uint32

// The levels, from the least to the most.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

// Enabled says whether a line of this level would be kept. Ask before a line that is expensive to build.
func Enabled(level Level) bool { return host.LogEnabled(uint32(level)) }

// Trace is for every step.
func Trace(text string, fields ...any) { Write(LevelTrace, text, fields...) }

// Debug is for what helps to find a mistake.
func Debug(text string, fields ...any) { Write(LevelDebug, text, fields...) }

// Info is for what an operator may want to know.
func Info(text string, fields ...any) { Write(LevelInfo, text, fields...) }

// Warn is for what is odd, when the plugin goes on.
func Warn(text string, fields ...any) { Write(LevelWarn, text, fields...) }

// Error is for what went wrong.
func Error(text string, fields ...any) { Write(LevelError, text, fields...) }

// Write writes one line. It never fails.
func Write(level Level, text string, fields ...any) {
	if !Enabled(level) {
		return
	}
	list := make([]wire.Header, 0, (len(fields)+1)/2)
	for i := 0; i < len(fields); i += 2 {
		field := wire.Header{Name: fmt.Sprint(fields[i])}
		if i+1 < len(fields) {
			field.Value = fmt.Sprint(fields[i+1])
		}
		list = append(list, field)
	}
	host.LogEmit(uint32(level), text, list)
}
