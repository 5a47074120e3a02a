//! From the content of a file to events: lines, Avro datums or blobs, each with a place to go on from.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Read},
};

use apache_avro::{Reader, Schema, rabin::Rabin, writer::datum::GenericDatumWriter};
use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use millrace_core::{ByteString, Event, Headers};

use super::options::{Format, OnError};
use crate::sources::files::Content;

const BLOCK_BYTES: usize = 256 << 10;
const DATUMS_AHEAD: usize = 128;

/// Why a file gives no more events.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeserializeError {
    /// It may be readable later.
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    /// It never will be.
    #[error("cannot be decoded: {0}")]
    Decode(String),
}

/// An open file, taken apart.
pub(super) enum Deserializer {
    Lines(Lines),
    Avro(Box<AvroDatums>),
    Blob(Blob),
    /// A file without a byte is one event without a body, as in Flume.
    Empty(Option<Event>),
}

impl Deserializer {
    /// Begins at a place that an earlier run gave, 0 for the start.
    pub(super) fn open(
        format: Format,
        content: Content,
        headers: Headers,
        place: u64,
    ) -> Result<Self, DeserializeError> {
        Ok(match format {
            Format::Lines { bytes_max, encoding, on_error } => Self::Lines(Lines {
                content,
                headers,
                bytes_max,
                encoding,
                on_error,
                offset: place,
                block: Bytes::new(),
                at_end: false,
            }),
            Format::Avro { literal_schema } => {
                Self::Avro(Box::new(AvroDatums::open(content, headers, literal_schema, place)?))
            }
            Format::Blob { bytes_max } => Self::Blob(Blob { content, headers, bytes_max, offset: place }),
        })
    }

    /// The next event; None at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Event>, DeserializeError> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Avro(datums) => datums.next(),
            Self::Blob(blob) => blob.next(),
            Self::Empty(event) => Ok(event.take()),
        }
    }

    /// Where to go on after the events given so far.
    pub(super) fn place(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.offset,
            Self::Avro(datums) => datums.count,
            Self::Blob(blob) => blob.offset,
            Self::Empty(event) => u64::from(event.is_none()),
        }
    }
}

/// Every line is an event, without its newline; a carriage return stays, as in Flume.
pub(super) struct Lines {
    content: Content,
    headers: Headers,
    bytes_max: usize,
    encoding: &'static Encoding,
    on_error: OnError,
    /// Where the block begins in the file.
    offset: u64,
    block: Bytes,
    at_end: bool,
}

impl Lines {
    fn next(&mut self) -> Result<Option<Event>, DeserializeError> {
        loop {
            let end = self.newline();
            let (length, consumed) = match end {
                Some((length, next)) if length <= self.bytes_max => (length, next),
                None if self.at_end && self.block.len() <= self.bytes_max => {
                    check_end(&mut self.content)?;
                    if self.block.is_empty() {
                        return Ok(None);
                    }
                    (self.block.len(), self.block.len())
                }
                None if self.block.len() <= self.bytes_max => {
                    self.read()?;
                    continue;
                }
                _ => {
                    let cut = self.piece();
                    (cut, cut)
                }
            };
            let body = self.block.slice(..length);
            let body = self.decode(body)?;
            self.block = self.block.slice(consumed..);
            self.offset += consumed as u64;
            return Ok(Some(Event::with_headers(self.headers.clone(), body)));
        }
    }

    /// Reads the line begun and what follows it.
    fn read(&mut self) -> io::Result<()> {
        let mut block = Vec::with_capacity((self.block.len() * 2).max(BLOCK_BYTES));
        self.content.read_at(self.offset, &mut block)?;
        self.at_end = block.len() < block.capacity();
        self.block = block.into();
        Ok(())
    }

    /// The length of the first line, and where the next one begins.
    fn newline(&self) -> Option<(usize, usize)> {
        let pair = match self.encoding {
            encoding if encoding == UTF_16LE => [b'\n', 0],
            encoding if encoding == UTF_16BE => [0, b'\n'],
            _ => return memchr::memchr(b'\n', &self.block).map(|at| (at, at + 1)),
        };
        self.block.chunks_exact(2).position(|unit| unit == pair).map(|at| (at * 2, at * 2 + 2))
    }

    /// How much of a line that is too long goes into the next event; not half a character of UTF-8 or UTF-16.
    fn piece(&self) -> usize {
        let end = self.bytes_max.min(self.block.len());
        if self.encoding == UTF_8 {
            let back = (0..4).find(|back| self.block.get(end - back).is_none_or(|byte| byte & 0xc0 != 0x80));
            return end - back.filter(|back| *back < end).unwrap_or(0);
        }
        end & !1
    }

