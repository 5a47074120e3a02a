//! Waiting for a condition, with a deadline, instead of sleeping.

use std::{future::Future, time::Duration};

const DEADLINE: Duration = Duration::from_secs(30);

/// The result of a future that must come within half a minute.
///
/// # Panics
/// It did not.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => unreachable!("{what}: not within {DEADLINE:?}"),
    }
}

/// Waits until the condition holds; it is asked again every few milliseconds.
///
/// # Panics
/// It did not hold within half a minute.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
