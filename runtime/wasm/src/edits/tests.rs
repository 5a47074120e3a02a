use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Batch, Destination, Event, Headers, Rejection};

use super::{ADDED_BYTES_MAX, EditError, HEADER_VALUE_BYTES_MAX, Rules, SPLIT_EVENTS_MAX, apply, check};
use crate::bindings::{
    BodyEdits, Edit, HeaderEdit, HeaderRemoval, HeaderTable, LabelledRows, Packed, PackedEvents, Splits,
};

fn batch(count: usize) -> Batch {
    let headers: Headers =
        [(ByteString::from_static("k"), ByteString::from_static("v"))].into_iter().collect();
    Batch::new((0..count).map(|row| Event::with_headers(headers.clone(), row.to_string())).collect())
}

pub(super) fn packed(values: &[&[u8]]) -> Packed {
    let mut ends = Vec::new();
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(value);
        ends.push(bytes.len() as u32);
    }
    Packed { bytes: bytes.into(), ends }
}

fn run(batch: Batch, edits: Vec<Edit>) -> Result<Batch, EditError> {
    let channels = ["audit".into()];
    let changes = check(edits, &Rules { batch: &batch, channels: &channels })?;
    Ok(apply(batch, changes, |reason| Rejection::new("plugin", reason)))
}

fn fails(edits: Vec<Edit>) -> EditError {
    run(batch(4), edits).unwrap_err()
}

fn shown(batch: &Batch) -> Vec<String> {
    batch.iter().map(event).collect()
}

fn event(event: &Event) -> String {
    let headers: Vec<_> = event.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", String::from_utf8_lossy(&event.body), headers.join(","))
}

fn diverted(batch: &Batch) -> Vec<String> {
    let destination = |destination: &Destination| match destination {
        Destination::Channel(name) => format!("channel {name}"),
        Destination::DeadLetter(rejection) => format!("dead letter {}", rejection.reason),
    };
    batch
        .diverted()
        .iter()
        .map(|one| format!("{} -> {}", event(&one.event), destination(&one.destination)))
        .collect()
}

fn rows(label: &str, rows: &[u32]) -> LabelledRows {
    LabelledRows { label: label.into(), rows: rows.to_vec() }
}

fn two_events() -> PackedEvents {
    PackedEvents {
        headers: HeaderTable {
            names: vec!["a".into(), "b".into()],
            counts: vec![2, 1],
            name_ids: vec![1, 0, 1],
            values: packed(&[b"1", b"2", b"3"]),
        },
        bodies: packed(&[b"x", b"y"]),
    }
}

fn split(rows: &[u32], counts: &[u32], events: PackedEvents) -> Edit {
    Edit::Split(Splits { rows: rows.to_vec(), counts: counts.to_vec(), events })
}

#[test]
fn no_edits_keep_everything_as_it_is() {
    let before = batch(3);
    let bodies: Vec<*const u8> = before.iter().map(|event| event.body.as_ptr()).collect();
    let after = run(before, vec![]).unwrap();
    assert_eq!(after.iter().map(|event| event.body.as_ptr()).collect::<Vec<_>>(), bodies);
}

#[test]
fn dropped_rows_are_gone_and_the_rest_is_not_copied() {
    let before = batch(4);
    let kept = before.events()[3].body.as_ptr();
    let after = run(before, vec![Edit::Drop(vec![0, 2])]).unwrap();
    assert_eq!(shown(&after), ["1 k=v", "3 k=v"]);
    assert_eq!(after.events()[1].body.as_ptr(), kept);
    assert!(after.diverted().is_empty());
}

#[test]
fn new_bodies_share_one_buffer() {
    let bodies = packed(&[b"one", b"", b"three"]);
    let start = bodies.bytes.as_ptr();
    let edit = Edit::SetBodies(BodyEdits { rows: vec![0, 1, 3], bodies });
    let after = run(batch(4), vec![edit]).unwrap();
    assert_eq!(shown(&after), ["one k=v", " k=v", "2 k=v", "three k=v"]);
    assert_eq!(after.events()[3].body.as_ptr(), start.wrapping_add(3));
}

