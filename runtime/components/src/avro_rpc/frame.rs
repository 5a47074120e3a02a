//! The "Netty" framing of Avro RPC: a serial number, a count, then that many chunks with their lengths, all
//! 32-bit big-endian. The chunks of a frame together are one request or response; their borders mean nothing.
//!
//! A frame of one chunk becomes a slice of what was received; chunks of a longer one are put together in one
//! piece of memory that grows with the bytes that arrived, not with what a header promises.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::AvroError;

const HEADER_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Chosen by the client, repeated in the answer.
    pub(crate) serial: i32,
    /// The request or response.
    pub(crate) content: Bytes,
}

/// What one frame may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameLimits {
    /// Bytes of all chunks and their lengths together.
    pub(crate) frame_bytes_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Waits for serial and count.
    Header,
    /// Waits for the length of the next of `left` chunks.
    Length { serial: i32, left: usize },
    /// Waits for the bytes of a chunk; `left` chunks follow.
    Chunk { serial: i32, bytes: usize, left: usize },
}

/// Cuts frames out of the bytes of a connection.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    limits: FrameLimits,
    state: State,
    /// Chunks and their lengths so far.
    total: usize,
    content: BytesMut,
}

impl FrameDecoder {
    /// A decoder at the start of a connection.
    pub(crate) fn new(limits: FrameLimits) -> Self {
        Self { limits, state: State::Header, total: 0, content: BytesMut::new() }
    }

    /// The next whole frame; None when more bytes are needed.
    pub(crate) fn decode(&mut self, inbox: &mut BytesMut) -> Result<Option<Frame>, AvroError> {
        loop {
            match self.state {
                State::Header => {
                    if inbox.len() < HEADER_BYTES {
                        return Ok(None);
                    }
                    let serial = inbox.get_i32();
                    let left = self.chunk_count(inbox.get_i32())?;
                    self.total = 0;
                    self.state = State::Length { serial, left };
                }
                State::Length { serial, left } => {
                    if inbox.len() < LENGTH_BYTES {
                        return Ok(None);
                    }
                    let bytes = self.chunk_length(inbox.get_i32())?;
                    self.state = State::Chunk { serial, bytes, left: left - 1 };
                }
                State::Chunk { serial, bytes, left } if left == 0 && self.content.is_empty() => {
                    // The only chunk, or the only one that is not empty: no need to copy it.
                    if inbox.len() < bytes {
                        return Ok(None);
                    }
                    self.state = State::Header;
                    return Ok(Some(Frame { serial, content: inbox.split_to(bytes).freeze() }));
                }
                State::Chunk { serial, bytes, left } => {
                    let here = bytes.min(inbox.len());
                    self.content.extend_from_slice(&inbox.split_to(here));
                    if here < bytes {
                        self.state = State::Chunk { serial, bytes: bytes - here, left };
                        return Ok(None);
                    }
                    if left == 0 {
                        self.state = State::Header;
                        return Ok(Some(Frame { serial, content: self.content.split().freeze() }));
                    }
                    self.state = State::Length { serial, left };
                }
            }
        }
    }

    /// Whether a frame has begun and is not whole.
    pub(crate) fn is_inside_frame(&self, inbox: &BytesMut) -> bool {
        !inbox.is_empty() || !matches!(self.state, State::Header)
    }

    /// How many bytes of the frame in hand are known to be missing.
    pub(crate) fn missing(&self, inbox: &BytesMut) -> usize {
        match self.state {
            State::Chunk { bytes, .. } => bytes.saturating_sub(inbox.len()),
            _ => 0,
        }
    }

    /// Bytes held for a frame that is not whole yet.
    pub(crate) fn held_bytes(&self) -> usize {
        if self.content.is_empty() { 0 } else { self.content.capacity() }
    }

    fn chunk_count(&self, count: i32) -> Result<usize, AvroError> {
        let what = "number of chunks in a frame";
        let found = usize::try_from(count)
            .ok()
            .filter(|count| *count > 0)
            .ok_or(AvroError::OutOfRange { what, found: count.into() })?;
        let max = (self.limits.frame_bytes_max / LENGTH_BYTES).max(1);
        if found > max {
            return Err(AvroError::TooMuch { what, found: found as u64, max: max as u64 });
        }
        Ok(found)
    }

    fn chunk_length(&mut self, length: i32) -> Result<usize, AvroError> {
        let bytes = usize::try_from(length)
            .map_err(|_| AvroError::OutOfRange { what: "length of a chunk", found: length.into() })?;
        self.total = self.total.saturating_add(LENGTH_BYTES).saturating_add(bytes);
        let max = self.limits.frame_bytes_max;
        if self.total > max {
            return Err(AvroError::TooMuch {
                what: "bytes of a frame",
                found: self.total as u64,
                max: max as u64,
            });
        }
        Ok(bytes)
    }
}

/// Starts a frame of one chunk; its content follows, then [`finish_frame`].
pub(crate) fn begin_frame(out: &mut BytesMut, serial: i32) {
    out.put_i32(serial);
    out.put_i32(1);
    out.put_i32(0);
}

/// Writes the length into a frame that was begun at byte `start` of `out`.
pub(crate) fn finish_frame(out: &mut BytesMut, start: usize) -> Result<(), AvroError> {
    let content = out.len().saturating_sub(start + HEADER_BYTES + LENGTH_BYTES);
    let length = i32::try_from(content).map_err(|_| AvroError::TooMuch {
        what: "bytes of a frame",
        found: content as u64,
        max: i32::MAX.unsigned_abs().into(),
    })?;
    if let Some(place) = out.get_mut(start + HEADER_BYTES..start + HEADER_BYTES + LENGTH_BYTES) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
