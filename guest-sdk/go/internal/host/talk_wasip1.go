package host

import (
	"runtime"
	"unsafe"

	"millrace/plugin/internal/wire"
)

//go:wasmimport millrace:plugin/log@0.1.0 enabled
func logEnabled(level uint32) uint32

//go:wasmimport millrace:plugin/log@0.1.0 emit
func logEmit(level uint32, text string, fields unsafe.Pointer, fieldsLength uint32)

//go:wasmimport millrace:plugin/metrics@0.1.0 counter-add
func counterAdd(name string, labels unsafe.Pointer, labelsLength uint32, amount uint64)

//go:wasmimport millrace:plugin/metrics@0.1.0 gauge-set
func gaugeSet(name string, labels unsafe.Pointer, labelsLength uint32, value float64)

//go:wasmimport millrace:plugin/metrics@0.1.0 histogram-record
func histogramRecord(name string, labels unsafe.Pointer, labelsLength uint32, value float64)

//go:wasmimport millrace:plugin/clock@0.1.0 unix-nanos
func unixNanos() uint64

//go:wasmimport millrace:plugin/clock@0.1.0 monotonic-nanos
func monotonicNanos() uint64

// LogEnabled says whether lines of a level are kept.
func LogEnabled(level uint32) bool { return logEnabled(level) != 0 }

// LogEmit writes a line.
func LogEmit(level uint32, text string, fields []wire.Header) {
	words := make([]uint32, 0, 4*len(fields))
	for _, field := range fields {
		words = putText(putText(words, field.Name), field.Value)
	}
	logEmit(level, text, wordsPointer(words), uint32(len(fields)))
	runtime.KeepAlive(fields)
}

// CounterAdd adds to a counter.
func CounterAdd(name string, labels []string, amount uint64) {
	words := texts(labels)
	counterAdd(name, wordsPointer(words), uint32(len(labels)), amount)
	runtime.KeepAlive(labels)
}

// GaugeSet sets a gauge.
func GaugeSet(name string, labels []string, value float64) {
	words := texts(labels)
	gaugeSet(name, wordsPointer(words), uint32(len(labels)), value)
	runtime.KeepAlive(labels)
}

// HistogramRecord records an observation.
func HistogramRecord(name string, labels []string, value float64) {
	words := texts(labels)
	histogramRecord(name, wordsPointer(words), uint32(len(labels)), value)
	runtime.KeepAlive(labels)
}

// UnixNanos gives nanoseconds since 1970.
func UnixNanos() uint64 { return unixNanos() }

// MonotonicNanos gives nanoseconds since some moment.
func MonotonicNanos() uint64 { return monotonicNanos() }

func texts(list []string) []uint32 {
	words := make([]uint32, 0, 2*len(list))
	for _, text := range list {
		words = putText(words, text)
	}
	return words
}

func putText(words []uint32, text string) []uint32 {
	return append(words, addressOf(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text)))
}

func putBytes(words []uint32, bytes []byte) []uint32 {
	return append(words, addressOf(bytesPointer(bytes)), uint32(len(bytes)))
}

func putWords(words []uint32, list []uint32) []uint32 {
	return append(words, addressOf(wordsPointer(list)), uint32(len(list)))
}

func putPacked(words []uint32, packed wire.Packed) []uint32 {
	return putWords(putBytes(words, packed.Bytes), packed.Ends)
}
