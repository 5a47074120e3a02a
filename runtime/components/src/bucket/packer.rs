//! Compression: each append becomes a gzip member, a zstd frame, a bzip2 stream or blocks of its own.
//!
//! The formats allow any number of them one after the other, so the file is a valid archive after every
//! batch, and cutting a failed batch off needs no state of the compressor. The price is a dictionary that
//! starts anew with each batch: nothing to notice from some 64 KiB up.

use std::io::{self, Write};

use super::BucketError;
use crate::serializers::HadoopCodec;

/// Which compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip, levels 1 to 9.
    Gzip(u32),
    /// zstd, levels 1 to 22.
    Zstd(i32),
    /// bzip2.
    Bzip2,
    /// snappy in Hadoop's blocks.
    Snappy,
    /// LZ4 in Hadoop's blocks.
    Lz4,
}

impl Compression {
    /// What is appended to file names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
            Self::Bzip2 => ".bz2",
            Self::Snappy => ".snappy",
            Self::Lz4 => ".lz4",
        }
    }
}

/// Compresses, keeping its working memory.
pub enum Packer {
    None,
    Gzip { level: u32, packed: Vec<u8> },
    Zstd { compressor: zstd::bulk::Compressor<'static>, packed: Vec<u8> },
    Hadoop { codec: HadoopCodec, packed: Vec<u8> },
}

impl Packer {
    pub fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Gzip(level) => Self::Gzip { level, packed: Vec::new() },
            Compression::Zstd(level) => {
                let mut compressor = zstd::bulk::Compressor::new(level)?;
                compressor.include_checksum(true)?;
                Self::Zstd { compressor, packed: Vec::new() }
            }
            Compression::Bzip2 => Self::Hadoop { codec: HadoopCodec::Bzip2, packed: Vec::new() },
            Compression::Snappy => Self::Hadoop { codec: HadoopCodec::Snappy, packed: Vec::new() },
            Compression::Lz4 => Self::Hadoop { codec: HadoopCodec::Lz4, packed: Vec::new() },
        })
    }

    /// The bytes to write for these.
    pub fn pack<'a>(&'a mut self, plain: &'a [u8]) -> Result<&'a [u8], BucketError> {
        match self {
            Self::None => Ok(plain),
            Self::Gzip { level, packed } => {
                packed.clear();
                let mut encoder =
                    flate2::write::GzEncoder::new(&mut *packed, flate2::Compression::new(*level));
                let done = encoder.write_all(plain).and_then(|()| encoder.finish().map(|_| ()));
                done.map_err(|source| BucketError::Compress { codec: "gzip", source })?;
                Ok(packed)
            }
            Self::Zstd { compressor, packed } => {
                packed.clear();
                packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                let done = compressor.compress_to_buffer(plain, packed);
                done.map_err(|source| BucketError::Compress { codec: "zstd", source })?;
                Ok(packed)
            }
            Self::Hadoop { codec, packed } => {
                packed.clear();
                let done = codec.pack(plain, packed);
                done.map_err(|source| BucketError::Compress { codec: codec.class_name(), source })?;
                Ok(packed)
            }
        }
    }
}
