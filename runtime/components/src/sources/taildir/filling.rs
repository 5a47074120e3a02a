//! The batch that is being put together.

use std::collections::BTreeSet;

use millrace_core::Event;

use super::options::Settings;
use crate::sources::files::FileId;

/// Events of one or several files, up to the limits of a batch.
pub(super) struct Filling {
    pub(super) events: Vec<Event>,
    /// The files whose offset moved.
    pub(super) touched: BTreeSet<FileId>,
    /// Lines found longer than the limit.
    pub(super) cut_lines: u64,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
    full: bool,
}

impl Filling {
    /// An empty one.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            events: Vec::new(),
            touched: BTreeSet::new(),
            cut_lines: 0,
            bytes: 0,
            events_max: settings.batch_events_max,
            bytes_max: settings.batch_bytes_max,
            full: false,
        }
    }

    /// Whether nothing more goes in.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether a body fits; if not, the batch is full. An empty batch has room for everything.
    #[inline]
    pub(super) fn has_room_for(&mut self, bytes: usize) -> bool {
        self.full |= !self.events.is_empty() && self.bytes + bytes > self.bytes_max;
        !self.full
    }

    /// Adds an event.
    #[inline]
    pub(super) fn push(&mut self, event: Event) {
        if self.events.capacity() == 0 {
            self.events.reserve(self.events_max.min(4096));
        }
        self.bytes += event.body.len();
        self.events.push(event);
        self.full = self.events.len() >= self.events_max || self.bytes >= self.bytes_max;
    }

    /// Takes note that a file's offset moved.
    pub(super) fn touch(&mut self, file: FileId) {
        self.touched.insert(file);
    }
}
