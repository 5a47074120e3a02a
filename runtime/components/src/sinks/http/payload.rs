//! Events as the body of a request.

use std::io::{self, Write};

use bytes::Bytes;
use millrace_core::{Batch, Refusal};

use crate::serializers::{BinaryBody, append_json_event};

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of events.
    JsonArray,
    /// An event per line.
    Ndjson,
    /// The body of one event.
    Single,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::JsonArray => "application/json; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Single => "text/plain",
        }
    }
}

/// The body of a request and the rows that are in it.
pub struct Payload {
    pub bytes: Bytes,
    pub rows: Vec<usize>,
}

impl Payload {
    /// Some events of a batch. Those that cannot be shown are refused.
    pub fn new(
        format: Format,
        binary: BinaryBody,
        batch: &Batch,
        mut rows: Vec<usize>,
        refusals: &mut Vec<Refusal>,
    ) -> Self {
        let events = batch.events();
        if format == Format::Single {
            let body = rows.first().and_then(|row| events.get(*row)).map(|event| event.body.clone());
            return Self { bytes: body.unwrap_or_default(), rows };
        }
        let size: usize = rows.iter().filter_map(|row| events.get(*row)).map(|event| event.size() + 40).sum();
        let mut output = Vec::with_capacity(size);
        if format == Format::JsonArray {
            output.push(b'[');
        }
        rows.retain(|row| {
            let Some(event) = events.get(*row) else { return false };
            let start = output.len();
            if format == Format::JsonArray && start > 1 {
                output.push(b',');
            }
            let is_written = append_json_event(event, binary, &mut output);
            if is_written {
                if format == Format::Ndjson {
                    output.push(b'\n');
                }
            } else {
                output.truncate(start);
                let reason = "the body is not UTF-8, which JSON cannot hold".to_owned();
                refusals.push(Refusal { row: *row, reason });
            }
            is_written
        });
        if format == Format::JsonArray {
            output.push(b']');
        }
        Self { bytes: output.into(), rows }
    }
}

/// Compresses the body of a request.
pub fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}
