//! Events as JSON, an object each: the form of Flume's HTTP source.

use millrace_core::{Event, Headers};

use super::{Room, Rows, SerializeError, Serializer};

/// What becomes of a body that is not UTF-8, which JSON cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryBody {
    /// `"body-base64":"…"` stands in place of `"body":"…"`.
    Base64,
    /// The event is not written.
    Reject,
}

/// One object per line.
pub struct JsonSerializer;

impl Serializer for JsonSerializer {
    fn begin(&mut self, _output: &mut Vec<u8>) {}

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        let mut taken = 0;
        let mut headers = KnownHeaders::default();
        for event in rows.iter() {
            let start = output.len();
            headers.append(event, output);
            append_body(event, BinaryBody::Base64, output);
            output.extend_from_slice(b"}\n");
            if !room.has(taken, output.len()) {
                output.truncate(start);
                break;
            }
            taken += 1;
        }
        Ok(taken)
    }
}

/// Appends one event as an object. Says no, and appends nothing, for a body that cannot be shown.
pub fn append_json_event(event: &Event, binary: BinaryBody, output: &mut Vec<u8>) -> bool {
    let start = output.len();
    append_headers(&event.headers, output);
    let is_written = append_body(event, binary, output);
    output.push(b'}');
    if !is_written {
        output.truncate(start);
    }
    is_written
}

/// Neighbours mostly share their headers: written once, then copied from the output.
#[derive(Default)]
struct KnownHeaders<'a> {
    last: Option<(&'a Headers, std::ops::Range<usize>)>,
}

impl<'a> KnownHeaders<'a> {
    fn append(&mut self, event: &'a Event, output: &mut Vec<u8>) {
        match &self.last {
            Some((headers, range)) if headers.is_same_list(&event.headers) => {
                output.extend_from_within(range.clone());
            }
            _ => {
                let start = output.len();
                append_headers(&event.headers, output);
                self.last = Some((&event.headers, start..output.len()));
            }
        }
    }
}

fn append_headers(headers: &Headers, output: &mut Vec<u8>) {
    output.extend_from_slice(b"{\"headers\":{");
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            output.push(b',');
        }
        append_string(name, output);
        output.push(b':');
        append_string(value, output);
    }
    output.extend_from_slice(b"},");
}

fn append_body(event: &Event, binary: BinaryBody, output: &mut Vec<u8>) -> bool {
    match (simdutf8::basic::from_utf8(&event.body), binary) {
        (Ok(text), _) => {
            output.extend_from_slice(b"\"body\":");
            append_string(text, output);
        }
        (Err(_), BinaryBody::Base64) => {
            output.extend_from_slice(b"\"body-base64\":\"");
            append_base64(&event.body, output);
            output.push(b'"');
        }
        (Err(_), BinaryBody::Reject) => return false,
    }
    true
}

fn append_string(text: &str, output: &mut Vec<u8>) {
    // Text into memory: neither half of this can fail.
    let _written = serde_json::to_writer(output, text);
}

/// Base64 of RFC 4648, with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut output = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    append_base64(bytes, &mut output);
    output.into_iter().map(char::from).collect()
}

fn append_base64(bytes: &[u8], output: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let is_padding = digit > chunk.len();
            let index = (bits >> (18 - 6 * digit)) & 63;
            output.push(if is_padding { b'=' } else { DIGITS[index as usize] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::append_base64;

    #[test]
    fn base64_follows_the_test_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, expected) in vectors {
            let mut output = Vec::new();
            append_base64(plain.as_bytes(), &mut output);
            assert_eq!(output, expected.as_bytes());
        }
        let mut output = Vec::new();
        append_base64(&[0xFB, 0xFF, 0xFE], &mut output);
        assert_eq!(output, b"+//+");
    }
}
