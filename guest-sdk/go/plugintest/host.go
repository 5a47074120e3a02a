//go:build !wasip1

package plugintest

import (
	"testing"
	"time"

	"millrace/plugin/http"
	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
)

// Host plays the agent: log lines and metrics are collected, state is a map, HTTP is answered by a function.
type Host struct{}

// NewHost begins with nothing, for one test. Tests that use it do not run in parallel.
func NewHost(t testing.TB) Host {
	t.Helper()
	clear := func() {
		host.Fake.Lines, host.Fake.Metrics, host.Fake.State = nil, nil, nil
		host.Fake.HTTP, host.Fake.UnixNs = nil, 0
	}
	clear()
	t.Cleanup(clear)
	return Host{}
}

// Lines gives the log lines so far.
func (Host) Lines() []string {
	var lines []string
	for _, line := range host.Fake.Lines {
		lines = append(lines, line.Text)
	}
	return lines
}

// Metric gives the value of a metric with these labels.
func (Host) Metric(name string, labels ...string) float64 {
	for _, label := range labels {
		name += "," + label
	}
	return host.Fake.Metrics[name]
}

// State gives the value of a key.
func (Host) State(key string) ([]byte, bool) {
	value, ok := host.Fake.State[key]
	return value, ok
}

// SetClock stops the clock at a time.
func (Host) SetClock(now time.Time) { host.Fake.UnixNs = uint64(now.UnixNano()) }

// AnswerHTTP sets what answers requests. Without it they are denied. An error is one of package http.
func (Host) AnswerHTTP(answer func(request *http.Request) (*http.Response, *http.Error)) {
	host.Fake.HTTP = func(asked *wire.Request) wire.Answer {
		request := &http.Request{
			Method: asked.Method, URL: asked.URL, Body: asked.Body, Auth: asked.Auth,
			Timeout: time.Duration(asked.TimeoutMs) * time.Millisecond,
		}
		for _, field := range asked.Headers {
			request.Headers = append(request.Headers, http.Header(field))
		}
		response, failed := answer(request)
		if failed != nil {
			return wire.Answer{Error: failed.Wire()}
		}
		made := wire.Response{Status: uint16(response.Status), Body: response.Body}
		for _, header := range response.Headers {
			made.Headers = append(made.Headers, wire.Field(header))
		}
		return wire.Answer{Response: made}
	}
}
