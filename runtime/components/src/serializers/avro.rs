//! Events as an Avro object container: a record `Event` with `headers` (a map of strings) and `body` (bytes).
//!
//! Written by hand, without a value tree per event: the schema is fixed and an event is a handful of lengths
//! and copies. Blocks end at the sync interval and at the end of each append, so that what was appended is
//! whole.

use millrace_core::{Event, Headers};

use super::{AvroCodec, Room, Rows, SerializeError, Serializer};

/// The schema of Flume's `avro_event` serializer.
const SCHEMA: &str = concat!(
    r#"{"type":"record","name":"Event","fields":["#,
    r#"{"name":"headers","type":{"type":"map","values":"string"}},"#,
    r#"{"name":"body","type":"bytes"}]}"#
);

/// The first bytes of a container.
pub const MAGIC: &[u8; 4] = b"Obj\x01";

/// The length of the marker that ends each block.
pub const SYNC_BYTES: usize = 16;

/// Two numbers and the marker: what a block adds to its events at most.
const BLOCK_BYTES_MAX: usize = 10 + 10 + SYNC_BYTES;

/// One container file.
pub struct AvroSerializer {
    codec: AvroCodec,
    sync_interval: usize,
    sync: [u8; SYNC_BYTES],
    block: Vec<u8>,
    packed: Vec<u8>,
}

impl AvroSerializer {
    pub fn new(codec: AvroCodec, sync_interval: usize) -> Self {
        // The marker must not occur in the data by chance, nor on purpose.
        Self { codec, sync_interval, sync: rand::random(), block: Vec::new(), packed: Vec::new() }
    }

    fn end_block(&mut self, events: usize, output: &mut Vec<u8>) -> Result<(), SerializeError> {
        if events == 0 {
            return Ok(());
        }
        append_long(events, output);
        let bytes = if self.codec == AvroCodec::Null {
            &self.block
        } else {
            self.codec.pack(&self.block, &mut self.packed)?;
            &self.packed
        };
        append_bytes(bytes, output);
        output.extend_from_slice(&self.sync);
        self.block.clear();
        Ok(())
    }
}

impl Serializer for AvroSerializer {
    fn begin(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(MAGIC);
        append_long(2, output);
        append_bytes(b"avro.schema", output);
        append_bytes(SCHEMA.as_bytes(), output);
        append_bytes(b"avro.codec", output);
        append_bytes(self.codec.name().as_bytes(), output);
        append_long(0, output);
        output.extend_from_slice(&self.sync);
    }

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        self.block.clear();
        let mut taken = 0;
        let mut in_block = 0;
        let mut headers = KnownHeaders::default();
        for event in rows.iter() {
            let start = self.block.len();
            headers.append(event, in_block == 0, &mut self.block);
            append_bytes(&event.body, &mut self.block);
            if !room.has(taken, output.len() + self.block.len() + BLOCK_BYTES_MAX) {
                self.block.truncate(start);
                break;
            }
            taken += 1;
            in_block += 1;
            if self.block.len() >= self.sync_interval {
                self.end_block(in_block, output)?;
                in_block = 0;
            }
        }
        self.end_block(in_block, output)?;
        Ok(taken)
    }
}

/// Neighbours mostly share their headers: encoded once per block, then copied.
#[derive(Default)]
struct KnownHeaders<'a> {
    last: Option<(&'a Headers, std::ops::Range<usize>)>,
}

impl<'a> KnownHeaders<'a> {
    fn append(&mut self, event: &'a Event, is_first: bool, block: &mut Vec<u8>) {
        match &self.last {
            Some((headers, range)) if !is_first && headers.is_same_list(&event.headers) => {
                block.extend_from_within(range.clone());
            }
            _ => {
                let start = block.len();
                append_headers(&event.headers, block);
                self.last = Some((&event.headers, start..block.len()));
            }
        }
    }
}

fn append_headers(headers: &Headers, block: &mut Vec<u8>) {
    if !headers.is_empty() {
        append_long(headers.len(), block);
        for (name, value) in headers {
            append_bytes(name.as_bytes(), block);
            append_bytes(value.as_bytes(), block);
        }
    }
    append_long(0, block);
}

fn append_bytes(bytes: &[u8], output: &mut Vec<u8>) {
    append_long(bytes.len(), output);
    output.extend_from_slice(bytes);
}

/// A number as Avro writes it: zig-zag, seven bits a byte, low ones first. Lengths are never negative.
fn append_long(number: usize, output: &mut Vec<u8>) {
    let mut rest = (number as u64) << 1;
    while rest >= 0x80 {
        output.push((rest as u8 & 0x7F) | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}
