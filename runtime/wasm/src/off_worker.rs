//! Runs guest calls where they cannot hold up the runtime's other tasks.
//!
//! A guest may use its whole deadline. On the multi-threaded runtime the thread that calls hands its tasks to another
//! thread and then runs the guest itself, so nothing has to be woken up before the guest runs and nothing after it.
//! On a runtime of one thread, where that is not possible, the call moves to a thread for blocking work.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work` off the worker threads and returns what it returned; a panic goes on in the caller.
pub(crate) async fn run<S, R>(shared: &Arc<S>, work: impl FnOnce(&S) -> R + Send + 'static) -> R
where
    S: Send + Sync + 'static,
    R: Send + 'static,
{
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| work(shared)),
        _ => {
            let shared = Arc::clone(shared);
            match tokio::task::spawn_blocking(move || work(&shared)).await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}
