//! Compression as Hadoop frames it, so that `hadoop fs -text` and MapReduce read it.
//!
//! Everything packed at once stands for itself: gzip members, bzip2 streams and zstd frames may follow each other, and
//! snappy and LZ4 are a sequence of blocks, each a plain length and a packed length (big-endian) and the packed bytes.

use std::io::{self, Write};

/// The most plain bytes in one block; Hadoop's readers hold 256 KiB by default, packed and plain.
const BLOCK_BYTES_MAX: usize = 128 << 10;

/// A codec of Hadoop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HadoopCodec {
    /// zlib, Hadoop's default.
    Deflate,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// zstd.
    Zstd,
    /// snappy in Hadoop's blocks.
    Snappy,
    /// LZ4 in Hadoop's blocks.
    Lz4,
}

impl HadoopCodec {
    /// The class that unpacks it.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Deflate => "org.apache.hadoop.io.compress.DefaultCodec",
            Self::Gzip => "org.apache.hadoop.io.compress.GzipCodec",
            Self::Bzip2 => "org.apache.hadoop.io.compress.BZip2Codec",
            Self::Zstd => "org.apache.hadoop.io.compress.ZStandardCodec",
            Self::Snappy => "org.apache.hadoop.io.compress.SnappyCodec",
            Self::Lz4 => "org.apache.hadoop.io.compress.Lz4Codec",
        }
    }

    /// Appends the packed form of these bytes.
    ///
    /// # Errors
    /// The codec fails.
    pub fn pack(self, plain: &[u8], packed: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(packed, flate2::Compression::default());
                encoder.write_all(plain)?;
                encoder.finish().map(drop)
            }
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
                encoder.write_all(plain)?;
                encoder.finish().map(drop)
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(packed, bzip2::Compression::best());
                encoder.write_all(plain)?;
                encoder.finish().map(drop)
            }
            Self::Zstd => zstd::stream::copy_encode(plain, packed, 0),
            Self::Snappy => blocks(plain, packed, |block, packed| {
                let start = packed.len();
                packed.resize(start + snap::raw::max_compress_len(block.len()), 0);
                let room = packed.get_mut(start..).unwrap_or_default();
                let size = snap::raw::Encoder::new().compress(block, room).map_err(io::Error::other)?;
                packed.truncate(start + size);
                Ok(())
            }),
            Self::Lz4 => blocks(plain, packed, |block, packed| {
                packed.extend_from_slice(&lz4_flex::block::compress(block));
                Ok(())
            }),
        }
    }
}

fn blocks(
    plain: &[u8],
    packed: &mut Vec<u8>,
    mut pack: impl FnMut(&[u8], &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    for block in plain.chunks(BLOCK_BYTES_MAX) {
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        let at = packed.len();
        packed.extend_from_slice(&[0; 4]);
        pack(block, packed)?;
        let length = ((packed.len() - at - 4) as u32).to_be_bytes();
        if let Some(place) = packed.get_mut(at..at + 4) {
            place.copy_from_slice(&length);
        }
    }
    Ok(())
}
