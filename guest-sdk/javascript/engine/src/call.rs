//! The call under way: the batch that is lent, the columns read from it, and the edits noted so far.
//!
//! `batch` and `edits` are two JavaScript objects that live as long as the script. What they work on is kept here, in
//! a cell that is empty between calls, so a script that keeps them beyond its call gets an exception and nothing else.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

use millrace_plugin::{Batch, Edits, Events, HeaderColumn, Packed};
use rquickjs::{ArrayBuffer, ArrayBufferSource, Ctx, Exception, Persistent, Result};

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
    /// When the batch under way, or the last one, was formed: the time of scripts. Apart from the call, because the
    /// engine asks for it at any moment.
    static FORMED_AT: Cell<u64> = const { Cell::new(0) };
}

/// A batch in work.
pub(crate) struct Call {
    /// Valid until [`finish`]: `script` does not return from its call before.
    batch: NonNull<Batch>,
    pub(crate) count: u32,
    pub(crate) edits: Edits,
    /// The last row that was split: the rows of splits ascend.
    pub(crate) last_split: Option<u32>,
    bodies: Option<Bodies>,
    columns: Vec<(String, HeaderColumn)>,
}

/// All bodies, shared by Rust and by the views that the script has on them.
#[derive(Clone)]
pub(crate) struct Bodies {
    pub(crate) packed: Arc<Packed>,
    pub(crate) buffer: Persistent<ArrayBuffer<'static>>,
}

/// Keeps the bytes for as long as a script has a view on them.
struct Shared(Arc<Packed>);

// SAFETY: the bytes are behind an `Arc`, which nobody changes, and they stay where they are when `Shared` moves.
unsafe impl ArrayBufferSource for Shared {
    fn as_ptr(&self) -> *mut u8 {
        self.0.bytes().as_ptr().cast_mut()
    }

    fn len(&self) -> usize {
        self.0.bytes().len()
    }
}

/// Begins a call.
pub(crate) fn begin(batch: &Batch) {
    FORMED_AT.set(batch.formed_at());
    let call = Call {
        batch: NonNull::from(batch),
        count: batch.count(),
        edits: Edits::default(),
        last_split: None,
        bodies: None,
        columns: Vec::new(),
    };
    CALL.set(Some(call));
}

/// Ends the call and hands out what was noted.
pub(crate) fn finish() -> Edits {
    CALL.take().map(|call| call.edits).unwrap_or_default()
}

/// When the batch under way was formed, in nanoseconds since 1970; 0 before the first one.
pub(crate) fn formed_at() -> u64 {
    FORMED_AT.get()
}

/// Works on the call under way. `work` must not run JavaScript, which could come back here.
pub(crate) fn with<R>(cx: &Ctx<'_>, work: impl FnOnce(&mut Call) -> Result<R>) -> Result<R> {
    CALL.with_borrow_mut(|call| match call {
        Some(call) => work(call),
        None => Err(Exception::throw_message(cx, "batch and edits are only there during a call")),
    })
}

impl Call {
    pub(crate) fn batch(&self) -> &Batch {
        // SAFETY: `begin` got a reference that outlives the call, and `finish` removes this before it ends.
        unsafe { self.batch.as_ref() }
    }

    /// A row number from JavaScript, if there is such a row.
    pub(crate) fn check(&self, cx: &Ctx<'_>, row: u32) -> Result<u32> {
        if row < self.count {
            return Ok(row);
        }
        let reason = format!("there is no row {row} in a batch of {}", self.count);
        Err(Exception::throw_range(cx, &reason))
    }

    /// All bodies, read with the first question.
    pub(crate) fn bodies(&mut self, cx: &Ctx<'_>) -> Result<&Bodies> {
        if self.bodies.is_none() {
            let packed = Arc::new(self.batch().bodies_owned());
            let buffer = ArrayBuffer::from_source_immutable(cx.clone(), Shared(Arc::clone(&packed)))?;
            self.bodies = Some(Bodies { packed, buffer: Persistent::save(cx, buffer) });
        }
        self.bodies.as_ref().ok_or(rquickjs::Error::Unknown)
    }

    /// One header of all events, read with the first question.
    pub(crate) fn column(&mut self, name: &str) -> &HeaderColumn {
        let index = self.columns.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.columns.push((name.to_owned(), self.batch().header_column(name)));
            self.columns.len() - 1
        });
        &self.columns[index].1
    }

    /// Puts events in the place of one.
    pub(crate) fn split(&mut self, cx: &Ctx<'_>, row: u32, write: impl FnOnce(&mut Events)) -> Result<()> {
        if let Some(last) = self.last_split.filter(|last| *last >= row) {
            let reason =
                format!("rows are split in ascending order, each once: row {row} came after row {last}");
            return Err(Exception::throw_range(cx, &reason));
        }
        self.last_split = Some(row);
        self.edits.split(row, write);
        Ok(())
    }
}
