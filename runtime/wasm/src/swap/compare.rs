//! Two versions' results for the same events, compared event by event.

use millrace_core::{Batch, Destination, Event, Headers};

use crate::{edits::Row, host::escaped};

/// Differences that are kept for people to look at.
const SHOWN_MAX: usize = 10;

/// Bytes of a body or value that are shown.
const EXCERPT_BYTES: usize = 80;

/// What came of comparing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) differing: u64,
    /// The first differences.
    pub(crate) shown: Vec<String>,
}

impl Tally {
    /// Compares what became of each event of a batch.
    pub(crate) fn compare(&mut self, batch: &Batch, old: &[Row], new: &[Row]) {
        self.events += batch.len() as u64;
        for ((event, old), new) in batch.iter().zip(old).zip(new) {
            if same(old, new) {
                continue;
            }
            self.differing += 1;
            self.show(|| format!("{}: {}", excerpt(&event.body), difference(old, new)));
        }
    }

    /// The new version broke on a batch that the old one gets through: all of it differs.
    pub(crate) fn broke(&mut self, batch: &Batch, why: &str) {
        self.events += batch.len() as u64;
        self.differing += batch.len() as u64;
        self.show(|| format!("{} events: the new version gives no result: {why}", batch.len()));
    }

    fn show(&mut self, text: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(text());
        }
    }
}

fn same(old: &Row, new: &Row) -> bool {
    old.events.len() == new.events.len()
        && same_destination(old.destination.as_ref(), new.destination.as_ref())
        && old
            .events
            .iter()
            .zip(&new.events)
            .all(|(old, new)| old.body == new.body && same_headers(&old.headers, &new.headers))
}

/// The order of headers means nothing.
fn same_headers(old: &Headers, new: &Headers) -> bool {
    old.is_same_list(new)
        || old.len() == new.len() && old.iter().all(|(name, value)| new.find(name) == Some(value))
}

/// What a rejection says besides its reason names the version itself.
fn same_destination(old: Option<&Destination>, new: Option<&Destination>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(Destination::Channel(old)), Some(Destination::Channel(new))) => old == new,
        (Some(Destination::DeadLetter(old)), Some(Destination::DeadLetter(new))) => old.reason == new.reason,
        _ => false,
    }
}

fn difference(old: &Row, new: &Row) -> String {
    if let ([one], [other], true) = (
        old.events.as_slice(),
        new.events.as_slice(),
        same_destination(old.destination.as_ref(), new.destination.as_ref()),
    ) {
        return inside(one, other);
    }
    format!("the old version {}, the new one {}", fate(old), fate(new))
}

/// What differs in an event that both versions have.
fn inside(old: &Event, new: &Event) -> String {
    let mut parts = Vec::new();
    if old.body != new.body {
        parts.push(format!("body {} / {}", excerpt(&old.body), excerpt(&new.body)));
    }
    let value = |headers: &Headers, name: &str| {
        headers.find(name).map_or("none".to_owned(), |value| excerpt(value.as_bytes()))
    };
    let names = old.headers.iter().chain(&new.headers).map(|(name, _)| name);
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if old.headers.find(name) != new.headers.find(name) && !seen.contains(&&**name) {
            seen.push(name);
            let (one, other) = (value(&old.headers, name), value(&new.headers, name));
            parts.push(format!("header {} {one} / {other}", escaped(name, EXCERPT_BYTES)));
        }
    }
    parts.truncate(4);
    parts.join(", ")
}

fn fate(row: &Row) -> String {
    match (&row.destination, row.events.as_slice()) {
        (Some(Destination::Channel(name)), _) => {
            format!("sends it to channel {}", escaped(name, EXCERPT_BYTES))
        }
        (Some(Destination::DeadLetter(rejection)), _) => {
            format!("rejects it: {}", escaped(&rejection.reason, EXCERPT_BYTES))
        }
        (None, []) => "drops it".to_owned(),
        (None, [event]) => format!("passes on {}", excerpt(&event.body)),
        (None, events) => format!("makes {} events of it", events.len()),
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let cut = bytes.get(..EXCERPT_BYTES).unwrap_or(bytes);
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    format!("\"{}{more}\"", escaped(&String::from_utf8_lossy(cut), EXCERPT_BYTES * 4))
}

#[cfg(test)]
mod tests {
    use millrace_core::{Batch, Destination, Event, Rejection};

    use super::{SHOWN_MAX, Tally};
    use crate::edits::Row;

    fn row(body: &'static str, headers: &[(&'static str, &'static str)]) -> Row {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Row { events: vec![Event::with_headers(headers, body)], destination: None }
    }

    fn gone() -> Row {
        Row { events: Vec::new(), destination: None }
    }

    fn to(body: &'static str, destination: Destination) -> Row {
        Row { destination: Some(destination), ..row(body, &[]) }
    }

    #[test]
    fn exactly_the_rows_that_differ_are_counted_and_described() {
        let events = (0..6).map(|number| Event::new(number.to_string())).collect();
        let rejected = |digest: &'static str| {
            let component = bytestring::ByteString::from_static("web/a");
            let rejection = Rejection::new(component, "bad").detail("digest", digest);
            to("3", Destination::DeadLetter(rejection))
        };
        let old = [
            row("0", &[("a", "1"), ("b", "2")]),
            row("1", &[("a", "1")]),
            row("2", &[]),
            rejected("x"),
            to("4", Destination::Channel("one".into())),
            row("5", &[]),
        ];
        let new = [
            row("0", &[("b", "2"), ("a", "1")]),
            row("one", &[("a", "2"), ("c", "\u{1b}")]),
            gone(),
            rejected("y"),
            to("4", Destination::Channel("two".into())),
            Row { events: vec![Event::new("5"), Event::new("6")], destination: None },
        ];
        let mut tally = Tally::default();
        tally.compare(&Batch::new(events), &old, &new);
        assert_eq!((tally.events, tally.differing), (6, 4));
        assert_eq!(
            tally.shown,
            [
                r#""1": body "1" / "one", header a "1" / "2", header c none / "\u{1b}""#,
                r#""2": the old version passes on "2", the new one drops it"#,
                r#""4": the old version sends it to channel one, the new one sends it to channel two"#,
                r#""5": the old version passes on "5", the new one makes 2 events of it"#,
            ]
        );
    }

    #[test]
    fn only_the_first_differences_are_kept_and_long_bodies_are_cut() {
        let body = "é".repeat(100);
        let batch = Batch::new(vec![Event::new(body.clone()); 30]);
        let old = vec![Row { events: vec![Event::new(body)], destination: None }; 30];
        let mut tally = Tally::default();
        tally.compare(&batch, &old, &vec![gone(); 30]);
        tally.broke(&batch, "trap");
        assert_eq!((tally.events, tally.differing, tally.shown.len()), (60, 60, SHOWN_MAX));
        assert!(tally.shown.iter().all(|line| line.len() < 400));
    }
}
