//! Events as a Hadoop SequenceFile, version 6: the key is the time in milliseconds, the value the body.
//!
//! Every append ends with a sync marker, or is blocks that begin with one, so what was appended is whole and a reader
//! finds a border even in a damaged file. `packed` is true for whole blocks of entries, as Flume does with a codec.

use millrace_core::Event;

use super::{HadoopCodec, Room, Rows, SerializeError, Serializer};

/// The first bytes of a file, with the version.
pub const MAGIC: &[u8; 4] = b"SEQ\x06";

/// The length of the marker between entries.
pub const SYNC_BYTES: usize = 16;

/// Plain bytes between two markers, and in a block.
const SYNC_INTERVAL: usize = 100 << 10;
const BLOCK_BYTES: usize = 1_000_000;

const KEY_BYTES: usize = 8;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceValue {
    /// `BytesWritable`.
    Bytes,
    /// `Text`.
    Text,
}

/// What is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequencePacking {
    /// Nothing.
    None,
    /// Each value alone.
    Record(HadoopCodec),
    /// Many entries together.
    Block(HadoopCodec),
}

/// One SequenceFile.
pub struct SequenceSerializer {
    value: SequenceValue,
    packing: SequencePacking,
    sync: [u8; SYNC_BYTES],
    now_millis: u64,
    entry: Vec<u8>,
    packed: Vec<u8>,
    block: Block,
}

/// The four columns of a block.
#[derive(Default)]
struct Block {
    entries: usize,
    key_lengths: Vec<u8>,
    keys: Vec<u8>,
    value_lengths: Vec<u8>,
    values: Vec<u8>,
}

impl SequenceSerializer {
    pub fn new(value: SequenceValue, packing: SequencePacking) -> Self {
        Self {
            value,
            packing,
            // The marker must not occur in the data by chance, nor on purpose.
            sync: rand::random(),
            now_millis: 0,
            entry: Vec::new(),
            packed: Vec::new(),
            block: Block::default(),
        }
    }

    /// The time of an event: its own, else the clock's.
    fn key(&self, event: &Event) -> [u8; KEY_BYTES] {
        let own = event.headers.find("timestamp").and_then(|text| text.trim().parse::<i64>().ok());
        own.unwrap_or_else(|| i64::try_from(self.now_millis).unwrap_or(i64::MAX)).to_be_bytes()
    }

    fn append_value(&self, event: &Event, output: &mut Vec<u8>) {
        match self.value {
            SequenceValue::Bytes => output.extend_from_slice(&(event.body.len() as u32).to_be_bytes()),
            SequenceValue::Text => append_number(event.body.len() as u64, output),
        }
        output.extend_from_slice(&event.body);
    }

