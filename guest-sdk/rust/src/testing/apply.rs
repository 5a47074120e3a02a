//! Applies edits as the interface says, rule by rule. Slow and plain on purpose: it is what tests trust.

use crate::bindings::millrace::plugin::types::{self, Edit};
use crate::{Batch, Edits, Event, Headers, Packed};

/// What became of the events of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What passes on to the selector, in order.
    pub kept: Vec<Event>,
    /// What was dropped, as it was lent.
    pub dropped: Vec<Event>,
    /// What goes to a channel by name.
    pub routed: Vec<(String, Event)>,
    /// What goes to the dead-letter channel, with the reason, as it was lent.
    pub rejected: Vec<(String, Event)>,
}

/// What a row has become so far.
enum Row {
    There { events: Vec<Event>, channel: Option<String>, is_split: bool },
    Dropped,
    Rejected(String),
}

/// Applies edits to a batch, or says which rule they break.
pub fn apply(batch: &Batch, edits: Edits) -> Result<Outcome, String> {
    let original: Vec<Event> = (0..batch.count()).map(|row| batch.event(row)).collect();
    let mut rows: Vec<Row> = original
        .iter()
        .map(|event| Row::There { events: vec![event.clone()], channel: None, is_split: false })
        .collect();
    for edit in edits.finish() {
        apply_one(&mut rows, edit)?;
    }
    let mut outcome = Outcome::default();
    for (row, event) in rows.into_iter().zip(original) {
        match row {
            Row::There { events, channel: None, .. } => outcome.kept.extend(events),
            Row::There { events, channel: Some(channel), .. } => {
                outcome.routed.extend(events.into_iter().map(|event| (channel.clone(), event)));
            }
            Row::Dropped => outcome.dropped.push(event),
            Row::Rejected(reason) => outcome.rejected.push((reason, event)),
        }
    }
    Ok(outcome)
}

fn apply_one(rows: &mut [Row], edit: Edit) -> Result<(), String> {
    match edit {
        Edit::Drop(numbers) => each(rows, &numbers, |_, row| *row = Row::Dropped),
        Edit::Reject(rejected) => {
            each(rows, &rejected.rows, |_, row| *row = Row::Rejected(rejected.label.clone()))
        }
        Edit::Route(routed) => each(rows, &routed.rows, |_, row| {
            if let Row::There { channel, .. } = row {
                *channel = Some(routed.label.clone());
            }
        }),
        Edit::SetBodies(edit) => {
            let bodies = checked(edit.bodies, edit.rows.len())?;
            each_event(rows, &edit.rows, |place, event| event.body = bodies[place].to_vec())
        }
        Edit::SetHeader(edit) => {
            let is_shared = edit.values.ends.len() == 1;
            let count = if is_shared { 1 } else { edit.rows.len() };
            let values = texts(edit.values, count)?;
            each_event(rows, &edit.rows, |place, event| {
                event.set_header(&edit.name, &values[if is_shared { 0 } else { place as usize }]);
            })
        }
        Edit::RemoveHeader(edit) => each_event(rows, &edit.rows, |_, event| remove(event, &edit.name)),
        Edit::SetHeaderOnAll((name, value)) => {
            on_all(rows, |event| event.set_header(&name, &value));
            Ok(())
        }
        Edit::RemoveHeaderOnAll(name) => {
            on_all(rows, |event| remove(event, &name));
            Ok(())
        }
        Edit::Split(splits) => split(rows, splits),
    }
}

fn split(rows: &mut [Row], splits: types::Splits) -> Result<(), String> {
    let total: usize = splits.counts.iter().map(|count| *count as usize).sum();
    if splits.counts.len() != splits.rows.len() {
        return Err("a split needs one count for each row".into());
    }
    let mut new = unpack(splits.events, total)?.into_iter();
    let counts = splits.counts;
    each(rows, &splits.rows, |place, row| {
        if let Row::There { events, is_split, .. } = row {
            *events = new.by_ref().take(counts[place as usize] as usize).collect();
            *is_split = true;
        }
    })
}

/// Takes events out of the form that crosses the boundary, after checking that it adds up.
pub(super) fn unpack(events: types::PackedEvents, count: usize) -> Result<Vec<Event>, String> {
    let bodies = checked(events.bodies, count)?;
    let names = events.headers.name_ids.len();
    let is_whole = events.headers.counts.iter().map(|count| *count as usize).sum::<usize>() == names;
    if events.headers.counts.len() != count || !is_whole {
        return Err(format!("{count} events need headers that add up"));
    }
    texts(events.headers.values.clone(), names)?;
    let headers = Headers::from(events.headers);
    let event = |number: u32| {
        let mut event = Event::new(&bodies[number]);
        for (name, value) in headers.row(number) {
            event.set_header(name, value);
        }
        event
    };
    Ok((0..count as u32).map(event).collect())
}

