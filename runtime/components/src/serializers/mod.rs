//! Serializers: events as bytes of a file, whatever the file is kept in.
//!
//! A serializer works on many events at once into one output, and everything it appends is whole: the file may be cut
//! there later (a failed delivery), and is a file. That is the rule that lets a sink repeat a batch without repeating
//! bytes. Most have no state that would have to be taken back with the bytes; those that do keep what was confirmed
//! ([`Serializer::confirm`], [`Serializer::roll_back`]).
//!
//! | name | an event becomes | a crash leaves readable |
//! |---|---|---|
//! | `text` | its body and a newline | whole lines |
//! | `header-and-text` | `{k=v, k2=v2} body` and a newline | whole lines |
//! | `json` | `{"headers":{…},"body":"…"}` and a newline; a body that is not UTF-8 is `"body-base64":"…"` | whole lines |
//! | `avro-event` | a record of an Avro container | whole blocks |
//! | `parquet` | a row of a Parquet file | a whole file |
//! | sequence file | its time and its body in a Hadoop SequenceFile | whole entries or blocks |

mod avro;
mod avro_codec;
mod hadoop_codec;
mod json;
mod options;
mod parquet;
mod rows;
mod sequence;
mod text;

pub use self::parquet::{ParquetBody, ParquetCodec, ParquetSpec};
pub use avro_codec::AvroCodec;
pub use hadoop_codec::HadoopCodec;
pub(crate) use json::base64;
pub use json::{BinaryBody, append_json_event};
pub use options::{APPEND_NEWLINE, AVRO, PARQUET, SERIALIZER, serializer_spec};
pub use rows::{Room, Rows};
pub use sequence::{SequencePacking, SequenceValue};

use self::parquet::ParquetSerializer;
#[cfg(test)]
pub(crate) use self::parquet::tests::bodies as parquet_bodies;
use avro::AvroSerializer;
use json::JsonSerializer;
use sequence::SequenceSerializer;
use text::{HeaderAndTextSerializer, TextSerializer};

/// Why events could not be written. It is the fault of the process, not of an event.
#[derive(Debug, thiserror::Error)]
pub enum SerializeError {
    /// A codec failed.
    #[error("cannot compress an Avro block with {codec}: {source}")]
    Codec {
        /// Its name.
        codec: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A codec failed.
    #[error("cannot compress entries of a SequenceFile: {source}")]
    SequenceCodec {
        /// The cause.
        source: std::io::Error,
    },
    /// A row group could not be written.
    #[error("cannot write rows of a Parquet file: {source}")]
    Parquet {
        /// The cause.
        source: ::parquet::errors::ParquetError,
    },
}

/// Writes the events of one file.
pub trait Serializer: Send {
    /// Appends what stands at the beginning of a file.
    fn begin(&mut self, output: &mut Vec<u8>);

    /// Appends events until there are no more or no room; returns how many. What was appended is complete: a
    /// file that ends here is valid.
    ///
    /// # Errors
    /// The output is then of no use; the serializer still is.
    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError>;

    /// Says what time it is, for formats that write one for events that have none. In milliseconds since 1970.
    fn set_time(&mut self, _now_millis: u64) {}

    /// Says how long the file is where the next output begins, for formats with offsets. In bytes.
    fn set_length(&mut self, _bytes: u64) {}

    /// What was appended stays.
    fn confirm(&mut self) {}

    /// What was appended since the last time it was confirmed is cut off.
    fn roll_back(&mut self) {}

    /// Whether the file should take no more events, whatever its size.
    fn is_full(&self) -> bool {
        false
    }
}

/// Which serializer, and its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SerializerSpec {
    /// The bodies.
    Text {
        /// Whether a newline follows each.
        append_newline: bool,
    },
    /// Headers and bodies, for people.
    HeaderAndText {
        /// Whether a newline follows each.
        append_newline: bool,
    },
    /// One JSON object per line.
    Json,
    /// An Avro object container.
    AvroEvent {
        /// Compression of its blocks.
        codec: AvroCodec,
        /// Size at which a block is ended, in bytes. A batch always ends one.
        sync_interval: usize,
    },
    /// A Parquet file.
    Parquet(ParquetSpec),
    /// A Hadoop SequenceFile.
    Sequence {
        /// What a value is.
        value: SequenceValue,
        /// What is compressed.
        packing: SequencePacking,
    },
}

/// How the end of the last whole entry of a file is found after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Entries end with a newline.
    Lines,
    /// The blocks of an Avro container.
    Avro,
    /// The entries or blocks of a SequenceFile.
    Sequence,
    /// The appends to a Parquet file.
    Parquet,
    /// Nothing separates the entries.
    None,
}

impl SerializerSpec {
    /// A serializer for one file.
    pub fn open(&self) -> Box<dyn Serializer> {
        match *self {
            Self::Text { append_newline } => Box::new(TextSerializer { append_newline }),
            Self::HeaderAndText { append_newline } => Box::new(HeaderAndTextSerializer { append_newline }),
            Self::Json => Box::new(JsonSerializer),
            Self::AvroEvent { codec, sync_interval } => Box::new(AvroSerializer::new(codec, sync_interval)),
            Self::Parquet(spec) => Box::new(ParquetSerializer::new(spec)),
            Self::Sequence { value, packing } => Box::new(SequenceSerializer::new(value, packing)),
        }
    }

    /// What separates the entries.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Text { append_newline: true }
            | Self::HeaderAndText { append_newline: true }
            | Self::Json => Framing::Lines,
            Self::AvroEvent { .. } => Framing::Avro,
            Self::Parquet(_) => Framing::Parquet,
            Self::Sequence { .. } => Framing::Sequence,
            Self::Text { .. } | Self::HeaderAndText { .. } => Framing::None,
        }
    }
}

#[cfg(test)]
mod tests;