    fn append_sync(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&(-1_i32).to_be_bytes());
        output.extend_from_slice(&self.sync);
    }

    fn append_entries(
        &mut self,
        rows: Rows<'_>,
        room: Room,
        output: &mut Vec<u8>,
    ) -> Result<usize, SerializeError> {
        let (mut taken, mut synced) = (0, output.len());
        for event in rows.iter() {
            let mut value = std::mem::take(&mut self.entry);
            value.clear();
            self.append_value(event, &mut value);
            let value = match self.packing {
                SequencePacking::Record(codec) => {
                    self.packed.clear();
                    codec.pack(&value, &mut self.packed).map_err(failed)?;
                    self.entry = std::mem::replace(&mut self.packed, value);
                    &self.entry
                }
                _ => {
                    self.entry = value;
                    &self.entry
                }
            };
            let size = output.len() + 8 + KEY_BYTES + value.len() + 2 * (4 + SYNC_BYTES);
            if !room.has(taken, size) {
                break;
            }
            output.extend_from_slice(&((KEY_BYTES + value.len()) as u32).to_be_bytes());
            output.extend_from_slice(&(KEY_BYTES as u32).to_be_bytes());
            output.extend_from_slice(&self.key(event));
            output.extend_from_slice(value);
            taken += 1;
            if output.len() - synced >= SYNC_INTERVAL {
                self.append_sync(output);
                synced = output.len();
            }
        }
        if taken > 0 && output.len() > synced {
            self.append_sync(output);
        }
        Ok(taken)
    }

    fn append_blocks(
        &mut self,
        codec: HadoopCodec,
        rows: Rows<'_>,
        room: Room,
        output: &mut Vec<u8>,
    ) -> Result<usize, SerializeError> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let mut taken = 0;
        for event in rows.iter() {
            // What it will be packed is not known: counted as it is.
            let size = output.len() + block.values.len() + event.body.len();
            if !room.has(taken, size) {
                break;
            }
            let start = block.values.len();
            append_number(KEY_BYTES as u64, &mut block.key_lengths);
            block.keys.extend_from_slice(&self.key(event));
            self.append_value(event, &mut block.values);
            let length = (block.values.len() - start) as u64;
            append_number(length, &mut block.value_lengths);
            block.entries += 1;
            taken += 1;
            if block.values.len() >= BLOCK_BYTES {
                self.end_block(codec, &mut block, output)?;
            }
        }
        self.end_block(codec, &mut block, output)?;
        self.block = block;
        Ok(taken)
    }

    fn end_block(
        &mut self,
        codec: HadoopCodec,
        block: &mut Block,
        output: &mut Vec<u8>,
    ) -> Result<(), SerializeError> {
        if block.entries == 0 {
            return Ok(());
        }
        self.append_sync(output);
        append_number(block.entries as u64, output);
        for column in [&block.key_lengths, &block.keys, &block.value_lengths, &block.values] {
            self.packed.clear();
            codec.pack(column, &mut self.packed).map_err(failed)?;
            append_number(self.packed.len() as u64, output);
            output.extend_from_slice(&self.packed);
        }
        block.clear();
        Ok(())
    }
}

impl Serializer for SequenceSerializer {
    fn begin(&mut self, output: &mut Vec<u8>) {
        let value = match self.value {
            SequenceValue::Bytes => "org.apache.hadoop.io.BytesWritable",
            SequenceValue::Text => "org.apache.hadoop.io.Text",
        };
        let codec = match self.packing {
            SequencePacking::None => None,
            SequencePacking::Record(codec) | SequencePacking::Block(codec) => Some(codec),
        };
        output.extend_from_slice(MAGIC);
        append_text("org.apache.hadoop.io.LongWritable", output);
        append_text(value, output);
        output.push(u8::from(codec.is_some()));
        output.push(u8::from(matches!(self.packing, SequencePacking::Block(_))));
        if let Some(codec) = codec {
            append_text(codec.class_name(), output);
        }
        // No metadata.
        output.extend_from_slice(&0_u32.to_be_bytes());
        output.extend_from_slice(&self.sync);
    }

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        match self.packing {
            SequencePacking::Block(codec) => self.append_blocks(codec, rows, room, output),
            _ => self.append_entries(rows, room, output),
        }
    }

    fn set_time(&mut self, now_millis: u64) {
        self.now_millis = now_millis;
    }
}

impl Block {
    fn clear(&mut self) {
        self.entries = 0;
        for column in [&mut self.key_lengths, &mut self.keys, &mut self.value_lengths, &mut self.values] {
            column.clear();
        }
    }
}

fn failed(source: std::io::Error) -> SerializeError {
    SerializeError::SequenceCodec { source }
}

fn append_text(text: &str, output: &mut Vec<u8>) {
    append_number(text.len() as u64, output);
    output.extend_from_slice(text.as_bytes());
}

/// A number as Hadoop's `WritableUtils` writes one that is not negative.
fn append_number(number: u64, output: &mut Vec<u8>) {
    if number <= 127 {
        output.push(number as u8);
        return;
    }
    let bytes = 8 - number.leading_zeros() as usize / 8;
    output.push((-112_i8 - bytes as i8) as u8);
    output.extend_from_slice(number.to_be_bytes().get(8 - bytes..).unwrap_or_default());
}
