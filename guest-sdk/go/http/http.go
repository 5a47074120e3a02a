// Package http sends requests, carried out by the agent: only to origins that the operator granted, without
// following redirects. Secrets are added by the agent and never seen by the plugin. Errors of this package say what
// the agent should do when they are returned from the call.
package http

import (
	"time"

	"millrace/plugin"
	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
)

// Request is one request.
type Request struct {
	// Method is GET, POST and so on; empty is GET.
	Method string
	// URL has scheme, host and, where it has one, port.
	URL string
	// Headers. Host, content-length and connection are the agent's own.
	Headers []Header
	Body    []byte
	// Timeout is how long it may take at most. 0: what is left of the time of the call.
	Timeout time.Duration
	// Auth is the name of a granted secret, empty for none.
	Auth string
}

// Header is a header of a request or response; the names of a response are in lower case.
type Header struct {
	Name  string
	Value []byte
}

// Response is one response, whatever its status.
type Response struct {
	Status  int
	Headers []Header
	Body    []byte
}

// Header gives the first header of this name, in lower case.
func (r *Response) Header(name string) (string, bool) {
	for _, header := range r.Headers {
		if header.Name == name {
			return string(header.Value), true
		}
	}
	return "", false
}

// Result is a response, or why there is none.
type Result struct {
	Response *Response
	Err      error
}

// Send sends one request.
func Send(request *Request) (*Response, error) {
	asked := request.wire()
	answer := host.HTTPSend(&asked)
	result := resultOf(&answer)
	return result.Response, result.Err
}

// SendMany sends many requests, at most parallel of them at a time, and gives the results in their order.
func SendMany(requests []Request, parallel int) []Result {
	asked := make([]wire.Request, len(requests))
	for i := range requests {
		asked[i] = requests[i].wire()
	}
	answers := host.HTTPSendMany(asked, uint32(parallel))
	results := make([]Result, len(answers))
	for i := range answers {
		results[i] = resultOf(&answers[i])
	}
	return results
}

func (r *Request) wire() wire.Request {
	headers := make([]wire.Field, len(r.Headers))
	for i, header := range r.Headers {
		headers[i] = wire.Field(header)
	}
	method := r.Method
	if method == "" {
		method = "GET"
	}
	timeout := uint32(0)
	if r.Timeout > 0 {
		timeout = uint32(min(max(r.Timeout.Milliseconds(), 1), 1<<32-1))
	}
	return wire.Request{
		Method: method, URL: r.URL, Headers: headers, Body: r.Body, TimeoutMs: timeout, Auth: r.Auth,
	}
}

func resultOf(answer *wire.Answer) Result {
	if answer.Error != nil {
		return Result{Err: &Error{answer.Error.Code, answer.Error.Reason}}
	}
	headers := make([]Header, len(answer.Response.Headers))
	for i, header := range answer.Response.Headers {
		headers[i] = Header(header)
	}
	response := &Response{int(answer.Response.Status), headers, answer.Response.Body}
	return Result{Response: response}
}

// Error is why there is no response.
type Error struct {
	code   uint32
	reason string
}

// Why there is no response, for errors.Is.
var (
	// ErrDenied: the origin, its address, or the secret is not granted.
	ErrDenied = &Error{code: 0}
	// ErrDNS: the name could not be resolved.
	ErrDNS = &Error{code: 1}
	// ErrTimeout: too slow.
	ErrTimeout = &Error{code: 2}
	// ErrTooLarge: the response is larger than the agent allows.
	ErrTooLarge = &Error{code: 3}
	// ErrInvalid: the request makes no sense.
	ErrInvalid = &Error{code: 4}
	// ErrTransport: the connection failed.
	ErrTransport = &Error{code: 5}
)

// Error tells the reason.
func (e *Error) Error() string {
	texts := [...]string{
		"not granted", "the name could not be resolved", "too slow", "the response is too large",
		"invalid request: " + e.reason, e.reason,
	}
	return "http: " + texts[min(int(e.code), len(texts)-1)]
}

// Is says whether two errors are of one kind.
func (e *Error) Is(other error) bool {
	o, ok := other.(*Error)
	return ok && o.code == e.code
}

// Failure says what the agent should do about it: try again if that may help.
func (e *Error) Failure() *plugin.Failure {
	switch e.code {
	case ErrDNS.code, ErrTimeout.code, ErrTransport.code:
		return plugin.Retry(0)
	case ErrDenied.code:
		return plugin.Fatal(e.Error())
	default:
		return plugin.Reject(e.Error())
	}
}

// Wire gives the error, for the packages of this SDK.
func (e *Error) Wire() *wire.HTTPError { return &wire.HTTPError{Code: e.code, Reason: e.reason} }
