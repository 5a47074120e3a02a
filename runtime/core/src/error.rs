//! What went wrong at each boundary, and what the caller should do about it.

use std::time::Duration;

use crate::batch::Batch;

/// Any error, kept as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the caller should do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again after a pause of the caller's own.
    Backoff,
    /// Try again, not before this.
    After(Duration),
    /// It can never succeed.
    Never,
}

/// Why a channel refused.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// There was no room for as long as the channel waits.
    #[error("channel {channel} is full: {reason}")]
    Full {
        /// The channel.
        channel: String,
        /// Which limit, and its number.
        reason: String,
    },
    /// The batch exceeds what the channel could ever hold.
    #[error("channel {channel}: {reason}")]
    TooLarge {
        /// The channel.
        channel: String,
        /// What is too large, and the limit.
        reason: String,
    },
    /// The channel is closed.
    #[error("channel {channel} is closed")]
    Closed {
        /// The channel.
        channel: String,
    },
    /// The disk or another part beneath failed.
    #[error("channel {channel} failed: {source}")]
    Failed {
        /// The channel.
        channel: String,
        /// The cause.
        source: BoxError,
    },
}

impl ChannelError {
    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Full { .. } | Self::Failed { .. } | Self::Closed { .. } => Retry::Backoff,
            Self::TooLarge { .. } => Retry::Never,
        }
    }
}

/// Why an interceptor could not work on a batch now. Single bad events are no error: they go to the
/// dead-letter channel.
#[derive(Debug, thiserror::Error)]
#[error("interceptor {interceptor}: {source}")]
pub struct InterceptorError {
    /// The interceptor.
    pub interceptor: String,
    /// Try again, at the earliest after this.
    pub after: Option<Duration>,
    /// The batch as it was given, so that it can be tried again.
    pub batch: Box<Batch>,
    /// The cause.
    pub source: BoxError,
}

/// Why a batch was not accepted. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// An interceptor refused it.
    #[error(transparent)]
    Interceptor(#[from] InterceptorError),
    /// A required channel refused it.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// An interceptor or selector named a channel that is not there.
    #[error("no channel {0}")]
    NoChannel(String),
    /// The agent is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

impl ProcessError {
    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Interceptor(error) => error.after.map_or(Retry::Backoff, Retry::After),
            Self::Channel(error) => error.retry(),
            Self::NoChannel(_) => Retry::Backoff,
            Self::ShuttingDown => Retry::Never,
        }
    }
}

/// Why a source stopped. The supervisor starts it again, unless `retry` says never.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The outside failed: a file, a socket, a child process.
    #[error("{reason}: {source}")]
    Failed {
        /// What was being done, with the name of the thing.
        reason: String,
        /// The cause.
        source: BoxError,
    },
    /// A batch was not accepted and the source cannot hold it back.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl SourceError {
    /// An error of the outside.
    pub fn failed(reason: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Failed { reason: reason.into(), source: source.into() }
    }
}

/// A row of a batch that a sink could not take and never will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row, from 0.
    pub row: usize,
    /// Why.
    pub reason: String,
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The destination is away or busy: the same batch may succeed later.
    #[error("{reason}")]
    Retryable {
        /// What happened, with the name of the destination.
        reason: String,
        /// At the earliest after this.
        after: Option<Duration>,
    },
    /// The destination refuses this batch for good.
    #[error("{reason}")]
    Rejected {
        /// What the destination said.
        reason: String,
    },
    /// All rows but these were delivered.
    #[error("{}", partial(refusals, again))]
    Partial {
        /// The rows that never will be and go to the dead-letter channel, ascending.
        refusals: Vec<Refusal>,
        /// The rows that may be delivered later and come again, without the others, ascending.
        again: Vec<usize>,
        /// At the earliest after this.
        after: Option<Duration>,
    },
}

fn partial(refusals: &[Refusal], again: &[usize]) -> String {
    let mut text = String::new();
    if let Some(first) = refusals.first() {
        text = format!("{} of the batch's events refused, the first: {}", refusals.len(), first.reason);
    }
    if !again.is_empty() {
        let separator = if text.is_empty() { "" } else { "; " };
        text.push_str(&format!("{separator}{} of the batch's events have to come again", again.len()));
    }
    text
}

impl SinkError {
    /// Some rows refused for good, all others delivered.
    pub fn refused(refusals: Vec<Refusal>) -> Self {
        Self::Partial { refusals, again: Vec::new(), after: None }
    }

    /// An error that may pass.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable { reason: reason.into(), after: None }
    }

    /// An error that stays.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected { reason: reason.into() }
    }

    /// What to do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Partial { again, .. } if again.is_empty() => Retry::Never,
            Self::Retryable { after, .. } | Self::Partial { after, .. } => {
                after.map_or(Retry::Backoff, Retry::After)
            }
            Self::Rejected { .. } => Retry::Never,
        }
    }
}
