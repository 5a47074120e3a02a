// A source that counts: its events are the numbers from 1 on.
//
// A place to begin: what Poll reads, and what the position says about where reading stands. The agent stores the
// position in the same commit as the events, so no number is lost or comes twice, whatever happens.
package main

import (
	"fmt"
	"strconv"
	"time"

	"millrace/plugin"
	"millrace/plugin/source"
)

// Config has the options, as they stand in the configuration of the agent.
type Config struct {
	// UpTo is the last number.
	UpTo uint64 `json:"up-to"`
	// PauseMs is how long to wait between two answers, in milliseconds.
	PauseMs int64 `json:"pause-ms"`
}

// SetDefaults says what holds for options that are not there.
func (c *Config) SetDefaults() { c.UpTo = 1000 }

// MyPlugin counts.
type MyPlugin struct {
	upTo  uint64
	pause time.Duration
	// The last number that was returned.
	last uint64
}

func configure(config Config, _ plugin.Instance) (*MyPlugin, error) {
	var issues plugin.Issues
	if config.UpTo == 0 {
		issues.Add("/up-to", "expected 1 or more")
	}
	if config.PauseMs < 0 {
		issues.Add("/pause-ms", "expected 0 or more")
	}
	pause := time.Duration(config.PauseMs) * time.Millisecond
	return &MyPlugin{upTo: config.UpTo, pause: pause}, issues.Err()
}

// Open goes on behind the last number that was committed.
func (p *MyPlugin) Open(position []byte) error {
	p.last = 0
	if position == nil {
		return nil
	}
	last, err := strconv.ParseUint(string(position), 10, 64)
	if err != nil {
		return plugin.Fatal(fmt.Sprintf("the position %q is no number", position))
	}
	p.last = last
	return nil
}

// Poll returns the next numbers.
func (p *MyPlugin) Poll(limits source.Limits, events *plugin.Events) (source.Polled, error) {
	var text []byte
	for p.last < p.upTo && events.Len() < limits.Events {
		text = strconv.AppendUint(text[:0], p.last+1, 10)
		if events.Bytes()+len(text) > limits.Bytes {
			break
		}
		events.Add(text).Header("source", "my-plugin")
		p.last++
	}
	pace := source.Now
	if p.last >= p.upTo {
		pace = source.End
	} else if p.pause > 0 {
		pace = source.After(p.pause)
	}
	return source.Polled{Position: strconv.AppendUint(nil, p.last, 10), Pace: pace}, nil
}

func init() { source.Export(configure) }

func main() {}
