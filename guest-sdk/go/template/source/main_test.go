package main

import (
	"testing"

	"millrace/plugin/plugintest"
	"millrace/plugin/source"
)

func TestItCountsFromOneToTheEnd(t *testing.T) {
	p, err := plugintest.Configure(configure, `{"up-to":3}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Open(nil); err != nil {
		t.Fatal(err)
	}
	events, polled, err := plugintest.Poll(p, source.Limits{Events: 2, Bytes: 100})
	if err != nil || len(events) != 2 || string(polled.Position) != "2" || polled.Pace != source.Now {
		t.Fatal(events, polled, err)
	}
	events, polled, err = plugintest.Poll(p, source.Limits{Events: 2, Bytes: 100})
	if err != nil || len(events) != 1 || string(events[0].Body) != "3" || polled.Pace != source.End {
		t.Fatal(events, polled, err)
	}
}

func TestItGoesOnBehindThePosition(t *testing.T) {
	p, _ := plugintest.Configure(configure, `{"up-to":1000,"pause-ms":5}`)
	if err := p.Open([]byte("998")); err != nil {
		t.Fatal(err)
	}
	events, polled, err := plugintest.Poll(p, source.Limits{Events: 10, Bytes: 3})
	if err != nil || len(events) != 1 || string(events[0].Body) != "999" || polled.Pace.String() != "after 5ms" {
		t.Fatal(events, polled, err)
	}
	if p.Open([]byte("x")) == nil {
		t.Fatal("a position that is no number is taken")
	}
}
