//! What the log thread is asked to do.
//!
//! The list of puts needs no bound of its own: every put in it has reserved room in the channel, or carries only
//! a position and has a caller that waits for it.

use std::{sync::Arc, time::Instant};

use millrace_core::{Batch, PositionUpdate, StateWrites};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::error::FileError;
use crate::room::Reservation;

/// A put to be committed.
pub(super) struct PutRequest {
    pub at: u64,
    pub batch: Batch,
    pub updates: Vec<PositionUpdate>,
    /// Whose state is in the updates: told of the commit even when its producer has gone.
    pub states: Vec<Arc<StateWrites>>,
    /// An upper bound of the frame's payload.
    pub payload_bytes_max: usize,
    pub reservation: Reservation,
    pub reply: oneshot::Sender<Result<(), FileError>>,
}

/// How the thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a checkpoint.
    Close,
    /// At once, as in a crash.
    Abandon,
}

#[derive(Default)]
struct State {
    puts: Vec<PutRequest>,
    clean: bool,
    takes_written: bool,
    ending: Option<Ending>,
}

/// What there is to do.
#[derive(Default)]
pub(super) struct Work {
    pub puts: Vec<PutRequest>,
    /// A segment may have become empty.
    pub clean: bool,
    pub takes_written: bool,
    pub ending: Option<Ending>,
}

#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
}

impl Inbox {
    /// Hands over a put; gives it back when the thread is ending.
    pub(super) fn put(&self, request: PutRequest) -> Result<(), Box<PutRequest>> {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            return Err(Box::new(request));
        }
        state.puts.push(request);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes were written and are not yet durable.
    pub(super) fn takes_written(&self) {
        let first = !std::mem::replace(&mut self.state.lock().takes_written, true);
        if first {
            self.filled.notify_one();
        }
    }

    pub(super) fn clean(&self) {
        self.state.lock().clean = true;
        self.filled.notify_one();
    }

    pub(super) fn end(&self, ending: Ending) {
        self.state.lock().ending.get_or_insert(ending);
        self.filled.notify_one();
    }

    /// Waits for something to do, or until the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Work {
        let mut state = self.state.lock();
        while state.puts.is_empty() && !state.clean && !state.takes_written && state.ending.is_none() {
            match deadline {
                None => self.filled.wait(&mut state),
                Some(deadline) => {
                    if self.filled.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        Work {
            puts: std::mem::take(&mut state.puts),
            clean: std::mem::take(&mut state.clean),
            takes_written: std::mem::take(&mut state.takes_written),
            ending: state.ending,
        }
    }
}
