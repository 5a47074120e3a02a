//! Keys and values that belong to one component and outlive its instances.
//!
//! Writes made during a call become durable together with the batch of that call, or not at all. A call
//! that fails, faults, or whose commit fails has written nothing, so a plugin that counts in its state
//! counts every event once without doing anything about it. A call reads its own writes.
//!
//! A key is at most 1,024 bytes long, a value at most 1 MiB; the operator limits the sum (`limits state`).
//! In tests the state is that of [`testing::Host`](crate::testing::Host).

use std::time::Duration;

use crate::Failure;
#[cfg(target_arch = "wasm32")]
use crate::bindings::millrace::plugin::state as host;
use crate::bindings::millrace::plugin::state as raw;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::fake::state as host;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The component has used up its share.
    Quota,
    /// The key is longer than 1,024 bytes, or the value than 1 MiB; for [`increment`], the value is not a
    /// number.
    TooLarge,
    /// Not at this moment: during `configure` nothing is read or written.
    Denied,
    /// The store cannot answer, for this reason.
    Unavailable(String),
}

/// Gives the value of a key; none where there is no such key or its time is over.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(host::get(key)?)
}

/// Gives the values of many keys in one call, in the order asked for.
pub fn get_many(keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    Ok(host::get_many(keys)?)
}

/// Sets a value for good.
pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
    Ok(host::set(key, value, None)?)
}

/// Sets a value for so long from now; what is left of a millisecond does not count.
pub fn set_for(key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    Ok(host::set(key, value, Some(ttl_ms))?)
}

/// Removes a key. A key that is not there is no error.
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(host::delete(key)?)
}

/// Adds to a number that starts at 0 and gives the sum. It wraps around at the ends of `i64`. The number
/// is stored as 8 bytes, little end first.
pub fn increment(key: &str, by: i64) -> Result<i64, Error> {
    Ok(host::increment(key, by)?)
}

/// Lists keys that begin with `prefix`, in the order of their bytes, from behind `after` on, at most
/// `keys_max` of them.
///
/// ```
/// # use millrace_plugin::{state, testing};
/// # let _host = testing::Host::new();
/// # state::set("seen/a", b"1").unwrap();
/// # state::set("seen/b", b"2").unwrap();
/// let mut after: Option<String> = None;
/// # let mut count = 0;
/// loop {
///     let keys = state::list("seen/", after.as_deref(), 1_000)?;
///     let Some(last) = keys.last() else { break };
///     # count += keys.len();
///     // …
///     after = Some(last.clone());
/// }
/// # assert_eq!(count, 2);
/// # Ok::<(), state::Error>(())
/// ```
pub fn list(prefix: &str, after: Option<&str>, keys_max: u32) -> Result<Vec<String>, Error> {
    Ok(host::list_keys(prefix, after, keys_max)?)
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Quota => Self::Quota,
            raw::Error::TooLarge => Self::TooLarge,
            raw::Error::Denied => Self::Denied,
            raw::Error::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quota => out.write_str("the share of the state is used up"),
            Self::TooLarge => out.write_str("the key or the value is too large"),
            Self::Denied => out.write_str("the state is not there during `configure`"),
            Self::Unavailable(reason) => write!(out, "the state cannot answer: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// For `?` in a call about a batch. What may pass is logged and tried again (`Quota`, `Unavailable`), since
/// a retry carries no reason; what cannot is refused (`TooLarge`) or breaks the instance (`Denied`).
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Quota | Error::Unavailable(_) => Self::retry_because(&error),
            Error::TooLarge => Self::Reject(error.to_string()),
            Error::Denied => Self::Fatal(error.to_string()),
        }
    }
}