    fn decode(&self, body: Bytes) -> Result<Bytes, DeserializeError> {
        let is_start = self.offset == 0;
        if self.encoding == UTF_8 && !is_start && simdutf8::basic::from_utf8(&body).is_ok() {
            return Ok(body);
        }
        let skip = if is_start { byte_order_mark(self.encoding, &body) } else { 0 };
        let body = body.slice(skip..);
        let (text, had_errors) = self.encoding.decode_without_bom_handling(&body);
        match (had_errors, self.on_error) {
            (false, _) if self.encoding == UTF_8 => Ok(body),
            (true, OnError::Fail) => Err(DeserializeError::Decode(format!(
                "the line at byte {} is not {}, and decode-error-policy is \"fail\"",
                self.offset,
                self.encoding.name()
            ))),
            (true, OnError::Ignore) => Ok(text.replace('\u{fffd}', "").into()),
            _ => Ok(text.into_owned().into()),
        }
    }
}

/// Whether the content ended where it should.
fn check_end(content: &mut Content) -> Result<(), DeserializeError> {
    match content.take_damage() {
        Some(damage) => Err(DeserializeError::Decode(damage.to_string())),
        None if content.is_compressed() && !content.is_complete() => {
            Err(DeserializeError::Decode("the compressed file ends too early".to_owned()))
        }
        None => Ok(()),
    }
}

fn byte_order_mark(encoding: &'static Encoding, body: &[u8]) -> usize {
    match Encoding::for_bom(body) {
        Some((marked, length)) if marked == encoding => length,
        _ => 0,
    }
}

/// Every datum of a container file is an event: its binary form, with the schema in a header.
pub(super) struct AvroDatums {
    reader: Reader<'static, BufReader<Sequential>>,
    schema: Schema,
    headers: Headers,
    count: u64,
    ready: VecDeque<Vec<u8>>,
    /// Why there is nothing after what is ready.
    failure: Option<String>,
}

impl AvroDatums {
    fn open(
        content: Content,
        mut headers: Headers,
        literal_schema: bool,
        place: u64,
    ) -> Result<Self, DeserializeError> {
        let reader = Reader::new(BufReader::with_capacity(BLOCK_BYTES, Sequential { content, offset: 0 }))
            .map_err(|error| DeserializeError::Decode(error.to_string()))?;
        let schema = reader.writer_schema().clone();
        if literal_schema {
            let text = serde_json::to_string(&schema).map_err(io::Error::from)?;
            headers.set(ByteString::from_static("flume.avro.schema.literal"), text.into());
        } else {
            let fingerprint = schema.fingerprint::<Rabin>();
            let hex: String = fingerprint.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            headers.set(ByteString::from_static("flume.avro.schema.hash"), hex.into());
        }
        let mut datums = Self { reader, schema, headers, count: 0, ready: VecDeque::new(), failure: None };
        while datums.count < place && datums.next()?.is_some() {}
        Ok(datums)
    }

    fn next(&mut self) -> Result<Option<Event>, DeserializeError> {
        if self.ready.is_empty() && self.failure.is_none() {
            self.read()?;
        }
        let Some(body) = self.ready.pop_front() else {
            return self.failure.take().map_or(Ok(None), |failure| Err(DeserializeError::Decode(failure)));
        };
        self.count += 1;
        Ok(Some(Event::with_headers(self.headers.clone(), body)))
    }

    /// Encodes the next few datums; preparing the writer costs as much as many of them.
    fn read(&mut self) -> Result<(), DeserializeError> {
        let writer = GenericDatumWriter::builder(&self.schema).validate(false).build();
        let writer = writer.map_err(|error| DeserializeError::Decode(error.to_string()))?;
        for value in self.reader.by_ref().take(DATUMS_AHEAD) {
            match value.and_then(|value| writer.write_value_to_vec(value)) {
                Ok(body) => self.ready.push_back(body),
                Err(error) => {
                    let number = self.count + self.ready.len() as u64;
                    self.failure = Some(format!("datum {number}: {error}"));
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Content as a stream.
struct Sequential {
    content: Content,
    offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.content.read_exactly(self.offset, into.len())?;
        if let Some(to) = into.get_mut(..bytes.len()) {
            to.copy_from_slice(&bytes);
        }
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// The whole file is an event, or several where it is too large.
pub(super) struct Blob {
    content: Content,
    headers: Headers,
    bytes_max: usize,
    offset: u64,
}

impl Blob {
    fn next(&mut self) -> Result<Option<Event>, DeserializeError> {
        let mut body = Vec::new();
        while body.len() < self.bytes_max {
            let wanted = (self.bytes_max - body.len()).min((body.len() * 2).max(BLOCK_BYTES));
            let more = self.content.read_exactly(self.offset + body.len() as u64, wanted)?;
            if more.is_empty() {
                break;
            }
            body.extend_from_slice(&more);
        }
        if body.is_empty() {
            check_end(&mut self.content)?;
            return Ok(None);
        }
        self.offset += body.len() as u64;
        Ok(Some(Event::with_headers(self.headers.clone(), body)))
    }
}
