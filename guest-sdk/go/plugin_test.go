package plugin_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"millrace/plugin"
	"millrace/plugin/clock"
	"millrace/plugin/http"
	"millrace/plugin/log"
	"millrace/plugin/metrics"
	"millrace/plugin/plugintest"
	"millrace/plugin/state"
)

func event(body string, headers ...string) plugin.Event {
	e := plugin.NewEvent(body)
	for i := 0; i < len(headers); i += 2 {
		e = e.With(headers[i], headers[i+1])
	}
	return e
}

// Bodies and headers of events, to be compared.
func shown(events []plugin.Event) []string {
	list := []string{}
	for _, e := range events {
		text := string(e.Body)
		for _, h := range e.Headers {
			text += " " + h.Name + "=" + h.Value
		}
		list = append(list, text)
	}
	return list
}

func applied(t *testing.T, events []plugin.Event, note func(edits *plugin.Edits)) plugintest.Outcome {
	t.Helper()
	var edits plugin.Edits
	// Memory of an earlier call must not show.
	edits.SetBody(0, []byte("old"))
	edits.SetHeader(0, "old", "old")
	edits.Drop(0)
	edits.Split(1, func(events *plugin.Events) { events.AddText("old").Header("old", "old") })
	edits.Reject(2, "old")
	edits.Reset()
	note(&edits)
	outcome, err := plugintest.Apply(events, &edits)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func same(t *testing.T, found, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(found, wanted) {
		t.Fatalf("found  %v\nwanted %v", found, wanted)
	}
}

func TestEveryWayToReadGivesTheSameEvents(t *testing.T) {
	batch := plugintest.Batch(event("one", "a", "1"), event("\x00\xff", "b", ""), event(""))
	same(t, batch.Len(), 3)
	same(t, batch.BodyBytes(), uint64(5))
	same(t, string(batch.Body(1)), "\x00\xff")
	var rows []string
	for row, body := range batch.Bodies().All() {
		rows = append(rows, string(body))
		same(t, body, batch.Bodies().At(row))
	}
	same(t, rows, []string{"one", "\x00\xff", ""})
	picked := batch.BodiesOf([]uint32{1, 0, 1})
	same(t, string(picked.At(2)), "\x00\xff")
	same(t, string(batch.BodyPart(0, 1, 100)), "ne")
	same(t, string(batch.BodyPart(0, 9, 1)), "")
	same(t, batch.HeaderNames(), []string{"a", "b"})
	value, ok := batch.Header(1, "b")
	same(t, []any{value, ok}, []any{"", true})
	_, ok = batch.Header(1, "a")
	same(t, ok, false)
	column := batch.HeaderColumn("a")
	same(t, column.Missing, []uint32{1, 2})
	for row, value := range column.All() {
		same(t, []any{row, string(value)}, []any{0, "1"})
	}
	bodies, headers := batch.Everything()
	same(t, bodies.Len(), 3)
	found, ok := headers.Get(1, "b")
	same(t, []any{string(found), ok}, []any{"", true})
	for name, value := range headers.Row(0) {
		same(t, []string{name, string(value)}, []string{"a", "1"})
	}
	same(t, shown([]plugin.Event{batch.Event(0)}), []string{"one a=1"})
}

func TestNothingNotedKeepsAll(t *testing.T) {
	var edits plugin.Edits
	same(t, edits.IsEmpty(), true)
	same(t, len(edits.Wire()), 0)
}

func TestEditsOfOneKindAreOneColumn(t *testing.T) {
	var edits plugin.Edits
	for row := range 100 {
		edits.SetHeader(row, "seen", "yes")
		edits.SetBody(row, []byte("x"))
		edits.SetHeader(row, "n", string(rune('a'+row%2)))
	}
	sent := edits.Wire()
	same(t, len(sent), 3)
	same(t, len(sent[0].Packed.Ends), 1)
	same(t, len(sent[1].Packed.Ends), 100)
	same(t, len(sent[2].Packed.Ends), 100)
}

func TestBodiesAndHeadersChange(t *testing.T) {
	events := []plugin.Event{event("a", "k", "1"), event("b", "k", "2"), event("c", "k", "3")}
	outcome := applied(t, events, func(edits *plugin.Edits) {
		edits.SetBody(2, []byte("C"))
		edits.SetBody(0, []byte("A"))
		edits.SetBody(0, []byte("AA"))
		edits.SetBodyFunc(1, func(out []byte) []byte { return append(out, "BB"...) })
		edits.SetHeader(0, "k", "same")
		edits.SetHeader(1, "k", "same")
		edits.SetHeader(1, "k", "other")
		edits.RemoveHeader(2, "k")
		edits.SetHeader(2, "k", "again")
		edits.SetHeaderOnAll("all", "x")
		edits.RemoveHeader(1, "all")
	})
	same(t, shown(outcome.Kept), []string{"AA k=same all=x", "BB k=other", "C k=again all=x"})
}

func TestWhatEndsAnEventComesBehindWhatChangesIt(t *testing.T) {
	events := []plugin.Event{event("a"), event("b"), event("c"), event("d"), event("e")}
	outcome := applied(t, events, func(edits *plugin.Edits) {
		edits.Drop(3)
		edits.Drop(0)
		edits.Drop(3)
		edits.Reject(1, "bad")
		edits.SetBody(3, []byte("D"))
		edits.SetHeader(1, "k", "v")
		edits.Split(2, func(events *plugin.Events) {
			events.AddText("c1").Header("n", "1")
			events.Add([]byte("c2")).HeaderBytes("n", []byte("2")).Header("m", "")
		})
		edits.Route(4, "audit")
		edits.SetHeaderOnAll("all", "x")
	})
	same(t, shown(outcome.Dropped), []string{"a", "D"})
	same(t, shown(outcome.Rejected["bad"]), []string{"b k=v"})
	same(t, shown(outcome.Kept), []string{"c1 n=1 all=x", "c2 n=2 m= all=x"})
	same(t, shown(outcome.Routed["audit"]), []string{"e all=x"})
}

func TestBrokenRulesAreFound(t *testing.T) {
	broken := map[string]func(edits *plugin.Edits){
		"out of range": func(edits *plugin.Edits) { edits.Drop(2) },
		"gone":         func(edits *plugin.Edits) { edits.Drop(0); edits.Reject(0, "x") },
		"no name":      func(edits *plugin.Edits) { edits.SetHeader(0, "", "x") },
		"not UTF-8":    func(edits *plugin.Edits) { edits.SetHeader(0, "a", "\xff") },
		"order":        func(edits *plugin.Edits) { edits.SetBodies([]uint32{1, 0}, plugin.PackedOf("a", "b")) },
	}
	for name, note := range broken {
		var edits plugin.Edits
		note(&edits)
		if _, err := plugintest.Apply([]plugin.Event{event("a"), event("b")}, &edits); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type config struct {
	Name   string   `json:"name" plugin:"required"`
	Level  int8     `json:"level"`
	Paths  []string `json:"paths"`
	On     bool     `json:"on"`
	Rate   float64  `json:"rate"`
	Limits struct {
		Low  uint `json:"low"`
		High uint `json:"high" plugin:"required"`
	} `json:"limits"`
	Other *int `json:"other"`
}

func (c *config) SetDefaults() { c.Level = 7 }

func read(options string) (config, plugin.Issues) {
	var c config
	issues := plugin.ReadConfig([]byte(options), &c)
	return c, issues
}

func TestOptionsAreRead(t *testing.T) {
	c, issues := read(`{"name":"n","paths":"one","on":true,"rate":1.5,"limits":{"low":1,"high":2},"other":3}`)
	same(t, issues, plugin.Issues(nil))
	same(t, []any{c.Name, c.Level, c.Paths, c.On, c.Rate, c.Limits.High, *c.Other},
		[]any{"n", int8(7), []string{"one"}, true, 1.5, uint(2), 3})
	c, issues = read(`{"name":"n","paths":["a","b"]}`)
	same(t, []any{c.Paths, issues}, []any{[]string{"a", "b"}, plugin.Issues(nil)})
}

func TestAllMistakesInOptionsAreReportedAtOnceWithTheirPlaces(t *testing.T) {
	_, issues := read(`{"level":300,"paths":["a",1],"on":"yes","rate":"x","limits":{"lo/w":1,"low":-1},"nmae":"x"}`)
	same(t, issues, plugin.Issues{
		{Path: "", Reason: `the option "name" is missing`},
		{Path: "/level", Reason: "expected an integer in range, found the number 300"},
		{Path: "/paths/1", Reason: "expected a text, found the number 1"},
		{Path: "/on", Reason: "expected true or false, found a text"},
		{Path: "/rate", Reason: "expected a number, found a text"},
		{Path: "/limits/low", Reason: "expected an integer in range, found the number -1"},
		{Path: "/limits", Reason: `the option "high" is missing`},
		{Path: "/limits/lo~1w", Reason: "unknown option; there are: low, high"},
		{Path: "/nmae", Reason: "unknown option; there are: name, level, paths, on, rate, limits, other"},
	})
	_, issues = read(`[]`)
	same(t, issues, plugin.Issues{{Path: "", Reason: "expected options, found a list"}})
	_, issues = read(`{`)
	same(t, issues, plugin.Issues{{Path: "", Reason: "expected JSON"}})
}

func TestIssuesOfConfigureComeBack(t *testing.T) {
	issue := plugin.Issue{Path: "/a", Reason: "wrong"}
	for _, err := range []error{issue, plugin.Issues{issue}} {
		configure := func(plugin.NoConfig, plugin.Instance) (int, error) { return 0, err }
		_, found := plugintest.Configure(configure, "{}")
		same(t, found, plugin.Issues{issue})
	}
	configure := func(plugin.NoConfig, plugin.Instance) (int, error) { return 0, errors.New("no rules") }
	_, found := plugintest.Configure(configure, "{}")
	same(t, found, plugin.Issues{{Reason: "no rules"}})
}

func TestErrorsSayWhatTheAgentShouldDo(t *testing.T) {
	for want, err := range map[string]error{
		"try again":                         plugin.Retry(time.Second),
		"rejected: no":                      plugin.Reject("no"),
		"fatal: broken":                     plugin.Fatal("broken"),
		"fatal: other":                      errors.New("other"),
		"fatal: http: not granted":          http.ErrDenied,
		"rejected: http: invalid request: ": http.ErrInvalid,
	} {
		same(t, plugin.FailureOf(err).Error(), want)
	}
	same(t, plugin.FailureOf(http.ErrTimeout).Error(), "try again")
	same(t, plugin.Retry(time.Second).Wire().AfterMs, int64(1000))
	same(t, plugin.Retry(0).Wire().AfterMs, int64(-1))
}

func TestTheAgentIsPlayed(t *testing.T) {
	host := plugintest.NewHost(t)
	log.Info("rules loaded", "count", 3)
	same(t, host.Lines(), []string{"rules loaded"})
	metrics.Add("sent", 2, "ok")
	metrics.Add("sent", 3, "ok")
	same(t, host.Metric("sent", "ok"), 5.0)
	host.SetClock(time.Unix(17, 5))
	same(t, clock.Now(), time.Unix(17, 5).UTC())

	sum, err := state.Increment("n", 2)
	same(t, []any{sum, err}, []any{int64(2), nil})
	sum, _ = state.Increment("n", -3)
	same(t, sum, int64(-1))
	same(t, state.Set("m", []byte("1")), error(nil))
	_, err = state.Increment("m", 1)
	same(t, errors.Is(err, state.ErrTooLarge), true)
	values, _ := state.GetMany([]string{"m", "x"})
	same(t, values, [][]byte{[]byte("1"), nil})
	keys, _ := state.Keys("", "m", 10)
	same(t, keys, []string{"n"})
	same(t, state.Delete("m"), error(nil))
	_, ok, _ := state.Get("m")
	same(t, ok, false)

	_, err = http.Send(&http.Request{URL: "http://a"})
	same(t, errors.Is(err, http.ErrDenied), true)
	host.AnswerHTTP(func(request *http.Request) (*http.Response, *http.Error) {
		if request.URL == "http://b" {
			return nil, http.ErrDNS
		}
		return &http.Response{Status: 200, Body: []byte(request.Method)}, nil
	})
	results := http.SendMany([]http.Request{{URL: "http://a"}, {URL: "http://b"}}, 2)
	same(t, string(results[0].Response.Body), "GET")
	same(t, errors.Is(results[1].Err, http.ErrDNS), true)
}

func TestRowsAreSortedAndKeptOnce(t *testing.T) {
	var edits plugin.Edits
	edits.DropRows([]uint32{5, 1, 5, 3})
	if rows := edits.Wire()[0].Rows; !slices.Equal(rows, []uint32{1, 3, 5}) {
		t.Fatal(rows)
	}
}
