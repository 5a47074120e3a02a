//go:build !wasip1

package host

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"millrace/plugin/internal/wire"
)

// Line is a log line.
type Line struct {
	Level  uint32
	Text   string
	Fields []wire.Header
}

// Fake plays the agent in tests.
var Fake struct {
	// Lines that were written.
	Lines []Line
	// Metrics: a sum per name and labels, joined by commas.
	Metrics map[string]float64
	// State is the store; time to live is not played.
	State map[string][]byte
	// HTTP answers requests; nil denies them.
	HTTP func(request *wire.Request) wire.Answer
	// UnixNs stands still unless it is 0: then it is the time of the machine.
	UnixNs uint64
}

// LogEnabled says whether lines of a level are kept.
func LogEnabled(uint32) bool { return true }

// LogEmit writes a line.
func LogEmit(level uint32, text string, fields []wire.Header) {
	Fake.Lines = append(Fake.Lines, Line{level, text, slices.Clone(fields)})
}

// CounterAdd adds to a counter.
func CounterAdd(name string, labels []string, amount uint64) {
	metrics()[metric(name, labels)] += float64(amount)
}

// GaugeSet sets a gauge.
func GaugeSet(name string, labels []string, value float64) {
	metrics()[metric(name, labels)] = value
}

// HistogramRecord records an observation.
func HistogramRecord(name string, labels []string, value float64) {
	metrics()[metric(name, labels)] += value
}

func metrics() map[string]float64 {
	if Fake.Metrics == nil {
		Fake.Metrics = map[string]float64{}
	}
	return Fake.Metrics
}

func metric(name string, labels []string) string {
	return strings.Join(append([]string{name}, labels...), ",")
}

// UnixNanos gives nanoseconds since 1970.
func UnixNanos() uint64 {
	if Fake.UnixNs != 0 {
		return Fake.UnixNs
	}
	return uint64(time.Now().UnixNano())
}

// MonotonicNanos gives nanoseconds since some moment.
func MonotonicNanos() uint64 { return UnixNanos() }

// StateGet gives the value of a key.
func StateGet(key string) ([]byte, bool, *wire.StateError) {
	value, ok := Fake.State[key]
	return slices.Clone(value), ok, nil
}

// StateGetMany gives the values of many keys; nil where there is none.
func StateGetMany(keys []string) ([][]byte, *wire.StateError) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if value, ok := Fake.State[key]; ok {
			values[i] = append([]byte{}, value...)
		}
	}
	return values, nil
}

// StateSet sets a value.
func StateSet(key string, value []byte, _ uint64) *wire.StateError {
	const tooLarge = 1
	if len(key) > 1024 || len(value) > 1<<20 {
		return &wire.StateError{Code: tooLarge}
	}
	if Fake.State == nil {
		Fake.State = map[string][]byte{}
	}
	Fake.State[key] = append([]byte{}, value...)
	return nil
}

// StateDelete removes a key.
func StateDelete(key string) *wire.StateError {
	delete(Fake.State, key)
	return nil
}

// StateIncrement adds to a number and gives the sum.
func StateIncrement(key string, by int64) (int64, *wire.StateError) {
	const tooLarge = 1
	value, ok := Fake.State[key]
	if ok && len(value) != 8 {
		return 0, &wire.StateError{Code: tooLarge}
	}
	sum := by
	if ok {
		sum += int64(binary.LittleEndian.Uint64(value))
	}
	return sum, StateSet(key, binary.LittleEndian.AppendUint64(nil, uint64(sum)), 0)
}

// StateKeys lists keys.
func StateKeys(prefix, after string, keysMax uint32) ([]string, *wire.StateError) {
	var keys []string
	for key := range Fake.State {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), int(keysMax))], nil
}

// HTTPSend sends one request.
func HTTPSend(request *wire.Request) wire.Answer {
	if Fake.HTTP == nil {
		return wire.Answer{Error: &wire.HTTPError{}}
	}
	return Fake.HTTP(request)
}

// HTTPSendMany sends many requests, one after the other.
func HTTPSendMany(requests []wire.Request, _ uint32) []wire.Answer {
	answers := make([]wire.Answer, len(requests))
	for i := range requests {
		answers[i] = HTTPSend(&requests[i])
	}
	return answers
}
