//! Frames from and to a socket, plain or compressed.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    deflate::{Deflater, Inflater},
    error::StreamError,
    frame::{Frame, FrameDecoder, FrameLimits},
};

/// What one read asks for at least, and how far memory runs ahead of what has arrived.
const READ_BYTES_MIN: usize = 16 * 1024;

/// How a connection is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// One zlib stream in each direction, of this level.
    Deflate(u32),
}

/// Reads frames.
pub(crate) struct FrameReader<R> {
    stream: R,
    inflater: Option<Inflater>,
    inbox: BytesMut,
    decoder: FrameDecoder,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at the start of a connection.
    pub(crate) fn new(stream: R, compression: Compression, limits: FrameLimits) -> Self {
        let inflater = (compression != Compression::None).then(Inflater::new);
        Self { stream, inflater, inbox: BytesMut::new(), decoder: FrameDecoder::new(limits) }
    }

    /// The socket.
    pub(crate) fn stream(&self) -> &R {
        &self.stream
    }

    /// The next frame of what was received; None when more is needed.
    pub(crate) fn decode(&mut self) -> Result<Option<Frame>, StreamError> {
        Ok(self.decoder.decode(&mut self.inbox)?)
    }

    /// Whether a frame has begun and is not whole.
    pub(crate) fn is_inside_frame(&self) -> bool {
        self.decoder.is_inside_frame(&self.inbox)
    }

    /// Bytes of memory that the frame in hand will take after the next [`FrameReader::fill`].
    pub(crate) fn needed_bytes(&self) -> usize {
        let raw = self.inflater.as_ref().map_or(0, Inflater::held_bytes);
        self.inbox.capacity().max(self.inbox.len() + self.ahead()) + self.decoder.held_bytes() + raw
    }

    /// How much room the next read makes: memory grows with what has arrived, not with what a length promises.
    fn ahead(&self) -> usize {
        self.decoder.missing(&self.inbox).min(self.inbox.len()).max(READ_BYTES_MIN)
    }

    /// Receives more; false when the peer has closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub(crate) async fn fill(&mut self) -> Result<bool, StreamError> {
        let ahead = self.ahead();
        let Some(inflater) = &mut self.inflater else {
            self.inbox.reserve(ahead);
            return Ok(self.stream.read_buf(&mut self.inbox).await? > 0);
        };
        loop {
            if inflater.inflate(&mut self.inbox)? > 0 {
                return Ok(true);
            }
            inflater.raw().reserve(READ_BYTES_MIN);
            if self.stream.read_buf(inflater.raw()).await? == 0 {
                return Ok(false);
            }
        }
    }

    /// The next frame; None when the peer has closed between two.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        loop {
            if let Some(frame) = self.decode()? {
                return Ok(Some(frame));
            }
            if !self.fill().await? {
                return if self.is_inside_frame() { Err(StreamError::Cut) } else { Ok(None) };
            }
        }
    }
}

/// Writes frames.
pub(crate) struct FrameWriter<W> {
    stream: W,
    deflater: Option<Deflater>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// A writer at the start of a connection.
    pub(crate) fn new(stream: W, compression: Compression) -> Self {
        let deflater = match compression {
            Compression::None => None,
            Compression::Deflate(level) => Some(Deflater::new(level)),
        };
        Self { stream, deflater }
    }

    /// Sends whole frames. A dropped call leaves the connection useless.
    pub(crate) async fn send(&mut self, frames: &[u8]) -> Result<(), StreamError> {
        match &mut self.deflater {
            None => self.stream.write_all(frames).await?,
            Some(deflater) => self.stream.write_all(deflater.deflate(frames)?).await?,
        }
        Ok(self.stream.flush().await?)
    }

    /// Ends this direction.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}
