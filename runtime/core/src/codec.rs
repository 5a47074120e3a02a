//! Codecs: from bytes of a stream to frames, from frames to events and back, for components that carry bytes without
//! knowing what they mean.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    batch::Batch,
    dead_letter::Rejection,
    error::{BoxError, Refusal},
    event::Event,
};

/// A codec. Calls may run at the same time.
#[async_trait]
pub trait Codec: Send + Sync {
    /// Where the whole frames at the beginning of `bytes` end, ascending. What is behind the last one comes again,
    /// with more behind it, or with `at_end` set when nothing follows any more.
    ///
    /// # Errors
    /// [`CodecError::Stream`]: this is no such stream, it should be closed.
    async fn frame(&self, bytes: Bytes, at_end: bool) -> Result<Vec<usize>, CodecError>;

    /// The events of whole frames.
    ///
    /// # Errors
    /// The same frames may be decoded later. A frame that is damaged is no error, it is refused alone.
    async fn decode(&self, frames: Vec<Bytes>) -> Result<Decoded, CodecError>;

    /// The same events with the bytes that stand for them as bodies, without those that cannot be encoded.
    ///
    /// # Errors
    /// The same events may be encoded later.
    async fn encode(&self, batch: &Batch) -> Result<Encoded, CodecError>;

    /// Ends it in an orderly way.
    async fn close(&self) {}
}

/// What frames came to.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The events, frame by frame.
    pub events: Vec<Event>,
    /// Frames that made no event, as they came, and why.
    pub refused: Vec<(Bytes, Rejection)>,
}

/// What events came to.
#[derive(Debug, Default)]
pub struct Encoded {
    /// The events that could be encoded, in order.
    pub batch: Batch,
    /// The rows that could not be, ascending.
    pub refusals: Vec<Refusal>,
}

/// Why a codec gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It may later.
    #[error("codec {codec}: {source}")]
    Later {
        /// Its name.
        codec: String,
        /// What happened.
        source: BoxError,
        /// At the earliest after this.
        after: Option<Duration>,
    },
    /// The bytes are not of its kind.
    #[error("codec {codec}: {reason}")]
    Stream {
        /// Its name.
        codec: String,
        /// What is wrong with them.
        reason: String,
    },
}
