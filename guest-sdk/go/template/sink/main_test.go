package main

import (
	"testing"

	"millrace/plugin"
	"millrace/plugin/http"
	"millrace/plugin/plugintest"
	"millrace/plugin/sink"
)

func delivered(t *testing.T, status int, failed *http.Error) (string, string) {
	t.Helper()
	p, err := plugintest.Configure(configure, `{"url":"https://logs.example.com/v1"}`)
	if err != nil {
		t.Fatal(err)
	}
	sent := ""
	plugintest.NewHost(t).AnswerHTTP(func(request *http.Request) (*http.Response, *http.Error) {
		sent = request.Method + " " + string(request.Headers[1].Value) + " " + string(request.Body)
		return &http.Response{Status: status}, failed
	})
	events := []plugin.Event{plugin.NewEvent("one"), plugin.NewEvent("two")}
	_, err = plugintest.Deliver(p, sink.Delivery{ID: "d-1", Attempt: 1}, events...)
	if err != nil {
		return sent, err.Error()
	}
	return sent, "delivered"
}

func TestABatchIsOneRequestWithALinePerEvent(t *testing.T) {
	sent, became := delivered(t, 204, nil)
	if sent != "POST d-1 one\ntwo\n" || became != "delivered" {
		t.Fatal(sent, became)
	}
}

func TestAnswersSayWhatBecomesOfABatch(t *testing.T) {
	for status, want := range map[int]string{200: "delivered", 503: "try again", 429: "try again", 400: "rejected: the server answered 400"} {
		if _, became := delivered(t, status, nil); became != want {
			t.Errorf("%d: %s", status, became)
		}
	}
	if _, became := delivered(t, 0, http.ErrTransport); became != "try again" {
		t.Error(became)
	}
}
