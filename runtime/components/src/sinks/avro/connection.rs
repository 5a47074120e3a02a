//! A connection to an avro source: handshake with the first call, then one call after the other.

use bytes::BytesMut;
use bytestring::ByteString;
use millrace_core::Event;
use tokio::{
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Duration, Instant, timeout},
};

use crate::avro_rpc::{
    AvroError, Compression, FrameLimits, FrameReader, FrameWriter, HandshakeRequest, HandshakeResponse, Hash,
    MD5, Match, Reader, Response, StreamError, TEXT, begin_frame, encode_append_batch, finish_frame,
    is_compatible, read_response,
};

/// Answers hold a status and, once, the text of a protocol.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// What is kept of the memory of a request for the next one.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An open connection. After an error it is useless.
pub(super) struct Connection {
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
    request: BytesMut,
    opened: Instant,
    serial: i32,
    is_shaken: bool,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The connection failed, or the other side speaks something else.
    #[error(transparent)]
    Failed(#[from] StreamError),
    /// The request cannot be written at all.
    #[error(transparent)]
    TooLarge(AvroError),
}

impl From<AvroError> for CallError {
    fn from(error: AvroError) -> Self {
        Self::Failed(error.into())
    }
}

impl Connection {
    /// Looks the name up and connects to the first of its addresses that answers.
    pub(super) async fn open(address: &str, compression: Compression) -> Result<Self, std::io::Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_keepalive(true)?;
        let (read, write) = stream.into_split();
        let limits = FrameLimits { frame_bytes_max: ANSWER_BYTES_MAX };
        Ok(Self {
            reader: FrameReader::new(read, compression, limits),
            writer: FrameWriter::new(write, compression),
            request: BytesMut::new(),
            opened: Instant::now(),
            serial: 0,
            is_shaken: false,
        })
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the other side has neither closed it nor said anything unasked since the last answer.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0];
        let read = self.reader.stream().try_read(&mut byte);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends events and waits for the answer. Dropping it leaves the connection useless.
    pub(super) async fn append_batch(
        &mut self,
        events: &[Event],
        server_hash: &mut Hash,
    ) -> Result<Response, CallError> {
        if self.is_shaken {
            let mut answer = self.call(events, None).await?;
            return Ok(read_response(&mut answer)?);
        }
        let mut greeting =
            HandshakeRequest { client_hash: MD5, client_protocol: None, server_hash: *server_hash };
        let mut answer = self.call(events, Some(&greeting)).await?;
        let mut response = HandshakeResponse::read(&mut answer)?;
        learn(&response, server_hash)?;
        if response.result == Match::None {
            greeting.client_protocol = Some(ByteString::from_static(TEXT));
            greeting.server_hash = *server_hash;
            answer = self.call(events, Some(&greeting)).await?;
            response = HandshakeResponse::read(&mut answer)?;
            learn(&response, server_hash)?;
        }
        if response.result == Match::None {
            return Err(AvroError::OtherProtocol("it does not accept ours".into()).into());
        }
        self.is_shaken = true;
        Ok(read_response(&mut answer)?)
    }

    /// One request, one answer.
    async fn call(
        &mut self,
        events: &[Event],
        greeting: Option<&HandshakeRequest>,
    ) -> Result<Reader, CallError> {
        self.serial = self.serial.wrapping_add(1);
        let mut request = std::mem::take(&mut self.request);
        begin_frame(&mut request, self.serial);
        if let Some(greeting) = greeting {
            greeting.put(&mut request);
        }
        encode_append_batch(&mut request, events);
        finish_frame(&mut request, 0).map_err(CallError::TooLarge)?;
        self.writer.send(&request).await?;
        if request.capacity() <= KEPT_BYTES_MAX {
            request.clear();
            self.request = request;
        }
        let Some(frame) = self.reader.next().await? else { return Err(StreamError::Cut.into()) };
        if frame.serial != self.serial {
            let found = frame.serial.into();
            return Err(AvroError::OutOfRange { what: "serial of an answer", found }.into());
        }
        Ok(Reader::new(frame.content))
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_TIMEOUT, self.writer.shutdown()).await;
    }
}

/// Takes over the server's digest and makes sure that its protocol means what ours means.
fn learn(response: &HandshakeResponse, server_hash: &mut Hash) -> Result<(), AvroError> {
    if let Some(text) = &response.server_protocol {
        is_compatible(text)?;
    }
    if let Some(hash) = response.server_hash {
        *server_hash = hash;
    }
    Ok(())
}
