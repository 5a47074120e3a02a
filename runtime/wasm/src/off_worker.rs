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

use std::{sync::Arc, time::Duration};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long [`leave`] waits for the other thread to take over.
const TAKE_OVER: Duration = Duration::from_millis(1);

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

    use super::{Expected, leave, run};

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