#[test]
fn a_header_is_set_by_rows_with_one_value_or_with_one_each() {
    let one = HeaderEdit { name: "n".into(), rows: vec![0, 2], values: packed(&[b"x"]) };
    let each = HeaderEdit { name: "k".into(), rows: vec![1, 2], values: packed(&[b"1", b""]) };
    let after = run(batch(3), vec![Edit::SetHeader(one), Edit::SetHeader(each)]).unwrap();
    assert_eq!(shown(&after), ["0 k=v,n=x", "1 k=1", "2 k=,n=x"]);
}

#[test]
fn one_value_for_one_row_is_that_rows_value() {
    let edit = HeaderEdit { name: "n".into(), rows: vec![1], values: packed(&["ä".as_bytes()]) };
    assert_eq!(shown(&run(batch(2), vec![Edit::SetHeader(edit)]).unwrap()), ["0 k=v", "1 k=v,n=ä"]);
}

#[test]
fn headers_are_removed_by_rows_and_from_all() {
    let removal = HeaderRemoval { name: "k".into(), rows: vec![1] };
    assert_eq!(shown(&run(batch(2), vec![Edit::RemoveHeader(removal)]).unwrap()), ["0 k=v", "1 "]);
    assert_eq!(shown(&run(batch(2), vec![Edit::RemoveHeaderOnAll("k".into())]).unwrap()), ["0 ", "1 "]);
    assert_eq!(shown(&run(batch(1), vec![Edit::RemoveHeaderOnAll("no".into())]).unwrap()), ["0 k=v"]);
}

#[test]
fn edits_on_all_reach_events_of_earlier_splits_and_pass_over_what_is_gone() {
    let edits = vec![
        Edit::Reject(rows("bad", &[0])),
        split(&[1], &[2], two_events()),
        Edit::Route(rows("audit", &[2])),
        Edit::SetHeaderOnAll(("all".into(), "1".into())),
    ];
    let after = run(batch(4), edits).unwrap();
    assert_eq!(shown(&after), ["x b=1,a=2,all=1", "y b=3,all=1", "3 k=v,all=1"]);
    assert_eq!(diverted(&after), ["0 k=v -> dead letter bad", "2 k=v,all=1 -> channel audit"]);
}

#[test]
fn edits_on_all_do_not_reach_events_of_later_splits() {
    let edits = vec![Edit::SetHeaderOnAll(("all".into(), "1".into())), split(&[1], &[2], two_events())];
    assert_eq!(shown(&run(batch(2), edits).unwrap()), ["0 k=v,all=1", "x b=1,a=2", "y b=3"]);
}

#[test]
fn splits_take_the_place_of_their_rows_and_zero_is_a_drop() {
    let after = run(batch(4), vec![split(&[0, 2, 3], &[1, 0, 1], two_events())]).unwrap();
    assert_eq!(shown(&after), ["x b=1,a=2", "1 k=v", "y b=3"]);
}

#[test]
fn the_last_route_of_a_row_counts_and_a_drop_ends_it() {
    let channels = ["a".into(), "b".into()];
    let edits = vec![Edit::Route(rows("a", &[0, 1, 2])), Edit::Route(rows("b", &[1])), Edit::Drop(vec![2])];
    let before = batch(3);
    let changes = check(edits, &Rules { batch: &before, channels: &channels }).unwrap();
    let after = apply(before, changes, |reason| Rejection::new("plugin", reason));
    assert!(after.is_empty());
    assert_eq!(diverted(&after), ["0 k=v -> channel a", "1 k=v -> channel b"]);
}

#[test]
fn what_is_beside_the_events_survives() {
    let mut before = batch(2);
    before.note_formed_at(|| 7);
    before.divert(Event::new("earlier"), Destination::Channel("x".into()));
    let after = run(before, vec![Edit::Reject(rows("r", &[1]))]).unwrap();
    assert_eq!(diverted(&after), ["earlier  -> channel x", "1 k=v -> dead letter r"]);
    assert_eq!(after.formed_at(), Some(7));
}

