//! Compression of the blocks of an Avro container, as the Avro specification defines each codec.

use std::io::{self, Write};

use super::SerializeError;

/// A codec of Avro containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvroCodec {
    /// None.
    Null,
    /// Raw deflate.
    Deflate,
    /// Raw snappy, followed by the CRC-32 of the plain bytes.
    Snappy,
    /// A zstd frame.
    Zstandard,
}

impl AvroCodec {
    /// The name in the container's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
        }
    }

    /// The codec of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard]
            .into_iter()
            .find(|codec| codec.name() == name)
    }

    /// Replaces `packed` by the compressed form of a block.
    pub(super) fn pack(self, block: &[u8], packed: &mut Vec<u8>) -> Result<(), SerializeError> {
        packed.clear();
        match self {
            Self::Null => packed.extend_from_slice(block),
            Self::Deflate => {
                let mut encoder = flate2::write::DeflateEncoder::new(packed, flate2::Compression::default());
                encoder
                    .write_all(block)
                    .and_then(|()| encoder.finish())
                    .map_err(|error| self.failed(error))?;
            }
            Self::Snappy => {
                packed.resize(snap::raw::max_compress_len(block.len()), 0);
                let size = snap::raw::Encoder::new()
                    .compress(block, packed)
                    .map_err(|error| self.failed(io::Error::other(error)))?;
                packed.truncate(size);
                let mut checksum = flate2::Crc::new();
                checksum.update(block);
                packed.extend_from_slice(&checksum.sum().to_be_bytes());
            }
            Self::Zstandard => {
                zstd::stream::copy_encode(block, &mut *packed, 0).map_err(|error| self.failed(error))?;
            }
        }
        Ok(())
    }

    fn failed(self, source: io::Error) -> SerializeError {
        SerializeError::Codec { codec: self.name(), source }
    }
}
