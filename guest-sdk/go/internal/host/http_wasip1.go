package host

import (
	"runtime"
	"unsafe"

	"millrace/plugin/internal/wire"
)

//go:wasmimport millrace:plugin/http@0.1.0 send
func httpSend(
	method, methodLength, url, urlLength, headers, headersLength, body, bodyLength, hasTimeout, timeout,
	hasAuth, auth, authLength uint32, answer unsafe.Pointer,
)

//go:wasmimport millrace:plugin/http@0.1.0 send-many
func httpSendMany(requests unsafe.Pointer, requestsLength, parallel uint32, answer unsafe.Pointer)

// One answer takes so many words.
const answerWords = 6

// HTTPSend sends one request.
func HTTPSend(request *wire.Request) wire.Answer {
	var held [][]uint32
	// The words of a request are exactly the flat arguments.
	w := putRequest(nil, request, &held)
	httpSend(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], answerAt())
	runtime.KeepAlive(held)
	runtime.KeepAlive(request)
	return answerIn(answer[:answerWords])
}

// HTTPSendMany sends many requests.
func HTTPSendMany(requests []wire.Request, parallel uint32) []wire.Answer {
	var words []uint32
	var held [][]uint32
	for i := range requests {
		words = putRequest(words, &requests[i], &held)
	}
	httpSendMany(wordsPointer(words), uint32(len(requests)), parallel, answerAt())
	runtime.KeepAlive(requests)
	runtime.KeepAlive(held)
	found := wordsAt(answer[0], answer[1]*answerWords)
	answers := make([]wire.Answer, answer[1])
	for i := range answers {
		answers[i] = answerIn(found[i*answerWords:])
	}
	return answers
}

// Writes a request; held keeps the lists it points to.
func putRequest(words []uint32, request *wire.Request, held *[][]uint32) []uint32 {
	fields := make([]uint32, 0, 4*len(request.Headers))
	for _, field := range request.Headers {
		fields = putBytes(putText(fields, field.Name), field.Value)
	}
	*held = append(*held, fields)
	words = putText(putText(words, request.Method), request.URL)
	words = append(words, addressOf(wordsPointer(fields)), uint32(len(request.Headers)))
	words = putBytes(words, request.Body)
	words = append(words, flag(request.TimeoutMs != 0), request.TimeoutMs, flag(request.Auth != ""))
	return putText(words, request.Auth)
}

// Reads an answer, copied.
func answerIn(words []uint32) wire.Answer {
	const invalid, transport = 4, 5
	if words[0]&0xff != 0 {
		failed := &wire.HTTPError{Code: words[1] & 0xff}
		if failed.Code == invalid || failed.Code == transport {
			failed.Reason = textAt(words[2], words[3])
		}
		return wire.Answer{Error: failed}
	}
	found := wordsAt(words[2], words[3]*4)
	headers := make([]wire.Field, words[3])
	for i := range headers {
		field := found[i*4 : i*4+4]
		headers[i] = wire.Field{Name: textAt(field[0], field[1]), Value: kept(bytesAt(field[2], field[3]))}
	}
	response := wire.Response{Status: uint16(words[1]), Headers: headers, Body: kept(bytesAt(words[4], words[5]))}
	return wire.Answer{Response: response}
}
