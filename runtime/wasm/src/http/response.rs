//! Responses on their way in: read within their limits, and without the secret should they repeat it.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{Response, body::Body, header::CONTENT_LENGTH};

use super::{client::Budget, error::HttpError};
use crate::grants::Secret;

/// Shorter secrets are not looked for: they would be found where they are not.
const COVERED_BYTES_MIN: usize = 6;

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) body: Bytes,
}

/// Reads a whole response of at most so many bytes.
pub(super) async fn read<B>(
    response: Response<B>,
    bytes_max: u64,
    budget: &Budget,
    secret: Option<&Secret>,
) -> Result<Answer, HttpError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error,
{
    let (head, mut body) = response.into_parts();
    let announced =
        head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) && body.size_hint().lower() > bytes_max {
        return Err(HttpError::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::Transport(causes(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if (whole.len() + data.len()) as u64 > bytes_max || !budget.take(data.len()) {
            return Err(HttpError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    let needle = secret.map(Secret::bytes).filter(|secret| secret.len() >= COVERED_BYTES_MIN);
    if let Some(needle) = needle {
        cover(&mut whole, needle);
    }
    let headers = head.headers.iter().map(|(name, value)| {
        let mut value = BytesMut::from(value.as_bytes());
        if let Some(needle) = needle {
            cover(&mut value, needle);
        }
        (name.as_str().to_owned(), value.freeze())
    });
    Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body: whole.freeze() })
}

/// Writes stars over a secret, wherever it stands.
pub(super) fn cover(text: &mut [u8], secret: &[u8]) {
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(text.get(from..).unwrap_or_default(), secret) {
        let end = from + found + secret.len();
        if let Some(place) = text.get_mut(from + found..end) {
            place.fill(b'*');
        }
        from = end;
    }
}

/// An error with all its causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
