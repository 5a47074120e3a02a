package main

import (
	"encoding/json"
	"errors"
	"testing"

	"millrace/plugin"
	"millrace/plugin/plugintest"
)

func run(t *testing.T, options string, lines ...string) plugintest.Outcome {
	t.Helper()
	p, err := plugintest.Configure(configure, options)
	if err != nil {
		t.Fatal(err)
	}
	var events []plugin.Event
	for _, line := range lines {
		events = append(events, plugin.NewEvent(line))
	}
	outcome, err := plugintest.Intercept(p, events...)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func TestLinesBecomeJSON(t *testing.T) {
	for line, want := range map[string]string{
		`203.0.113.9 - bob [22/Nov/2026:10:00:00 +0100] "GET /a?b=c HTTP/1.1" 200 5 "https://x/" "Mozilla/5.0 (X11)"`: `{"time":"2026-11-22T10:00:00+01:00","client":"203.0.113.9","user":"bob","method":"GET","path":"/a?b=c","protocol":"HTTP/1.1","status":200,"bytes":5,"referer":"https://x/","agent":"Mozilla/5.0 (X11)"}`,
		`::1 - - [22/Nov/2026:10:00:00 +0000] "POST /form HTTP/1.0" 302 -`:                                            `{"time":"2026-11-22T10:00:00Z","client":"::1","user":null,"method":"POST","path":"/form","protocol":"HTTP/1.0","status":302,"bytes":0}`,
		`h - "us er" [22/Nov/2026:10:00:00 +0000] "GET /with a space" 400 0 "-" "-" rt=1`:                             `{"time":"2026-11-22T10:00:00Z","client":"h","user":"\"us er\"","method":"GET","path":"/with a space","protocol":null,"status":400,"bytes":0,"referer":null,"agent":null}`,
		`h - - [22/Nov/2026:10:00:00 +0000] "GET /say\"hi\"\x41\t\\ HTTP/1.1" 404 0 "\xff` + "\xfe" + `é" "a\x22b"`:   `{"time":"2026-11-22T10:00:00Z","client":"h","user":null,"method":"GET","path":"/say\"hi\"A\u0009\\","protocol":"HTTP/1.1","status":404,"bytes":0,"referer":"` + "\uFFFD\uFFFD" + `é","agent":"a\"b"}`,
	} {
		outcome := run(t, "{}", line)
		if len(outcome.Kept) != 1 || string(outcome.Kept[0].Body) != want {
			t.Errorf("found  %s %v\nwanted %s", outcome.Kept, outcome.Rejected, want)
		} else if !json.Valid(outcome.Kept[0].Body) {
			t.Errorf("no JSON: %s", outcome.Kept[0].Body)
		}
	}
}

func TestBadLinesAreRejectedWithTheReason(t *testing.T) {
	reasons := map[string][]string{
		"not a line of an access log":         {"", "[", "text", "h [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1"},
		"the time is none":                    {`h - - [t] "GET / HTTP/1.1" 200 1`, `h - - [32/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`},
		"the request has no end":              {`h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1\" 200`},
		"the request is no request of HTTP":   {`h - - [22/Nov/2026:10:00:00 +0000] "-" 400 0`, `h - - [22/Nov/2026:10:00:00 +0000] "\x16\x03 a" 400 0`, `h - - [22/Nov/2026:10:00:00 +0000] "GET  HTTP/1.1" 400 0`},
		"the status or the size is no number": {`h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 20`, `h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200`, `h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 2000 1`, `h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 x`, `h - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 99999999999999999999`},
	}
	for reason, lines := range reasons {
		outcome := run(t, "{}", lines...)
		if len(outcome.Rejected[reason]) != len(lines) {
			t.Errorf("%s: %v", reason, outcome)
		}
		if kept := run(t, `{"bad-lines":"keep"}`, lines...).Kept; len(kept) != len(lines) || string(kept[0].Body) != lines[0] {
			t.Errorf("%s: %v", reason, kept)
		}
	}
}

func TestFieldsBecomeHeaders(t *testing.T) {
	line := `h - bob [22/Nov/2026:10:00:00 +0000] "GET /a\x20b HTTP/1.1" 200 5`
	kept := run(t, `{"headers":["status","path","user","client","method"]}`, line).Kept[0]
	for name, want := range map[string]string{"status": "200", "path": "/a b", "user": "bob", "client": "h", "method": "GET"} {
		if found, _ := kept.Header(name); found != want {
			t.Errorf("%s: %q", name, found)
		}
	}
}

func TestOptionsThatMakeNoSenseAreIssues(t *testing.T) {
	_, err := plugintest.Configure(configure, `{"bad-lines":"drop","headers":"state"}`)
	var issues plugin.Issues
	if !errors.As(err, &issues) || len(issues) != 2 || issues[1].Path != "/headers/0" {
		t.Fatal(err)
	}
}
