//! Random answers, right and wrong, against a model that applies one edit to one row at a time.

use bytestring::ByteString;
use millrace_core::{Batch, Destination, Event, Rejection};
use proptest::{collection::vec, prelude::*};

use super::{Rules, apply, check, tests::packed};
use crate::bindings::{
    BodyEdits, Edit, HeaderEdit, HeaderRemoval, HeaderTable, LabelledRows, PackedEvents, Splits,
};

const COUNT: u32 = 6;

type Named = Vec<(String, String)>;

#[derive(Debug, Clone, PartialEq)]
struct Row {
    body: Vec<u8>,
    headers: Named,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    There(Row),
    Routed(Row, String),
    Rejected(Row, String),
    Replaced(Vec<Row>),
}

fn set(headers: &mut Named, name: &str, value: &str) {
    match headers.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value.to_owned(),
        None => headers.push((name.to_owned(), value.to_owned())),
    }
}

/// The rows and what an edit does to each; None: the edit breaks a rule.
fn model(edits: &[Edit]) -> Option<Vec<State>> {
    let row = |row: u32| Row { body: row.to_string().into(), headers: vec![("k".into(), "v".into())] };
    let mut states: Vec<State> = (0..COUNT).map(|number| State::There(row(number))).collect();
    for edit in edits {
        if !rows_of(edit).is_sorted_by(|a, b| a < b) {
            return None;
        }
        for (index, at) in rows_of(edit).iter().enumerate() {
            let state = states.get_mut(*at as usize)?;
            let (State::There(row) | State::Routed(row, _)) = state else { return None };
            match edit {
                Edit::Drop(_) => *state = State::Replaced(vec![]),
                Edit::SetBodies(edit) => row.body = value(&edit.bodies, index),
                Edit::SetHeader(edit) => {
                    let index = if edit.values.ends.len() == 1 { 0 } else { index };
                    set(
                        &mut row.headers,
                        &edit.name,
                        &String::from_utf8(value(&edit.values, index)).unwrap(),
                    );
                }
                Edit::RemoveHeader(edit) => row.headers.retain(|(name, _)| *name != edit.name),
                Edit::Route(edit) => {
                    if edit.label != "audit" {
                        return None;
                    }
                    *state = State::Routed(row.clone(), edit.label.clone());
                }
                Edit::Reject(edit) => *state = State::Rejected(row.clone(), edit.label.clone()),
                Edit::Split(edit) => {
                    let before: u32 = edit.counts[..index].iter().sum();
                    let bodies = (0..edit.counts[index])
                        .map(|number| value(&edit.events.bodies, (before + number) as usize));
                    *state = State::Replaced(bodies.map(|body| Row { body, headers: vec![] }).collect());
                }
                _ => {}
            }
        }
        let change = |row: &mut Row| match edit {
            Edit::SetHeaderOnAll((name, value)) => set(&mut row.headers, name, value),
            Edit::RemoveHeaderOnAll(name) => row.headers.retain(|(known, _)| known != name),
            _ => {}
        };
        for state in &mut states {
            match state {
                State::There(row) | State::Routed(row, _) => change(row),
                State::Replaced(rows) => rows.iter_mut().for_each(change),
                State::Rejected(..) => {}
            }
        }
        if matches!(edit, Edit::Route(rows) if rows.label != "audit") {
            return None;
        }
    }
    Some(states)
}

fn rows_of(edit: &Edit) -> &[u32] {
    match edit {
        Edit::Drop(rows) => rows,
        Edit::SetBodies(edit) => &edit.rows,
        Edit::SetHeader(edit) => &edit.rows,
        Edit::RemoveHeader(edit) => &edit.rows,
        Edit::Split(edit) => &edit.rows,
        Edit::Route(edit) | Edit::Reject(edit) => &edit.rows,
        Edit::SetHeaderOnAll(_) | Edit::RemoveHeaderOnAll(_) => &[],
    }
}

fn value(packed: &crate::bindings::Packed, index: usize) -> Vec<u8> {
    let start = if index == 0 { 0 } else { packed.ends[index - 1] as usize };
    packed.bytes[start..packed.ends[index] as usize].to_vec()
}

