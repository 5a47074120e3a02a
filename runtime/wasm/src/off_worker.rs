//! Keeps guest calls from holding up the runtime's other tasks.
//!
//! A guest may use its whole deadline, but mostly it is done in microseconds, and getting off a worker thread costs
//! more than 10 µs however it is done (the bench prints it). So a call goes where it is expected to belong:
//!
//! - Calls that have been short run on the worker itself. One that is still running at the next tick of the epoch, at
//!   most 5 ms later, leaves the worker from inside: the thread hands its other tasks to another thread and then goes on
//!   with the guest ([`leave`]).
//! - Calls that have been long leave the worker first.
//! - On a runtime of one thread, where nothing can be handed over, every call moves to a thread for blocking work.
//!
//! Calls that may wait are futures: while they wait they hold up nobody. But one that computes has to be ended from
//! outside now and then, and one that only gave way to the next task after each tick would leave the other tasks
//! a tick for each such guest ([`sharing`] and [`turn`]):
//!
//! - It leaves the worker at the first tick, too, and gives way after [`SLICE`], so that whoever ends it gets to do so.
//! - What was computing then goes on off the worker from the start.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::ticker::TICK;

/// How long [`leave`] waits for the other thread to take over.
const TAKE_OVER: Duration = Duration::from_millis(1);

/// How long a call that may wait computes before it gives way.
const SLICE: Duration = Duration::from_millis(100);

/// The same in steps of the epoch.
const SLICE_TICKS: u64 = 20;

/// One poll of a call that may wait.
#[derive(Clone, Copy)]
struct Poll {
    begun: Instant,
    has_left: bool,
    gave_way: bool,
}

thread_local! {
    /// The poll that this thread is in.
    static POLL: Cell<Option<Poll>> = const { Cell::new(None) };
}

/// What a call that may wait does at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Go on for so many ticks.
    GoOn(u64),
    /// Let others run first.
    GiveWay,
}

/// Runs a call that may wait so that it cannot hold up other tasks while it computes.
pub(crate) async fn sharing<F: Future>(call: F) -> F::Output {
    let mut call = pin!(call);
    let mut computes = false;
    poll_fn(move |cx| {
        if flavor() != Some(RuntimeFlavor::MultiThread) {
            return call.as_mut().poll(cx);
        }
        let poll = Poll { begun: Instant::now(), has_left: computes, gave_way: false };
        let outer = POLL.replace(Some(poll));
        let polled = if computes {
            tokio::task::block_in_place(|| call.as_mut().poll(cx))
        } else {
            call.as_mut().poll(cx)
        };
        computes = POLL.replace(outer).is_some_and(|poll| poll.gave_way);
        polled
    })
    .await
}

/// Called in the guest at a tick.
pub(crate) fn turn() -> Turn {
    let Some(mut poll) = POLL.get() else { return Turn::GiveWay };
    let spent = poll.begun.elapsed();
    let turn = if poll.has_left && spent >= SLICE {
        poll.gave_way = true;
        Turn::GiveWay
    } else if poll.has_left {
        Turn::GoOn(SLICE_TICKS)
    } else if spent < TICK {
        // The tick passed while it waited.
        Turn::GoOn(1)
    } else {
        leave();
        poll.has_left = true;
        Turn::GoOn(SLICE_TICKS)
    };
    POLL.set(Some(poll));
    turn
}

/// What a call is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Less than getting off the worker.
    Short,
    /// Long enough for that not to matter.
    Long,
}

/// Runs `work` so that it cannot hold up other tasks for long; a panic goes on in the caller.
pub(crate) async fn run<S, R>(
    shared: &Arc<S>,
    expected: Expected,
    work: impl FnOnce(&S) -> R + Send + 'static,
) -> R
where
    S: Send + Sync + 'static,
    R: Send + 'static,
{
    match flavor() {
        Some(RuntimeFlavor::MultiThread) if expected == Expected::Long => {
            tokio::task::block_in_place(|| work(shared))
        }
        Some(RuntimeFlavor::MultiThread) | None => work(shared),
        Some(_) => {
            let shared = Arc::clone(shared);
            match tokio::task::spawn_blocking(move || work(&shared)).await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}

/// Called in the middle of a guest call that turns out to be long: hands this worker's tasks to another thread. The
/// call goes on here. Without effect where this thread is no worker, or has handed over already.
pub(crate) fn leave() {
    if flavor() == Some(RuntimeFlavor::MultiThread) {
        // The tasks come back if the other thread has not taken them by the end of the block, hence the wait.
        tokio::task::block_in_place(|| std::thread::sleep(TAKE_OVER));
    }
}

fn flavor() -> Option<RuntimeFlavor> {
    Handle::try_current().ok().map(|runtime| runtime.runtime_flavor())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        sync::atomic::{AtomicBool, Ordering},
        time::{Duration, Instant},
    };

    use super::{Expected, SLICE, Turn, leave, run, sharing, turn};

    #[test]
    fn a_call_that_may_wait_and_computes_leaves_its_only_worker_and_gives_way_in_the_end() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seen = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&seen);
        let call = runtime.spawn(sharing(async move {
            tokio::spawn(async move { flag.store(true, Ordering::SeqCst) });
            let begun = Instant::now();
            let mut turns = Vec::new();
            for _ in 0..2 {
                while begun.elapsed() < SLICE {
                    std::thread::sleep(Duration::from_millis(6));
                    turns.push(turn());
                }
                // As the guest's stack does when it gives way.
                tokio::task::yield_now().await;
            }
            std::thread::sleep(Duration::from_millis(6));
            turns.push(turn());
            (turns, seen.load(Ordering::SeqCst))
        }));
        let (turns, seen) = runtime.block_on(call).unwrap();
        assert!(seen);
        assert_eq!(turns[0], Turn::GoOn(20));
        let gave_way = turns.iter().filter(|turn| **turn == Turn::GiveWay).count();
        assert_eq!(gave_way, 1, "{turns:?}");
        // It goes on elsewhere, with a new slice.
        assert_eq!(turns.last(), Some(&Turn::GoOn(20)));
        assert_eq!(turn(), Turn::GiveWay);
    }

    #[test]
    fn other_tasks_run_on_while_a_call_that_left_its_only_worker_goes_on() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seen = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&seen);
        let call = runtime.spawn(async move {
            tokio::spawn(async move { flag.store(true, Ordering::SeqCst) });
            run(&seen, Expected::Short, |seen| {
                leave();
                let begun = Instant::now();
                while !seen.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(20) {
                    std::hint::spin_loop();
                }
                seen.load(Ordering::SeqCst)
            })
            .await
        });
        assert!(runtime.block_on(call).unwrap());
    }

    #[tokio::test]
    async fn on_a_runtime_of_one_thread_the_call_moves_away() {
        let here = std::thread::current().id();
        let there = run(&Arc::new(()), Expected::Short, |()| std::thread::current().id()).await;
        assert_ne!(here, there);
        leave();
    }
}
