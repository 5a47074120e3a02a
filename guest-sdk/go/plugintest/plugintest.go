//go:build !wasip1

// Package plugintest runs plugins in a plain `go test`, without an agent: it makes batches from events, and applies
// edits as the agent does, with all its rules. What a plugin asks of the agent is played, see Host.
package plugintest

import (
	"fmt"

	"millrace/plugin"
	"millrace/plugin/codec"
	"millrace/plugin/interceptor"
	"millrace/plugin/internal/guest"
	"millrace/plugin/internal/host"
	"millrace/plugin/internal/wire"
	"millrace/plugin/sink"
	"millrace/plugin/source"
)

// Configure makes a plugin from options, a JSON object. An error is plugin.Issues.
func Configure[C, P any](configure func(C, plugin.Instance) (P, error), options string) (P, error) {
	instance := plugin.Instance{Agent: "test", Component: "plugin", Lanes: 1, Generation: 1}
	made, found := guest.Configure(configure, []byte(options), instance)
	var issues plugin.Issues
	for _, issue := range found {
		issues.Add(issue.Path, issue.Reason)
	}
	if err := issues.Err(); err != nil {
		var none P
		return none, err
	}
	return made.(P), nil
}

// Batch makes a batch that holds events.
func Batch(events ...plugin.Event) *plugin.Batch {
	held := make([]wire.Event, len(events))
	for i, event := range events {
		held[i].Body = event.Body
		for _, header := range event.Headers {
			held[i].Headers = append(held[i].Headers, wire.Header(header))
		}
	}
	batch := new(plugin.Batch)
	batch.Lent(host.Batch{Held: held, FormedNs: 1_700_000_000_000_000_000})
	return batch
}

// Outcome is what became of a batch.
type Outcome struct {
	// Kept is what goes on to the channels of the source, in order.
	Kept []plugin.Event
	// Dropped is what ended.
	Dropped []plugin.Event
	// Routed is what went to a channel of its own, by its name.
	Routed map[string][]plugin.Event
	// Rejected is what went to the dead-letter channel, by reason.
	Rejected map[string][]plugin.Event
}

// Intercept runs one call of an interceptor.
func Intercept(p interceptor.Interceptor, events ...plugin.Event) (Outcome, error) {
	batch := Batch(events...)
	var edits plugin.Edits
	if err := p.Intercept(batch, &edits); err != nil {
		return Outcome{}, plugin.FailureOf(err)
	}
	return Apply(events, &edits)
}

// Poll runs one call of a source.
func Poll(p source.Source, limits source.Limits) ([]plugin.Event, source.Polled, error) {
	var events plugin.Events
	polled, err := p.Poll(limits, &events)
	if err != nil {
		return nil, polled, plugin.FailureOf(err)
	}
	list, err := listOf(events.Wire())
	if err == nil && (len(list) > limits.Events || events.Bytes() > limits.Bytes) {
		err = fmt.Errorf("%d events of %d bytes are more than was asked for", len(list), events.Bytes())
	}
	return list, polled, err
}

// Refusal is a row that a sink did not take.
type Refusal struct {
	Row int
	// Reason: empty for a row that should come again.
	Reason string
}

// Deliver runs one call of a sink.
func Deliver(p sink.Sink, delivery sink.Delivery, events ...plugin.Event) ([]Refusal, error) {
	var refused sink.Refused
	if err := p.Deliver(Batch(events...), delivery, &refused); err != nil {
		return nil, plugin.FailureOf(err)
	}
	var rows []Refusal
	for i, refusal := range refused.Wire() {
		if int(refusal.Row) >= len(events) || (i > 0 && refused.Wire()[i-1].Row >= refusal.Row) {
			return nil, fmt.Errorf("row %d is out of range or out of order", refusal.Row)
		}
		rows = append(rows, Refusal{int(refusal.Row), refusal.Failure.Reason})
	}
	return rows, nil
}

// Decode runs one call of a codec: the events of each frame, and the reasons of those that were refused.
func Decode(p codec.Codec, frames ...string) ([][]plugin.Event, map[int]string, error) {
	packed := plugin.PackedOf(frames...)
	var decoded codec.Decoded
	if err := p.Decode(&packed, &decoded); err != nil {
		return nil, nil, plugin.FailureOf(err)
	}
	events, counts, refused := decoded.Wire()
	list, err := listOf(events)
	if err != nil || len(counts) != len(frames) {
		return nil, nil, fmt.Errorf("%d counts for %d frames: %w", len(counts), len(frames), err)
	}
	made := make([][]plugin.Event, len(frames))
	for i, count := range counts {
		made[i], list = list[:count], list[count:]
	}
	reasons := map[int]string{}
	for _, refusal := range refused {
		reasons[int(refusal.Row)] = refusal.Failure.Reason
	}
	return made, reasons, nil
}
