//! Why a call did not succeed, said as what the agent should do.

use std::time::Duration;

use crate::bindings::millrace::plugin::types;

/// What the agent should do about a batch that could not be worked on.
///
/// A failure concerns the whole batch. For a few events that make no sense, prefer
/// [`Edits::reject`](crate::Edits::reject).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Try the same batch again, not before this pause; none leaves the pause to the agent.
    Retry(Option<Duration>),
    /// It can never work: the batch goes to the dead-letter channel with this reason.
    Reject(String),
    /// This instance is broken, for this reason: replace it, then try once more.
    Fatal(String),
}

impl Failure {
    /// Logs why, and tries again after a pause of the agent's: a retry itself carries no reason.
    pub fn retry_because(reason: &dyn std::fmt::Display) -> Self {
        crate::log::warn!("to be tried again: {reason}");
        Self::Retry(None)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(pause) => {
                Self::Retry(pause.map(|pause| u32::try_from(pause.as_millis()).unwrap_or(u32::MAX)))
            }
            Failure::Reject(reason) => Self::Reject(reason),
            Failure::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_longer_than_the_interface_can_say_is_the_longest() {
        let failure = types::Failure::from(Failure::Retry(Some(Duration::from_secs(u64::MAX))));
        assert!(matches!(failure, types::Failure::Retry(Some(u32::MAX))));
    }
}
