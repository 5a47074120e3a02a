//! Room in a channel: how many events and bytes it may hold, and who waits for some, first come, first served.
//!
//! Room is reserved by a put before anything else happens, and given back when events are taken for good or the
//! put is rolled back. Whoever waits has a place in a line; nobody overtakes, so a large put is not starved by
//! small ones. Invariant: what is in use never exceeds the limits, except after the limits were lowered.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Events and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub events: u64,
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn of(batch: &millrace_core::Batch) -> Self {
        Self { events: batch.len() as u64, bytes: batch.size() as u64 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn minus(self, other: Self) -> Self {
        // A mistake in counting must not become endless room.
        debug_assert!(self.events >= other.events && self.bytes >= other.bytes, "{self:?} - {other:?}");
        Self {
            events: self.events.saturating_sub(other.events),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    pub(crate) fn fits(self, limit: Self) -> bool {
        self.events <= limit.events && self.bytes <= limit.bytes
    }
}

/// Why no room was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Not in time; which limit, and its number.
    Full(String),
    /// Never; what is too large, and the limit.
    TooLarge(String),
    /// The channel is closed.
    Closed,
}

/// The room of one channel.
pub(crate) struct Room {
    state: Mutex<State>,
    /// The same as in the state, for those who only want to know.
    closed: AtomicBool,
}

struct State {
    limit: Amount,
    used: Amount,
    line: VecDeque<Waiting>,
    next_ticket: u64,
    closed: bool,
}

struct Waiting {
    ticket: u64,
    amount: Amount,
    granted: oneshot::Sender<()>,
}

impl Room {
    pub(crate) fn new(limit: Amount) -> Arc<Self> {
        let state =
            State { limit, used: Amount::default(), line: VecDeque::new(), next_ticket: 0, closed: false };
        Arc::new(Self { state: Mutex::new(state), closed: AtomicBool::new(false) })
    }

    pub(crate) fn used_and_limit(&self) -> (Amount, Amount) {
        let state = self.state.lock();
        (state.used, state.limit)
    }

    /// Takes what a recovered channel holds, whatever the limits are.
    pub(crate) fn occupy(&self, amount: Amount) {
        let mut state = self.state.lock();
        state.used = state.used.plus(amount);
    }

    /// Gives room back and lets in whoever is first in line.
    pub(crate) fn release(&self, amount: Amount) {
        let mut state = self.state.lock();
        state.used = state.used.minus(amount);
        state.grant();
    }

    /// Lowered limits take nothing away: puts wait until enough was taken.
    pub(crate) fn set_limit(&self, limit: Amount) {
        let mut state = self.state.lock();
        state.limit = limit;
        state.grant();
    }

    /// Turns away everyone in line and everyone to come.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.closed.store(true, Ordering::Release);
        state.line.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Reserves room, waiting for it at most as long as given. `held` is what the same transaction has reserved
    /// before: together they must fit an empty channel, or they would wait for themselves.
    ///
    /// # Cancel safety
    /// A dropped call has reserved nothing and left the line.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        amount: Amount,
        held: Amount,
        keep_alive: Duration,
    ) -> Result<(), NoRoom> {
        let (mut place, granted) = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(NoRoom::Closed);
            }
            let whole = held.plus(amount);
            if !whole.fits(state.limit) {
                return Err(NoRoom::TooLarge(describe(
                    "the batch has",
                    whole,
                    "the channel holds",
                    state.limit,
                )));
            }
            // Nothing takes no room: a position alone passes even when the channel is full.
            let passes = amount == Amount::default()
                || (state.line.is_empty() && state.used.plus(amount).fits(state.limit));
            if passes {
                state.used = state.used.plus(amount);
                return Ok(());
            }
            let (sender, granted) = oneshot::channel();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.line.push_back(Waiting { ticket, amount, granted: sender });
            (Place { room: self, ticket, amount, kept: false }, granted)
        };
        match tokio::time::timeout(keep_alive, granted).await {
            Ok(Ok(())) => {
                place.kept = true;
                Ok(())
            }
            Ok(Err(_)) => Err(NoRoom::Closed),
            Err(_) => {
                let (used, limit) = self.used_and_limit();
                Err(NoRoom::Full(describe("in use are", used, "of", limit)))
            }
        }
    }
}

fn describe(first: &str, amount: Amount, second: &str, limit: Amount) -> String {
    format!(
        "{first} {} events, {} bytes; {second} {} events, {} bytes",
        amount.events, amount.bytes, limit.events, limit.bytes
    )
}

