//! The batch that the agent lends, with columns that are read when first asked for.
//!
//! On wasm32 every read is a call into the agent. Elsewhere there is no agent: a batch then holds events
//! of its own (see `testing`), so that the logic of a plugin runs under a plain `cargo test`.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::mem::ManuallyDrop;

use crate::bindings::millrace::plugin::types;
use crate::{Event, HeaderColumn, Headers, Packed};

/// The events of one call. Rows count from 0. A row out of range ends the call, as an index does.
///
/// Columns that come as a reference are read once and kept for the rest of the call; the others
/// cost the same each time.
#[derive(Debug)]
pub struct Batch {
    source: Source,
    bodies: OnceCell<Packed>,
    headers: OnceCell<Headers>,
}

#[derive(Debug)]
enum Source {
    /// The handle belongs to the generated code, which gives it back after the call.
    Lent(ManuallyDrop<types::Batch>),
    #[cfg(not(target_arch = "wasm32"))]
    Held(crate::testing::HeldEvents),
}

/// Calls the same method on whatever holds the events.
macro_rules! ask {
    ($batch:expr, $method:ident($($argument:expr),*)) => {
        match &$batch.source {
            Source::Lent(lent) => lent.$method($($argument),*),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Held(held) => held.$method($($argument),*),
        }
    };
}

impl Batch {
    /// Wraps what the agent lends. The wrapper must not outlive `lent`.
    pub(crate) fn lent(lent: &types::Batch) -> Self {
        // SAFETY: the handle is valid as long as `lent` is, and `ManuallyDrop` keeps this second owner
        // from giving it back.
        let again = ManuallyDrop::new(unsafe { types::Batch::from_handle(lent.handle()) });
        Self::new(Source::Lent(again))
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn held(events: crate::testing::HeldEvents) -> Self {
        Self::new(Source::Held(events))
    }

    fn new(source: Source) -> Self {
        Self { source, bodies: OnceCell::new(), headers: OnceCell::new() }
    }

    /// Says how many events there are; never 0.
    pub fn count(&self) -> u32 {
        ask!(self, count())
    }

    /// Says how many bytes all bodies have together.
    pub fn body_bytes(&self) -> u64 {
        ask!(self, body_bytes())
    }

    /// Says when the agent formed the batch, in nanoseconds since 1970. It is the same when the batch is
    /// tried again.
    pub fn formed_at(&self) -> u64 {
        ask!(self, formed_at())
    }

    /// Gives all bodies, read with the first call.
    pub fn bodies(&self) -> &Packed {
        self.bodies.get_or_init(|| self.bodies_owned())
    }

    /// Gives all bodies to keep and change, for [`Edits::set_all_bodies`](crate::Edits::set_all_bodies).
    pub fn bodies_owned(&self) -> Packed {
        match self.bodies.get() {
            Some(bodies) => bodies.clone(),
            None => ask!(self, bodies()).into(),
        }
    }

    /// Gives the bodies of some rows, in the order asked for.
    pub fn bodies_of(&self, rows: &[u32]) -> Packed {
        ask!(self, bodies_of(rows)).into()
    }

    /// Gives one header of every event: the fast way to filter by it.
    pub fn header_column(&self, name: &str) -> HeaderColumn {
        ask!(self, header_column(name)).into()
    }

    /// Gives the header names that occur, each once.
    pub fn header_names(&self) -> Vec<String> {
        ask!(self, header_names())
    }

    /// Gives all headers of all events, read with the first call.
    pub fn headers(&self) -> &Headers {
        self.headers.get_or_init(|| ask!(self, headers()).into())
    }

    /// Reads bodies and headers in one call, and gives both.
    pub fn everything(&self) -> (&Packed, &Headers) {
        if self.bodies.get().is_none() && self.headers.get().is_none() {
            let events = ask!(self, events());
            // Both cells are empty, so setting them cannot fail.
            let _ = self.bodies.set(events.bodies.into());
            let _ = self.headers.set(events.headers.into());
        }
        (self.bodies(), self.headers())
    }

    /// Gives the body of one row. A slice if all bodies have been read already.
    pub fn body(&self, row: u32) -> Cow<'_, [u8]> {
        match self.bodies.get() {
            Some(bodies) => Cow::Borrowed(&bodies[row]),
            None => Cow::Owned(ask!(self, body(row))),
        }
    }

    /// Gives a part of the body of one row, cut short where the body ends.
    pub fn body_part(&self, row: u32, start: u32, length: u32) -> Vec<u8> {
        ask!(self, body_part(row, start, length))
    }

    /// Gives one header of one row.
    pub fn header(&self, row: u32, name: &str) -> Option<String> {
        ask!(self, header(row, name))
    }

    /// Gives one whole event.
    pub fn event(&self, row: u32) -> Event {
        ask!(self, event(row)).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Event, testing};

    #[test]
    fn every_way_to_read_gives_the_same_events() {
        let events =
            vec![Event::new("one").with_header("a", "1"), Event::new(vec![0, 255]).with_header("b", "")];
        let batch = testing::batch(events.clone());
        assert_eq!(batch.count(), 2);
        assert_eq!(batch.body_bytes(), 5);
        assert_eq!(batch.body(1).as_ref(), [0, 255]);
        assert_eq!(batch.bodies().iter().collect::<Vec<_>>(), [b"one".as_slice(), &[0, 255]]);
        assert!(matches!(batch.body(0), std::borrow::Cow::Borrowed(b"one")));
        assert_eq!(&batch.bodies_of(&[1, 0, 1])[1], b"one");
        assert_eq!(batch.body_part(0, 1, 100), b"ne");
        assert_eq!(batch.body_part(0, 9, 1), b"");
        assert_eq!(batch.header_names(), ["a", "b"]);
        assert_eq!(batch.header(1, "b"), Some(String::new()));
        assert_eq!(batch.header(1, "a"), None);
        assert_eq!(batch.header_column("a").get(1), None);
        assert_eq!(batch.event(1), events[1]);
        let (bodies, headers) = batch.everything();
        assert_eq!(bodies.len(), 2);
        assert_eq!(headers.get(1, "b"), Some(""));
    }

    #[test]
    fn everything_in_one_call_is_the_same_as_column_by_column() {
        let batch = testing::batch(vec![Event::new("x").with_header("k", "v")]);
        let (bodies, headers) = batch.everything();
        assert_eq!(&bodies[0], b"x");
        assert_eq!(headers.row(0).collect::<Vec<_>>(), [("k", "v")]);
    }
}