#[test]
fn a_reason_is_escaped_and_cut() {
    let after =
        run(batch(1), vec![Edit::Reject(rows(&format!("\u{1b}{}", "x".repeat(5000)), &[0]))]).unwrap();
    let Destination::DeadLetter(rejection) = &after.diverted()[0].destination else { panic!() };
    assert!(rejection.reason.starts_with("\\u{1b}xxx"));
    assert!(rejection.reason.len() <= 1030);
}

#[test]
fn rows_must_ascend_and_exist() {
    assert_eq!(fails(vec![Edit::Drop(vec![4])]), EditError::RowOutOfRange { edit: 0, row: 4, count: 4 });
    let keep = Edit::RemoveHeaderOnAll("x".into());
    let descending = EditError::RowsNotAscending { edit: 1, row: 1, before: 2 };
    assert_eq!(fails(vec![keep, Edit::Drop(vec![2, 1])]), descending);
    let twice = EditError::RowsNotAscending { edit: 0, row: 2, before: 2 };
    assert_eq!(fails(vec![Edit::Route(rows("audit", &[2, 2]))]), twice);
    let rows = vec![0, u32::MAX];
    let out = EditError::RowOutOfRange { edit: 0, row: u32::MAX, count: 4 };
    assert_eq!(fails(vec![Edit::RemoveHeader(HeaderRemoval { name: "k".into(), rows })]), out);
}

#[test]
fn rows_that_are_gone_may_not_be_named_again() {
    let enders = [Edit::Drop(vec![1]), Edit::Reject(rows("r", &[1])), split(&[1], &[2], two_events())];
    for ender in enders {
        let body = Edit::SetBodies(BodyEdits { rows: vec![1], bodies: packed(&[b"b"]) });
        for second in [body, Edit::Drop(vec![1]), Edit::Route(rows("audit", &[1]))] {
            assert_eq!(fails(vec![ender.clone(), second]), EditError::RowGone { edit: 1, row: 1 });
        }
    }
    let routed = vec![Edit::Route(rows("audit", &[1])), Edit::Drop(vec![1])];
    assert!(run(batch(2), routed).is_ok());
}

#[test]
fn counts_must_add_up() {
    let mismatch = |what, found, expected| EditError::CountMismatch { edit: 0, what, found, expected };
    let bodies = BodyEdits { rows: vec![0, 1], bodies: packed(&[b"b"]) };
    assert_eq!(fails(vec![Edit::SetBodies(bodies)]), mismatch("bodies", 1, 2));
    let values = HeaderEdit { name: "k".into(), rows: vec![0], values: packed(&[b"a", b"b"]) };
    assert_eq!(fails(vec![Edit::SetHeader(values)]), mismatch("values", 2, 1));
    let none = HeaderEdit { name: "k".into(), rows: vec![0], values: packed(&[]) };
    assert_eq!(fails(vec![Edit::SetHeader(none)]), mismatch("values", 0, 1));
    assert_eq!(fails(vec![split(&[0, 1], &[2], two_events())]), mismatch("counts", 1, 2));
    assert_eq!(fails(vec![split(&[0], &[3], two_events())]), mismatch("bodies", 2, 3));
    let mut events = two_events();
    events.headers.counts = vec![2];
    assert_eq!(fails(vec![split(&[0], &[2], events)]), mismatch("header counts", 1, 2));
    let mut events = two_events();
    events.headers.name_ids.pop();
    assert_eq!(fails(vec![split(&[0], &[2], events)]), mismatch("header names", 2, 3));
    let mut events = two_events();
    events.headers.values = packed(&[b"1"]);
    assert_eq!(fails(vec![split(&[0], &[2], events)]), mismatch("header values", 1, 3));
}

#[test]
fn ends_must_ascend_to_the_length() {
    let bad = |ends: &[u32], bytes: &'static [u8]| {
        let bodies = Packed { bytes: Bytes::from_static(bytes), ends: ends.to_vec() };
        let rows = (0..ends.len() as u32).collect();
        fails(vec![Edit::SetBodies(BodyEdits { rows, bodies })])
    };
    let error = |bytes| EditError::BadEnds { edit: 0, what: "bodies", bytes };
    assert_eq!(bad(&[3], b"ab"), error(2));
    assert_eq!(bad(&[1], b"ab"), error(2));
    assert_eq!(bad(&[2, 1], b"ab"), error(2));
    assert_eq!(bad(&[u32::MAX, 2], b"ab"), error(2));
    assert_eq!(bad(&[], b"ab"), error(2));
}

