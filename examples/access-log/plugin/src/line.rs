//! One line of an access log, as slices.
//!
//! `host ident user [time] "method path protocol" status bytes …`: what follows the status differs between
//! the common, the combined and many home-made formats, and is not looked at.

use memchr::{memchr, memchr2};

/// The parts of a line that become headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Three digits.
    pub(crate) status: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a line apart; none if it is no line of an access log.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        // The time stands in brackets, and the request begins with the first quote behind it. A user
        // name may hold a quote, so the brackets come first.
        let time = memchr(b'[', line)?;
        let rest = &line[time + 1..];
        let rest = &rest[memchr(b']', rest)? + 1..];
        let rest = rest.strip_prefix(b" \"")?;
        let end = end_of_quoted(rest)?;
        let (request, rest) = (&rest[..end], &rest[end + 1..]);
        let status = rest.strip_prefix(b" ")?.get(..3)?;
        let is_number = status.iter().all(u8::is_ascii_digit);
        let is_over = rest.get(4).is_none_or(|byte| byte.is_ascii_whitespace());
        let (method, path) = split_request(request)?;
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        let line = Self { method: text(method)?, path: text(path)?, status: text(status)? };
        (is_number && is_over).then_some(line)
    }

    pub(crate) fn status_number(&self) -> u16 {
        self.status.bytes().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
    }
}

/// Finds the closing quote. Servers write a quote inside as `\"`.
fn end_of_quoted(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Takes `GET /path HTTP/1.1` apart. HTTP/0.9 has no protocol; garbage that is no request has no space.
fn split_request(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', request)?;
    let (method, rest) = (&request[..space], &request[space + 1..]);
    let path = memchr::memrchr(b' ', rest).map_or(rest, |space| &rest[..space]);
    let is_method = !method.is_empty() && method.iter().all(|byte| byte.is_ascii_alphabetic());
    (is_method && !path.is_empty()).then_some((method, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(&str, &str, &str)> {
        Line::parse(line.as_bytes()).map(|line| (line.method, line.path, line.status))
    }

    #[test]
    fn combined_and_common_lines_are_read() {
        let combined = r#"203.0.113.9 - bob [22/Nov/2026:10:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 5 "https://x/" "Mozilla/5.0 (X11)""#;
        assert_eq!(parse(combined), Some(("GET", "/a?b=c", "200")));
        let common = r#"::1 - - [22/Nov/2026:10:00:00 +0000] "POST /form HTTP/1.0" 302 -"#;
        assert_eq!(parse(common), Some(("POST", "/form", "302")));
    }

    #[test]
    fn unusual_requests_are_read() {
        let spaces = r#"h - - [t] "GET /with a space HTTP/1.1" 400 0"#;
        assert_eq!(parse(spaces), Some(("GET", "/with a space", "400")));
        let quote = r#"h - - [t] "GET /say\"hi\" HTTP/1.1" 404 0"#;
        assert_eq!(parse(quote), Some(("GET", r#"/say\"hi\""#, "404")));
        let user = r#"h - "us er" [t] "GET / HTTP/1.1" 200 0"#;
        assert_eq!(parse(user), Some(("GET", "/", "200")));
        assert_eq!(parse(r#"h - - [t] "GET /old" 200"#), Some(("GET", "/old", "200")));
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "[",
            "[]",
            r#"h - - [t] ""#,
            r#"h - - [t] "-" 400 0"#,
            r#"h - - [t] "\x16\x03\x01" 400 0"#,
            r#"h - - [t] "GET / HTTP/1.1" 20"#,
            r#"h - - [t] "GET / HTTP/1.1" 2000 1"#,
            r#"h - - [t] "GET / HTTP/1.1" abc 1"#,
            r#"h - - [t] "GET / HTTP/1.1\"#,
            r#"h - - [t] "GET  HTTP/1.1" 200 1"#,
            "2026-11-22 error: [core] something \"quoted\" 200",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_path_that_is_not_utf8_is_no_header() {
        assert_eq!(Line::parse(b"h - - [t] \"GET /\xff HTTP/1.1\" 200 1"), None);
    }
}