fn shown(event: &Event) -> Row {
    let headers = event.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Row { body: event.body.to_vec(), headers }
}

/// Mostly ascending rows in range, now and then not.
fn rows() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        9 => proptest::sample::subsequence((0..COUNT).collect::<Vec<_>>(), 0..=3),
        1 => vec(0..COUNT + 1, 0..3),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || proptest::sample::select(vec!["k", "a", "ä"]).prop_map(str::to_owned);
    let labelled = |labels: Vec<&'static str>| {
        (rows(), proptest::sample::select(labels))
            .prop_map(|(rows, label)| LabelledRows { label: label.to_owned(), rows })
    };
    prop_oneof![
        rows().prop_map(Edit::Drop),
        rows().prop_map(|rows| {
            let bodies: Vec<_> = rows.iter().map(|row| format!("body {row}")).collect();
            let bodies = packed(&bodies.iter().map(String::as_bytes).collect::<Vec<_>>());
            Edit::SetBodies(BodyEdits { rows, bodies })
        }),
        (rows(), name(), any::<bool>()).prop_map(|(rows, name, one)| {
            let count = if one { 1 } else { rows.len() };
            let values: Vec<_> = (0..count).map(|number| number.to_string()).collect();
            let values = packed(&values.iter().map(String::as_bytes).collect::<Vec<_>>());
            Edit::SetHeader(HeaderEdit { name, rows, values })
        }),
        name().prop_map(|name| Edit::SetHeaderOnAll((name, "all".into()))),
        (rows(), name()).prop_map(|(rows, name)| Edit::RemoveHeader(HeaderRemoval { name, rows })),
        name().prop_map(Edit::RemoveHeaderOnAll),
        (rows(), 0..4_u32).prop_map(|(rows, copies)| {
            let counts = vec![copies; rows.len()];
            let count = rows.len() * copies as usize;
            let bodies: Vec<_> = (0..count).map(|number| format!("part {number}")).collect();
            let bodies = packed(&bodies.iter().map(String::as_bytes).collect::<Vec<_>>());
            let headers = HeaderTable { counts: vec![0; count], ..HeaderTable::default() };
            Edit::Split(Splits { rows, counts, events: PackedEvents { headers, bodies } })
        }),
        labelled(vec!["audit", "audit", "other"]).prop_map(Edit::Route),
        labelled(vec!["reason"]).prop_map(Edit::Reject),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn answers_do_what_the_model_says_or_nothing(edits in vec(edit(), 0..6)) {
        let events = (0..COUNT).map(|row| {
            let headers = [(ByteString::from_static("k"), ByteString::from_static("v"))].into_iter().collect();
            Event::with_headers(headers, row.to_string())
        });
        let batch = Batch::new(events.collect());
        let channels = ["audit".into()];
        let changes = check(edits.clone(), &Rules { batch: &batch, channels: &channels });
        let expected = model(&edits);
        prop_assert_eq!(changes.is_ok(), expected.is_some(), "{:?} {:?}", edits, changes);
        let (Ok(changes), Some(expected)) = (changes, expected) else { return Ok(()) };
        let after = apply(batch, changes, |reason| Rejection::new("plugin", reason));
        let (mut kept, mut diverted) = (Vec::new(), Vec::new());
        for state in expected {
            match state {
                State::There(row) => kept.push(row),
                State::Replaced(rows) => kept.extend(rows),
                State::Routed(row, label) | State::Rejected(row, label) => diverted.push((row, label)),
            }
        }
        prop_assert_eq!(after.iter().map(shown).collect::<Vec<_>>(), kept);
        let found: Vec<_> = after.diverted().iter().map(|one| {
            let label = match &one.destination {
                Destination::Channel(name) => name.to_string(),
                Destination::DeadLetter(rejection) => rejection.reason.to_string(),
            };
            (shown(&one.event), label)
        }).collect();
        prop_assert_eq!(found, diverted);
    }
}