impl State {
    fn grant(&mut self) {
        while let Some(first) = self.line.front() {
            let used = self.used.plus(first.amount);
            if !used.fits(self.limit) {
                return;
            }
            self.used = used;
            // Whoever gave up in this moment still has its place to clean up, which gives the room back.
            if let Some(first) = self.line.pop_front() {
                let _gave_up = first.granted.send(());
            }
        }
    }
}

/// A place in line. Dropping it leaves the line, or gives back what was granted and not kept.
struct Place<'a> {
    room: &'a Arc<Room>,
    ticket: u64,
    amount: Amount,
    kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut state = self.room.state.lock();
        match state.line.iter().position(|waiting| waiting.ticket == self.ticket) {
            Some(at) => drop(state.line.remove(at)),
            None if state.closed => {}
            None => state.used = state.used.minus(self.amount),
        }
        // The next in line may fit where this one did not.
        state.grant();
    }
}

/// Room that a put holds until it is committed; dropped, it is given back.
pub(crate) struct Reservation {
    room: Arc<Room>,
    amount: Amount,
}

impl Reservation {
    pub(crate) fn new(room: Arc<Room>) -> Self {
        Self { room, amount: Amount::default() }
    }

    /// Adds room for a batch.
    pub(crate) async fn grow(&mut self, amount: Amount, keep_alive: Duration) -> Result<(), NoRoom> {
        self.room.reserve(amount, self.amount, keep_alive).await?;
        self.amount = self.amount.plus(amount);
        Ok(())
    }

    /// The events are in the channel now: whoever takes them gives the room back.
    pub(crate) fn keep(mut self) {
        self.amount = Amount::default();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.amount != Amount::default() {
            self.room.release(self.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Amount, NoRoom, Room};

    const SOON: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(30);

    fn amount(events: u64) -> Amount {
        Amount { events, bytes: events }
    }

    fn room(events: u64) -> Arc<Room> {
        Room::new(amount(events))
    }

    async fn reserve(room: &Arc<Room>, events: u64, keep_alive: Duration) -> Result<(), NoRoom> {
        room.reserve(amount(events), Amount::default(), keep_alive).await
    }

    #[tokio::test]
    async fn a_small_put_does_not_overtake_a_large_one() {
        let room = room(10);
        reserve(&room, 8, SOON).await.unwrap();
        let mut large = Box::pin(reserve(&room, 5, LONG));
        assert!(tokio::time::timeout(SOON, &mut large).await.is_err());
        assert!(matches!(reserve(&room, 1, SOON).await, Err(NoRoom::Full(_))));
        room.release(amount(8));
        large.await.unwrap();
        assert_eq!(room.used_and_limit().0, amount(5));
    }

    #[tokio::test]
    async fn a_cancelled_wait_leaks_neither_its_room_nor_its_place() {
        let room = room(10);
        reserve(&room, 8, SOON).await.unwrap();
        let mut first = Box::pin(reserve(&room, 5, LONG));
        assert!(tokio::time::timeout(SOON, &mut first).await.is_err());
        let mut second = Box::pin(reserve(&room, 2, LONG));
        assert!(tokio::time::timeout(SOON, &mut second).await.is_err());
        // The first leaves the line: the second fits at once.
        drop(first);
        second.await.unwrap();
        // Granted, but dropped before it was told.
        let mut third = Box::pin(reserve(&room, 5, LONG));
        assert!(tokio::time::timeout(SOON, &mut third).await.is_err());
        room.release(amount(8));
        assert_eq!(room.used_and_limit().0, amount(7));
        drop(third);
        assert_eq!(room.used_and_limit().0, amount(2));
    }

    #[tokio::test]
    async fn lowered_limits_hold_puts_back_until_drained() {
        let room = room(10);
        reserve(&room, 8, SOON).await.unwrap();
        room.set_limit(amount(4));
        assert!(matches!(reserve(&room, 1, SOON).await, Err(NoRoom::Full(_))));
        assert!(matches!(reserve(&room, 5, SOON).await, Err(NoRoom::TooLarge(_))));
        room.release(amount(5));
        reserve(&room, 1, SOON).await.unwrap();
        room.set_limit(amount(100));
        reserve(&room, 90, SOON).await.unwrap();
    }

    #[tokio::test]
    async fn closing_turns_everyone_away() {
        let room = room(1);
        reserve(&room, 1, SOON).await.unwrap();
        let mut waiting = Box::pin(reserve(&room, 1, LONG));
        assert!(tokio::time::timeout(SOON, &mut waiting).await.is_err());
        room.close();
        assert_eq!(waiting.await, Err(NoRoom::Closed));
        assert_eq!(reserve(&room, 1, SOON).await, Err(NoRoom::Closed));
    }
}
