//! The zlib stream around one direction of a connection: one stream for the whole connection, flushed after
//! every write so that the other side sees whole frames.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::StreamError;

/// Most bytes that one step makes of what came in: a small input may stand for very much.
pub(crate) const STEP_BYTES_MAX: usize = 64 * 1024;

/// Compresses what is sent.
pub(crate) struct Deflater {
    stream: Compress,
    out: BytesMut,
}

impl Deflater {
    /// A stream of this level, 0 to 9.
    pub(crate) fn new(level: u32) -> Self {
        Self { stream: Compress::new(Compression::new(level), true), out: BytesMut::new() }
    }

    /// The compressed form of the next bytes, complete for the receiver.
    pub(crate) fn deflate(&mut self, mut plain: &[u8]) -> Result<&[u8], StreamError> {
        self.out.clear();
        let mut room = [0_u8; 16 * 1024];
        loop {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            self.stream
                .compress(plain, &mut room, FlushCompress::Sync)
                .map_err(|error| StreamError::Deflate(error.to_string()))?;
            let consumed = usize::try_from(self.stream.total_in() - read).unwrap_or(usize::MAX);
            let made = usize::try_from(self.stream.total_out() - written).unwrap_or(usize::MAX);
            plain = plain.get(consumed..).unwrap_or_default();
            self.out.extend_from_slice(room.get(..made).unwrap_or_default());
            // Room left over means that the flush is complete.
            if plain.is_empty() && made < room.len() {
                return Ok(&self.out);
            }
        }
    }
}

/// Restores what was received.
pub(crate) struct Inflater {
    stream: Decompress,
    raw: BytesMut,
    room: Box<[u8]>,
    /// Whether the last step filled all the room, so that more may come without further input.
    is_full: bool,
}

impl Inflater {
    /// A stream at its start.
    pub(crate) fn new() -> Self {
        Self {
            stream: Decompress::new(true),
            raw: BytesMut::new(),
            room: vec![0; STEP_BYTES_MAX].into_boxed_slice(),
            is_full: false,
        }
    }

    /// Where received bytes go.
    pub(crate) fn raw(&mut self) -> &mut BytesMut {
        &mut self.raw
    }

    /// Bytes held: what was received and not yet restored, and the room for one step.
    pub(crate) fn held_bytes(&self) -> usize {
        self.raw.capacity() + self.room.len()
    }

    /// Restores at most [`STEP_BYTES_MAX`] bytes; 0 when more input is needed.
    pub(crate) fn inflate(&mut self, plain: &mut BytesMut) -> Result<usize, StreamError> {
        if self.raw.is_empty() && !self.is_full {
            return Ok(0);
        }
        let (read, written) = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(&self.raw, &mut self.room, FlushDecompress::None)
            .map_err(|error| StreamError::Deflate(error.to_string()))?;
        let consumed = usize::try_from(self.stream.total_in() - read).unwrap_or(usize::MAX);
        let made = usize::try_from(self.stream.total_out() - written).unwrap_or(usize::MAX);
        self.raw.advance(consumed.min(self.raw.len()));
        plain.extend_from_slice(self.room.get(..made).unwrap_or_default());
        self.is_full = made == self.room.len();
        if status == Status::StreamEnd && !self.raw.is_empty() {
            return Err(StreamError::Deflate("bytes after the end of the stream".into()));
        }
        if made == 0 && consumed == 0 && !self.raw.is_empty() {
            return Err(StreamError::Deflate("the stream does not go on".into()));
        }
        Ok(made)
    }
}
