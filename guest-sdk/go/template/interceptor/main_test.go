package main

import (
	"errors"
	"testing"

	"millrace/plugin"
	"millrace/plugin/plugintest"
)

func redacted(t *testing.T, options, body string) (string, string) {
	t.Helper()
	p, err := plugintest.Configure(configure, options)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := plugintest.Intercept(p, plugin.NewEvent(body))
	if err != nil {
		t.Fatal(err)
	}
	runs, _ := outcome.Kept[0].Header("redacted")
	return string(outcome.Kept[0].Body), runs
}

func TestRunsOf13To19DigitsAreMasked(t *testing.T) {
	for _, c := range []struct{ options, body, want, runs string }{
		{`{}`, "card 4111111111111111, thanks", "card ############1111, thanks", "1"},
		{`{}`, "1234567890123", "#########0123", "1"},
		{`{}`, "123456789012", "123456789012", ""},
		{`{}`, "1234567890123456789", "###############6789", "1"},
		{`{}`, "12345678901234567890", "12345678901234567890", ""},
		{`{}`, "4111111111111111 4111111111111111x4111111111111111", "############1111 ############1111x############1111", "3"},
		{`{"mask":"*","keep":0}`, "\xff4111111111111111\xfe", "\xff****************\xfe", "1"},
		{`{"keep":13}`, "1234567890123", "1234567890123", "1"},
		{`{}`, "", "", ""},
	} {
		if body, runs := redacted(t, c.options, c.body); body != c.want || runs != c.runs {
			t.Errorf("%q: found %q %q, wanted %q %q", c.body, body, runs, c.want, c.runs)
		}
	}
}

func TestOptionsThatMakeNoSenseAreIssues(t *testing.T) {
	_, err := plugintest.Configure(configure, `{"mask":"##","keep":14}`)
	var issues plugin.Issues
	if !errors.As(err, &issues) || len(issues) != 2 || issues[0].Path != "/mask" || issues[1].Path != "/keep" {
		t.Fatal(err)
	}
}
