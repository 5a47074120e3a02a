//go:build !wasip1

package plugintest

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"millrace/plugin"
	"millrace/plugin/internal/wire"
)

// What becomes of one row.
type row struct {
	event  plugin.Event
	gone   bool
	splits []plugin.Event
	route  string
}

// Apply applies edits to the events of a batch, as the agent does. An error is a broken rule: the agent would
// treat it as a fault of the plugin.
func Apply(events []plugin.Event, edits *plugin.Edits) (Outcome, error) {
	rows := make([]row, len(events))
	for i, event := range events {
		rows[i].event = plugin.Event{Headers: slices.Clone(event.Headers), Body: slices.Clone(event.Body)}
	}
	outcome := Outcome{Routed: map[string][]plugin.Event{}, Rejected: map[string][]plugin.Event{}}
	for i, edit := range edits.Wire() {
		if err := outcome.apply(rows, &edit); err != nil {
			return Outcome{}, fmt.Errorf("edit %d: %w", i, err)
		}
	}
	for _, row := range rows {
		kept := row.splits
		if !row.gone {
			kept = []plugin.Event{row.event}
		}
		if row.route != "" {
			outcome.Routed[row.route] = append(outcome.Routed[row.route], kept...)
		} else {
			outcome.Kept = append(outcome.Kept, kept...)
		}
	}
	return outcome, nil
}

func (o *Outcome) apply(rows []row, edit *wire.Edit) error {
	if err := check(rows, edit); err != nil {
		return err
	}
	switch edit.Kind {
	case wire.SetHeaderOnAll, wire.RemoveHeaderOnAll:
		for i := range rows {
			for s := range rows[i].splits {
				change(&rows[i].splits[s], edit, edit.Value)
			}
			if !rows[i].gone {
				change(&rows[i].event, edit, edit.Value)
			}
		}
		return nil
	case wire.Split:
		return split(rows, edit)
	}
	for n, i := range edit.Rows {
		row := &rows[i]
		switch edit.Kind {
		case wire.Drop:
			row.gone = true
			o.Dropped = append(o.Dropped, row.event)
		case wire.Reject:
			row.gone = true
			o.Rejected[edit.Label] = append(o.Rejected[edit.Label], row.event)
		case wire.SetBodies:
			row.event.Body = slices.Clone(at(edit.Packed, n))
		case wire.SetHeader:
			change(&row.event, edit, string(at(edit.Packed, min(n, len(edit.Packed.Ends)-1))))
		case wire.RemoveHeader:
			change(&row.event, edit, "")
		case wire.Route:
			row.route = edit.Label
		}
	}
	return nil
}

func check(rows []row, edit *wire.Edit) error {
	for n, i := range edit.Rows {
		switch {
		case int(i) >= len(rows):
			return fmt.Errorf("row %d of %d", i, len(rows))
		case n > 0 && edit.Rows[n-1] >= i:
			return fmt.Errorf("row %d behind row %d", i, edit.Rows[n-1])
		case rows[i].gone:
			return fmt.Errorf("row %d is gone already", i)
		}
	}
	if err := checkPacked(edit.Packed); err != nil {
		return err
	}
	count := len(edit.Packed.Ends)
	switch {
	case edit.Kind == wire.SetBodies && count != len(edit.Rows):
		return fmt.Errorf("%d bodies for %d rows", count, len(edit.Rows))
	case edit.Kind == wire.SetHeader && count != 1 && count != len(edit.Rows):
		return fmt.Errorf("%d values for %d rows", count, len(edit.Rows))
	case edit.Kind == wire.SetHeader && !utf8.Valid(edit.Packed.Bytes), !utf8.ValidString(edit.Label):
		return fmt.Errorf("a text is not UTF-8")
	case (edit.Kind == wire.SetHeader || edit.Kind == wire.SetHeaderOnAll) && edit.Label == "":
		return fmt.Errorf("a header without a name")
	}
	return nil
}

func checkPacked(packed wire.Packed) error {
	end := uint32(0)
	for _, next := range packed.Ends {
		if next < end {
			return fmt.Errorf("ends descend from %d to %d", end, next)
		}
		end = next
	}
	if int(end) != len(packed.Bytes) {
		return fmt.Errorf("the last end is %d, and there are %d bytes", end, len(packed.Bytes))
	}
	return nil
}

func change(event *plugin.Event, edit *wire.Edit, value string) {
	isIt := func(header plugin.Header) bool { return header.Name == edit.Label }
	i := slices.IndexFunc(event.Headers, isIt)
	switch isRemoval := edit.Kind == wire.RemoveHeader || edit.Kind == wire.RemoveHeaderOnAll; {
	case isRemoval:
		event.Headers = slices.DeleteFunc(event.Headers, isIt)
	case i >= 0:
		event.Headers[i].Value = value
	default:
		event.Headers = append(event.Headers, plugin.Header{Name: edit.Label, Value: value})
	}
}

func split(rows []row, edit *wire.Edit) error {
	list, err := listOf(edit.Events)
	if err != nil {
		return err
	}
	if len(edit.Counts) != len(edit.Rows) {
		return fmt.Errorf("%d counts for %d rows", len(edit.Counts), len(edit.Rows))
	}
	for n, count := range edit.Counts {
		if int(count) > len(list) {
			return fmt.Errorf("the counts are more than the events")
		}
		row := &rows[edit.Rows[n]]
		row.gone = true
		row.splits, list = list[:count:count], list[count:]
	}
	if len(list) > 0 {
		return fmt.Errorf("%d events more than the counts", len(list))
	}
	return nil
}

// Gives events one by one.
func listOf(events *wire.PackedEvents) ([]plugin.Event, error) {
	table := &events.Headers
	for _, packed := range []wire.Packed{table.Values, events.Bodies} {
		if err := checkPacked(packed); err != nil {
			return nil, err
		}
	}
	if len(table.Counts) != len(events.Bodies.Ends) || len(table.NameIDs) != len(table.Values.Ends) {
		return nil, fmt.Errorf("the columns differ in length")
	}
	list := make([]plugin.Event, len(table.Counts))
	n := 0
	for i, count := range table.Counts {
		list[i].Body = slices.Clone(at(events.Bodies, i))
		for range count {
			name := table.Names[table.NameIDs[n]]
			list[i].Headers = append(list[i].Headers, plugin.Header{Name: name, Value: string(at(table.Values, n))})
			n++
		}
	}
	if n != len(table.NameIDs) {
		return nil, fmt.Errorf("%d headers more than the counts", len(table.NameIDs)-n)
	}
	return list, nil
}

func at(packed wire.Packed, i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = packed.Ends[i-1]
	}
	return packed.Bytes[start:packed.Ends[i]]
}
