//! The `json` form: `[{"headers": {"name": "value"}, "body": "text"}, …]`.
//!
//! It is read as leniently as Flume's parser reads it: comments, single quotes, names and texts without quotes,
//! `;` for `,` and `=` for `:`. Numbers and booleans where a text belongs are taken as they are written. Unknown
//! fields are skipped. A body without escapes is a slice of the request, and neighbours with equal headers share
//! them.

use std::collections::HashSet;

use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Event, Headers};

use super::request::Refused;
use crate::charset::Charset;
use reader::{Mistake, Reader};

mod reader;

/// From so many headers on repetitions are looked up in a set.
const MANY_HEADERS: usize = 32;

/// The events of a request.
pub(super) fn events(
    body: &Bytes,
    content_type: Option<&str>,
    headers_max: usize,
) -> Result<Vec<Event>, Refused> {
    let charset = charset(content_type)?;
    let text = text(body, charset);
    let mut events = Events { charset, headers_max, last: Headers::default(), scratch: Vec::new() };
    events.read(&mut Reader::new(&text)).map_err(|mistake| match mistake {
        Mistake::Syntax(reason) => {
            Refused::bad_request(format!("the request has invalid JSON syntax: {reason}"))
        }
        Mistake::Nothing(reason) => Refused::failed(reason),
    })
}

/// The character set of the request and of the bodies in it.
fn charset(content_type: Option<&str>) -> Result<Charset, Refused> {
    let named = content_type.into_iter().flat_map(|value| value.split(';').skip(1)).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value.trim().trim_matches('"'))
    });
    match named.map(str::to_ascii_lowercase).as_deref() {
        None | Some("utf-8") => Ok(Charset::Utf8),
        Some("utf-16") => Ok(Charset::Utf16(None)),
        Some("utf-32") => Ok(Charset::Utf32(None)),
        Some(other) => Err(Refused::failed(format!(
            "character set `{other}` is not known here: UTF-8, UTF-16 and UTF-32 are"
        ))),
    }
}

/// The request as text: the same bytes, where they are UTF-8 already.
fn text(body: &Bytes, charset: Charset) -> ByteString {
    if charset == Charset::Utf8
        && let Ok(text) = ByteString::try_from(body.clone())
    {
        return text;
    }
    charset.decode(body).into_owned().into()
}

struct Events {
    charset: Charset,
    headers_max: usize,
    /// The headers of the event before.
    last: Headers,
    scratch: Vec<(ByteString, ByteString)>,
}

impl Events {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Event>, Mistake> {
        let mut events = Vec::new();
        if reader.is_at_end()? {
            return Err(Mistake::Nothing("the request is empty".into()));
        }
        if reader.null()? {
            reader.expect_end()?;
            return Err(Mistake::Nothing("the request is null, not a list of events".into()));
        }
        reader.begin('[', "a list of events")?;
        // Flume fails on a list with a hole, but only after the syntax of all of it.
        let mut hole = false;
        while reader.next_element()? {
            if reader.is_hole()? || reader.null()? {
                hole = true;
                continue;
            }
            events.push(self.event(reader)?);
        }
        reader.expect_end()?;
        match hole {
            true => Err(Mistake::Nothing("an event in the list is null".into())),
            false => Ok(events),
        }
    }

    fn event(&mut self, reader: &mut Reader<'_>) -> Result<Event, Mistake> {
        reader.begin('{', "an event")?;
        let mut event = Event::default();
        while let Some(name) = reader.next_name()? {
            match &*name {
                "headers" => event.headers = self.headers(reader)?,
                "body" => {
                    let body = reader.text()?.unwrap_or_default();
                    event.body = match self.charset {
                        Charset::Utf8 => body.into_bytes(),
                        charset => charset.encode(&body).into_owned().into(),
                    };
                }
                _ => reader.skip()?,
            }
        }
        Ok(event)
    }

    fn headers(&mut self, reader: &mut Reader<'_>) -> Result<Headers, Mistake> {
        self.scratch.clear();
        if reader.null()? {
            return Ok(Headers::default());
        }
        reader.begin('{', "headers")?;
        let mut many = HashSet::new();
        while let Some(name) = reader.next_name()? {
            if self.scratch.len() == self.headers_max {
                return Err(reader.mistake(&format!("an event has more than {} headers", self.headers_max)));
            }
            let repeated = if self.scratch.len() < MANY_HEADERS {
                self.scratch.iter().any(|(known, _)| *known == name)
            } else {
                if many.is_empty() {
                    many.extend(self.scratch.iter().map(|(known, _)| known.clone()));
                }
                !many.insert(name.clone())
            };
            if repeated {
                return Err(reader.mistake(&format!("the header `{name}` is there twice")));
            }
            if let Some(value) = reader.text()? {
                self.scratch.push((name, value));
            }
        }
        if self.scratch != self.last.as_slice() {
            self.last = self.scratch.drain(..).collect();
        }
        Ok(self.last.clone())
    }
}

#[cfg(test)]
mod tests;
