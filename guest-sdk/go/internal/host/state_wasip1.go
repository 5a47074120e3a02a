package host

import (
	"runtime"
	"unsafe"

	"millrace/plugin/internal/wire"
)

//go:wasmimport millrace:plugin/state@0.1.0 get
func stateGet(key string, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/state@0.1.0 get-many
func stateGetMany(keys unsafe.Pointer, keysLength uint32, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/state@0.1.0 set
func stateSet(key string, value unsafe.Pointer, valueLength, hasTTL uint32, ttl uint64, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/state@0.1.0 delete
func stateDelete(key string, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/state@0.1.0 increment
func stateIncrement(key string, by int64, answer unsafe.Pointer)

//go:wasmimport millrace:plugin/state@0.1.0 list-keys
func stateListKeys(prefix string, hasAfter uint32, after string, keysMax uint32, answer unsafe.Pointer)

// StateGet gives the value of a key, copied.
func StateGet(key string) ([]byte, bool, *wire.StateError) {
	stateGet(key, answerAt())
	if answerByte(0) != 0 {
		return nil, false, stateErrorAt(1)
	}
	if answerByte(1) == 0 {
		return nil, false, nil
	}
	return kept(bytesAt(answer[2], answer[3])), true, nil
}

// StateGetMany gives the values of many keys, copied; nil where there is none.
func StateGetMany(keys []string) ([][]byte, *wire.StateError) {
	words := texts(keys)
	stateGetMany(wordsPointer(words), uint32(len(keys)), answerAt())
	runtime.KeepAlive(keys)
	if answerByte(0) != 0 {
		return nil, stateErrorAt(1)
	}
	found := wordsAt(answer[1], answer[2]*3)
	values := make([][]byte, answer[2])
	for i := range values {
		if found[i*3]&0xff != 0 {
			values[i] = kept(bytesAt(found[i*3+1], found[i*3+2]))
		}
	}
	return values, nil
}

// StateSet sets a value; a ttl of 0 is for good.
func StateSet(key string, value []byte, ttlMs uint64) *wire.StateError {
	stateSet(key, bytesPointer(value), uint32(len(value)), flag(ttlMs > 0), ttlMs, answerAt())
	return stateErrorIf()
}

// StateDelete removes a key.
func StateDelete(key string) *wire.StateError {
	stateDelete(key, answerAt())
	return stateErrorIf()
}

// StateIncrement adds to a number and gives the sum.
func StateIncrement(key string, by int64) (int64, *wire.StateError) {
	stateIncrement(key, by, answerAt())
	if answerByte(0) != 0 {
		return 0, stateErrorAt(2)
	}
	return int64(uint64(answer[2]) | uint64(answer[3])<<32), nil
}

// StateKeys lists keys.
func StateKeys(prefix, after string, keysMax uint32) ([]string, *wire.StateError) {
	stateListKeys(prefix, flag(after != ""), after, keysMax, answerAt())
	if answerByte(0) != 0 {
		return nil, stateErrorAt(1)
	}
	return textsAt(answer[1], answer[2]), nil
}

func stateErrorIf() *wire.StateError {
	if answerByte(0) == 0 {
		return nil
	}
	return stateErrorAt(1)
}

func stateErrorAt(word int) *wire.StateError {
	const unavailable = 3
	failed := &wire.StateError{Code: answerByte(word)}
	if failed.Code == unavailable {
		failed.Reason = textAt(answer[word+1], answer[word+2])
	}
	return failed
}

// A copy that may be kept; never nil.
func kept(bytes []byte) []byte { return append([]byte{}, bytes...) }

func flag(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}
