//! What a reply says besides its status.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Response,
    header::{HeaderMap, RETRY_AFTER},
};

/// Nobody may stop a sink for longer than this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// A reply is read up to here; a longer one costs the connection.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// Characters of a reply that get into reasons.
const SHOWN_CHARS_MAX: usize = 200;

/// How long the server wants to be left alone: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = rfc2822::parse(text).ok()?.timestamp();
            let pause = date.duration_since(Timestamp::try_from(now).ok()?);
            Duration::try_from(pause).unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

/// Reads a reply, as far as it is of a reasonable size, and returns its beginning as one line.
pub async fn beginning(mut response: Response) -> String {
    let mut kept = Vec::new();
    let mut size = 0;
    // A reply that breaks off has still said its status.
    while let Ok(Some(chunk)) = response.chunk().await {
        size += chunk.len();
        let wanted = (4 * SHOWN_CHARS_MAX).saturating_sub(kept.len()).min(chunk.len());
        kept.extend_from_slice(chunk.get(..wanted).unwrap_or_default());
        if size >= REPLY_BYTES_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let one_line = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
    one_line.take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::retry_after;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_too_long() {
        // Sun, 06 Nov 1994 08:49:37 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let table: [(&'static str, Option<u64>); 9] = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(3600)),
            ("soon", None),
            ("-5", None),
        ];
        for (text, seconds) in table {
            let headers: HeaderMap = [(RETRY_AFTER, HeaderValue::from_static(text))].into_iter().collect();
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
