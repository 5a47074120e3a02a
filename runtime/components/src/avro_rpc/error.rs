//! What can be wrong with bytes that claim to be Avro RPC.

/// Bytes that do not follow the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AvroError {
    /// The bytes end too early.
    #[error("{what} is cut off at byte {at}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where, from the start of the request or response.
        at: usize,
    },
    /// A number has more than 64 bits.
    #[error("{what} at byte {at} is not a number")]
    NotANumber {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A number means nothing here.
    #[error("{what} is {found}")]
    OutOfRange {
        /// What was being read.
        what: &'static str,
        /// The number.
        found: i64,
    },
    /// A limit is exceeded.
    #[error("{what}: {found}, at most {max} are allowed")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much, as far as known.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Text is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    NotText {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// The peer's protocol is another one.
    #[error("the peer's protocol differs from Flume's: {0}")]
    OtherProtocol(String),
}

/// Why a connection cannot be read or written any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The bytes do not follow the protocol.
    #[error(transparent)]
    Avro(#[from] AvroError),
    /// The compressed stream is damaged, or is none.
    #[error("not a deflate stream (does the peer use compression \"deflate\"?): {0}")]
    Deflate(String),
    /// The peer closed in the middle of a frame.
    #[error("connection closed in the middle of a frame")]
    Cut,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
