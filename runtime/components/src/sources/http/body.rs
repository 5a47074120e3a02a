//! Reading and unpacking bodies within their limits.

use std::{io::Read, sync::Arc};

use bytes::{Bytes, BytesMut};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::{StatusCode, body::Body, body::Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::Refused;

/// What the body of one request takes of what all may take; given back when dropped.
pub(super) struct Held {
    bodies: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(super) fn new(bodies: Arc<Semaphore>) -> Self {
        Self { bodies, permit: None }
    }

    fn more(&mut self, bytes: usize) -> Result<(), Refused> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.bodies)
            .try_acquire_many_owned(bytes)
            .map_err(|_| Refused::later("all requests together have reached the limit of their bodies", 1))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// Reads a whole body. One that comes in one piece is not copied.
pub(super) async fn read(mut body: Incoming, bytes_max: usize, held: &mut Held) -> Result<Bytes, Refused> {
    let announced = body.size_hint().lower();
    if announced > bytes_max as u64 {
        return Err(Refused::too_large(bytes_max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::bad_request(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len() + all.len() + data.len();
        if length > bytes_max {
            return Err(Refused::too_large(bytes_max));
        }
        held.more(data.len())?;
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(length.max(usize::try_from(announced).unwrap_or(0)));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
    Deflate,
}

impl Encoding {
    pub(super) fn named(name: &str) -> Result<Self, Refused> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            other => Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("content encoding `{other}` is not known: gzip and deflate are"),
            )),
        }
    }

    /// Unpacks as far as the limit goes: a small request cannot become a large one.
    pub(super) fn unpack(self, packed: Bytes, bytes_max: usize, held: &mut Held) -> Result<Bytes, Refused> {
        match self {
            Self::Plain => Ok(packed),
            Self::Gzip => read_all(MultiGzDecoder::new(&*packed), bytes_max, held),
            // Half of the world sends deflate without the wrapping that the standard asks for.
            Self::Deflate if has_zlib_head(&packed) => read_all(ZlibDecoder::new(&*packed), bytes_max, held),
            Self::Deflate => read_all(DeflateDecoder::new(&*packed), bytes_max, held),
        }
    }
}

fn has_zlib_head(packed: &[u8]) -> bool {
    matches!(packed, [method, flags, ..]
        if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

fn read_all(mut from: impl Read, bytes_max: usize, held: &mut Held) -> Result<Bytes, Refused> {
    let mut block = vec![0; 64 << 10];
    let mut unpacked = BytesMut::new();
    loop {
        let read = from
            .read(&mut block)
            .map_err(|error| Refused::bad_request(format!("the body cannot be unpacked: {error}")))?;
        if read == 0 {
            return Ok(unpacked.freeze());
        }
        if unpacked.len() + read > bytes_max {
            return Err(Refused::too_large(bytes_max));
        }
        held.more(read)?;
        unpacked.extend_from_slice(block.get(..read).unwrap_or_default());
    }
}