#[test]
fn header_names_and_values_are_bounded_and_text() {
    let value = |bytes: &[u8]| HeaderEdit { name: "k".into(), rows: vec![0], values: packed(&[bytes]) };
    let not_utf8 = EditError::NotUtf8 { edit: 0, name: "k".into() };
    assert_eq!(fails(vec![Edit::SetHeader(value(b"a\xff"))]), not_utf8);
    // Valid as a whole, but the border cuts a character in two.
    let values = Packed { bytes: Bytes::from("ä"), ends: vec![1, 2] };
    let cut = HeaderEdit { name: "k".into(), rows: vec![0, 1], values };
    assert_eq!(fails(vec![Edit::SetHeader(cut)]), not_utf8);
    let long = vec![b'x'; HEADER_VALUE_BYTES_MAX + 1];
    let too_long = EditError::HeaderValueTooLong { edit: 0, name: "k".into(), bytes: long.len() };
    assert_eq!(fails(vec![Edit::SetHeader(value(&long))]), too_long);
    assert!(run(batch(1), vec![Edit::SetHeader(value(&long[1..]))]).is_ok());
    let empty = EditError::BadHeaderName { edit: 0, bytes: 0 };
    assert_eq!(fails(vec![Edit::SetHeaderOnAll((String::new(), "v".into()))]), empty);
    let name = "n".repeat(1025);
    assert_eq!(
        fails(vec![Edit::SetHeaderOnAll((name, "v".into()))]),
        EditError::BadHeaderName { edit: 0, bytes: 1025 }
    );
    let mut events = two_events();
    events.headers.values = packed(&[b"1", b"\xc3", b"3"]);
    assert_eq!(fails(vec![split(&[0], &[2], events)]), EditError::NotUtf8 { edit: 0, name: "a".into() });
}

#[test]
fn a_header_occurs_once_in_an_event_of_a_split() {
    let mut events = two_events();
    events.headers.name_ids = vec![1, 1, 1];
    assert_eq!(fails(vec![split(&[0], &[2], events)]), EditError::HeaderTwice { edit: 0, name: "b".into() });
    let mut events = two_events();
    events.headers.names = vec!["b".into(), "b".into()];
    assert_eq!(fails(vec![split(&[0], &[2], events)]), EditError::HeaderTwice { edit: 0, name: "b".into() });
    let mut events = two_events();
    events.headers.name_ids = vec![1, 2, 1];
    assert_eq!(
        fails(vec![split(&[0], &[2], events)]),
        EditError::NameOutOfRange { edit: 0, id: 2, names: 2 }
    );
}

#[test]
fn only_granted_channels_may_be_routed_to() {
    let error = EditError::ChannelNotGranted { edit: 0, channel: "other".into() };
    assert_eq!(fails(vec![Edit::Route(rows("other", &[0]))]), error);
    assert!(error.to_string().contains("grant { channel \"other\" }"));
}

#[test]
fn splits_and_bytes_are_bounded() {
    let count = SPLIT_EVENTS_MAX + 1;
    let headers = HeaderTable { counts: vec![0; count], ..HeaderTable::default() };
    let bodies = Packed { bytes: Bytes::new(), ends: vec![0; count] };
    let many = PackedEvents { headers, bodies };
    assert_eq!(fails(vec![split(&[0], &[count as u32], many)]), EditError::TooManyEvents { edit: 0 });
    let huge = PackedEvents::default();
    assert_eq!(
        fails(vec![split(&[0, 1], &[u32::MAX, u32::MAX], huge)]),
        EditError::TooManyEvents { edit: 0 }
    );
    let value = String::from_utf8(vec![b'x'; HEADER_VALUE_BYTES_MAX]).unwrap();
    let often = ADDED_BYTES_MAX / HEADER_VALUE_BYTES_MAX / 4 + 2;
    let edits =
        (0..often).map(|number| Edit::SetHeaderOnAll((format!("h{number}"), value.clone()))).collect();
    assert!(matches!(fails(edits), EditError::TooManyBytes { .. }));
}
