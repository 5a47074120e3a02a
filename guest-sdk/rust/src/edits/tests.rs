//! What the builder sends, edit by edit.

use super::*;
use crate::{Event, testing};

fn finish(note: impl FnOnce(&mut Edits)) -> Vec<String> {
    let mut edits = Edits::default();
    note(&mut edits);
    edits.finish().iter().map(describe).collect()
}

fn describe(edit: &Edit) -> String {
    let packed = |packed: &types::Packed| {
        let view = Packed::from(packed.clone());
        view.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>()
    };
    match edit {
        Edit::Drop(rows) => format!("drop {rows:?}"),
        Edit::SetBodies(edit) => format!("bodies {:?} {:?}", edit.rows, packed(&edit.bodies)),
        Edit::SetHeader(edit) => {
            format!("header {} {:?} {:?}", edit.name, edit.rows, packed(&edit.values))
        }
        Edit::SetHeaderOnAll((name, value)) => format!("header on all {name} {value}"),
        Edit::RemoveHeader(edit) => format!("remove {} {:?}", edit.name, edit.rows),
        Edit::RemoveHeaderOnAll(name) => format!("remove on all {name}"),
        Edit::Split(edit) => {
            format!("split {:?} {:?} {:?}", edit.rows, edit.counts, packed(&edit.events.bodies))
        }
        Edit::Route(rows) => format!("route {} {:?}", rows.label, rows.rows),
        Edit::Reject(rows) => format!("reject {} {:?}", rows.label, rows.rows),
    }
}

#[test]
fn nothing_noted_is_the_empty_list() {
    assert!(finish(|_| {}).is_empty());
    assert!(finish(|edits| edits.drop_rows(vec![])).is_empty());
    assert!(finish(|edits| edits.set_header_rows(vec![], "k", "v")).is_empty());
}

#[test]
fn drops_are_sorted_and_named_once() {
    let sent = finish(|edits| {
        edits.drop(4);
        edits.drop(1);
        edits.drop_rows(vec![4, 7]);
    });
    assert_eq!(sent, ["drop [1, 4, 7]"]);
}

#[test]
fn rows_with_the_same_header_share_one_edit() {
    let sent = finish(|edits| {
        for row in 0..3 {
            edits.set_header(row, "a", "same");
            edits.set_header(row, "b", &row.to_string());
        }
    });
    assert_eq!(sent, [r#"header a [0, 1, 2] ["same"]"#, r#"header b [0, 1, 2] ["0", "1", "2"]"#]);
}

#[test]
fn a_value_that_differs_late_gives_every_row_its_own() {
    let sent = finish(|edits| {
        edits.set_header(0, "a", "x");
        edits.set_header(1, "a", "x");
        edits.set_header(2, "a", "y");
        edits.set_header(3, "a", "x");
    });
    assert_eq!(sent, [r#"header a [0, 1, 2, 3] ["x", "x", "y", "x"]"#]);
}

#[test]
fn the_last_value_of_a_row_wins() {
    let sent = finish(|edits| {
        edits.set_header(0, "a", "x");
        edits.set_header(1, "a", "x");
        edits.set_header(1, "a", "z");
    });
    assert_eq!(sent, [r#"header a [0, 1] ["x", "z"]"#]);
    let sent = finish(|edits| {
        edits.set_header(1, "a", "x");
        edits.set_header(0, "a", "y");
    });
    assert_eq!(sent, [r#"header a [1] ["x"]"#, r#"header a [0] ["y"]"#]);
}

#[test]
fn setting_and_removing_one_header_keeps_its_order() {
    let sent = finish(|edits| {
        edits.set_header(0, "a", "x");
        edits.remove_header(0, "a");
        edits.remove_header(2, "a");
        edits.set_header(1, "a", "y");
        edits.set_header_on_all("a", "z");
        edits.set_header(3, "a", "w");
    });
    assert_eq!(
        sent,
        [
            r#"header a [0] ["x"]"#,
            "remove a [0, 2]",
            r#"header a [1] ["y"]"#,
            "header on all a z",
            r#"header a [3] ["w"]"#,
        ]
    );
}

#[test]
fn bodies_share_one_run_of_bytes() {
    let sent = finish(|edits| {
        edits.set_body(0, b"a");
        edits.set_header(0, "k", "v");
        edits.set_body(2, b"first try");
        edits.set_body(2, b"c");
        edits.set_body(1, b"b");
    });
    assert_eq!(sent, [r#"bodies [0, 2] ["a", "c"]"#, r#"header k [0] ["v"]"#, r#"bodies [1] ["b"]"#]);
}

#[test]
fn what_ends_an_event_comes_behind_what_changes_it() {
    let sent = finish(|edits| {
        edits.drop(0);
        edits.reject(3, "odd");
        edits.split(1, |events| {
            events.push(b"p");
            events.push(b"q");
        });
        edits.reject(2, "odd");
        edits.route(4, "fast");
        edits.route(5, "fast");
        edits.set_body(0, b"n");
    });
    assert_eq!(
        sent,
        [
            "route fast [4, 5]",
            r#"bodies [0] ["n"]"#,
            "drop [0]",
            r#"split [1] [2] ["p", "q"]"#,
            "reject odd [2, 3]",
        ]
    );
}

#[test]
fn an_edit_on_all_reaches_the_events_of_an_earlier_split() {
    let batch = testing::batch(vec![Event::new("a b")]);
    let mut edits = Edits::default();
    edits.split(0, |events| {
        events.push(b"a");
        events.push(b"b");
    });
    edits.set_header_on_all("k", "v");
    let outcome = testing::apply(&batch, edits).unwrap();
    let expected = ["a", "b"].map(|body| Event::new(body).with_header("k", "v"));
    assert_eq!(outcome.kept, expected);
}

#[test]
fn the_last_route_of_an_event_counts() {
    let batch = testing::batch(vec![Event::new("a"), Event::new("b")]);
    let mut edits = Edits::default();
    edits.route(0, "x");
    edits.route(1, "x");
    edits.route(0, "y");
    let outcome = testing::apply(&batch, edits).unwrap();
    assert_eq!(outcome.routed, [("y".to_owned(), Event::new("a")), ("x".to_owned(), Event::new("b"))]);
    assert!(outcome.kept.is_empty());
}