/// Changes the named rows, after checking that they ascend, are in range and still there.
fn each(rows: &mut [Row], numbers: &[u32], mut change: impl FnMut(u32, &mut Row)) -> Result<(), String> {
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(format!("rows do not ascend: {numbers:?}"));
    }
    for (place, number) in numbers.iter().enumerate() {
        let row = rows.get_mut(*number as usize);
        let row = row.ok_or_else(|| format!("row {number} is out of range"))?;
        if !matches!(row, Row::There { is_split: false, .. }) {
            return Err(format!("row {number} has ended already"));
        }
        change(place as u32, row);
    }
    Ok(())
}

fn each_event(
    rows: &mut [Row],
    numbers: &[u32],
    mut change: impl FnMut(u32, &mut Event),
) -> Result<(), String> {
    each(rows, numbers, |place, row| {
        if let Row::There { events, .. } = row {
            events.iter_mut().for_each(|event| change(place, event));
        }
    })
}

fn on_all(rows: &mut [Row], mut change: impl FnMut(&mut Event)) {
    for row in rows {
        if let Row::There { events, .. } = row {
            events.iter_mut().for_each(&mut change);
        }
    }
}

fn remove(event: &mut Event, name: &str) {
    event.headers.retain(|(key, _)| key != name);
}

fn checked(packed: types::Packed, count: usize) -> Result<Packed, String> {
    let is_whole = packed.ends.last().copied().unwrap_or(0) as usize == packed.bytes.len();
    if packed.ends.len() != count || !packed.ends.is_sorted() || !is_whole {
        return Err(format!("expected {count} strings, got {} that do not add up", packed.ends.len()));
    }
    Ok(packed.into())
}

fn texts(packed: types::Packed, count: usize) -> Result<Vec<String>, String> {
    let values = checked(packed, count)?;
    let text = |value: &[u8]| {
        String::from_utf8(value.to_vec()).map_err(|_| "a header value is not UTF-8".to_owned())
    };
    values.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::batch;

    fn error(edit: Edit) -> String {
        let mut edits = Edits::default();
        edits.push(edit);
        apply(&batch(vec![Event::new("a"), Event::new("b")]), edits).unwrap_err()
    }

    #[test]
    fn edits_that_break_a_rule_are_refused() {
        assert_eq!(error(Edit::Drop(vec![2])), "row 2 is out of range");
        assert_eq!(error(Edit::Drop(vec![1, 0])), "rows do not ascend: [1, 0]");
        assert_eq!(error(Edit::Drop(vec![1, 1])), "rows do not ascend: [1, 1]");
        let packed = types::Packed { bytes: vec![0xff], ends: vec![1] };
        let header = types::HeaderEdit { name: "k".into(), rows: vec![0], values: packed.clone() };
        assert_eq!(error(Edit::SetHeader(header)), "a header value is not UTF-8");
        let bodies = types::BodyEdits { rows: vec![0, 1], bodies: packed };
        assert_eq!(error(Edit::SetBodies(bodies)), "expected 2 strings, got 1 that do not add up");
    }

    #[test]
    fn a_row_ends_once() {
        let mut edits = Edits::default();
        edits.push(Edit::Drop(vec![0]));
        edits.push(Edit::Drop(vec![0]));
        assert_eq!(apply(&batch(vec![Event::new("a")]), edits).unwrap_err(), "row 0 has ended already");
    }

    #[test]
    fn every_edit_does_what_it_says() {
        let events = ["a", "b", "c", "d", "e"].map(|body| Event::new(body).with_header("k", "v"));
        let mut edits = Edits::default();
        edits.set_body(0, b"A");
        edits.remove_header(0, "k");
        edits.drop(1);
        edits.reject(2, "why");
        edits.route(3, "fast");
        edits.split(4, |events| {
            events.push(b"e1").header("n", "1");
        });
        edits.remove_header_on_all("n");
        let outcome = apply(&batch(events.to_vec()), edits).unwrap();
        assert_eq!(outcome.kept, [Event::new("A"), Event::new("e1")]);
        assert_eq!(outcome.dropped, [events[1].clone()]);
        assert_eq!(outcome.rejected, [("why".to_owned(), events[2].clone())]);
        assert_eq!(outcome.routed, [("fast".to_owned(), events[3].clone())]);
    }
}
