//! Events as a Parquet file that is whole after every append, and only ever grows.
//!
//! ```text
//! PAR1 | frame: length, CRC-32 | row groups | metadata of all row groups, its length, PAR1 | frame … | …
//! ```
//!
//! Parquet's offsets count from the start of the file, and readers begin at its end. So an append goes on behind the
//! metadata of the last one and writes metadata of its own, which lists all row groups; what stands between them is
//! passed over by every reader. A file cut at the end of any append is a Parquet file, which is what a failed batch, a
//! crash and a store that cannot cut files need. The frame before each append says how long it is and what its checksum
//! is, so that the last whole append is found after a power failure without trusting anything in the events.
//!
//! The price is metadata that is written again with each append. It stays small in two ways. Row groups that are small
//! are merged: while the last one is at most twice as large as what is appended and both have at most
//! [`MERGED_BYTES_MAX`], their events are written again in one row group, so that `n` tiny appends leave about `log n`
//! row groups, and those in memory are less than [`MERGED_BYTES_MAX`] together. And a file that has [`ParquetSpec::row_groups_max`] row groups is full.
//!
//! The list of row groups is state; `confirm` and `roll_back` keep it in step with the file.

mod columns;
mod format;

use std::sync::Arc;

use parquet::{errors::ParquetError, file::metadata::RowGroupMetaData};

use self::{columns::Columns, format::Format};
use super::{Room, Rows, SerializeError, Serializer};

/// The first bytes of a file, and the last ones.
pub const MAGIC: &[u8; 4] = b"PAR1";

/// What stands before each append: how long it is, and its checksum; both little-endian.
const FRAME_BYTES: usize = 8 + 4;

/// Plain bytes of a row group that was merged of smaller ones, at most; so much of each open file is kept in memory.
const MERGED_BYTES_MAX: usize = 1 << 20;

/// What a Parquet file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParquetSpec {
    /// Compression of the columns.
    pub codec: ParquetCodec,
    /// What a body is.
    pub body: ParquetBody,
    /// Plain size at which a row group is ended, in bytes. The end of a batch ends one too.
    pub row_group_bytes_max: usize,
    /// Number of row groups at which a file is full.
    pub row_groups_max: usize,
}

/// A codec of Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParquetCodec {
    /// None.
    None,
    /// Snappy.
    Snappy,
    /// gzip.
    Gzip,
    /// LZ4, without any framing (`LZ4_RAW`).
    Lz4,
    /// zstd.
    Zstd,
}

/// The type of the column `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParquetBody {
    /// Bytes, as they are.
    Binary,
    /// Text; what is not UTF-8 is replaced.
    String,
}

/// One Parquet file.
pub struct ParquetSerializer {
    spec: ParquetSpec,
    /// None until the first append.
    format: Option<Format>,
    /// How long the file is where the output begins.
    length: u64,
    groups: Vec<Group>,
    confirmed: Vec<Group>,
}

/// A row group of the file.
#[derive(Clone)]
struct Group {
    metadata: Arc<RowGroupMetaData>,
    /// Its events, while it may still be merged.
    columns: Option<Arc<Columns>>,
}

impl ParquetSerializer {
    pub fn new(spec: ParquetSpec) -> Self {
        Self { spec, format: None, length: 0, groups: Vec::new(), confirmed: Vec::new() }
    }

    /// Writes a row group, together with the small ones before it.
    fn push(&mut self, format: &Format, columns: Columns, output: &mut Vec<u8>) -> Result<(), ParquetError> {
        let bytes_max = MERGED_BYTES_MAX.min(self.spec.row_group_bytes_max);
        let mut columns = columns;
        while let Some(Group { columns: Some(last), .. }) = self.groups.last()
            && last.bytes() / 2 <= columns.bytes()
            && last.bytes() + columns.bytes() <= bytes_max
        {
            columns = last.followed_by(columns);
            self.groups.pop();
        }
        let metadata = Arc::new(format.append_row_group(&columns, self.length, output)?);
        // A larger one would hardly find one that it can be merged with.
        let columns = (columns.bytes() <= bytes_max / 2).then(|| Arc::new(columns.compact()));
        self.groups.push(Group { metadata, columns });
        Ok(())
    }

    fn append_frame(
        &mut self,
        format: &Format,
        rows: Rows<'_>,
        output: &mut Vec<u8>,
    ) -> Result<(), ParquetError> {
        let frame = output.len();
        output.extend_from_slice(&[0; FRAME_BYTES]);
        let mut rest = rows;
        while !rest.is_empty() {
            let columns = Columns::of(rest, self.spec.body, self.spec.row_group_bytes_max);
            rest = rest.skip(columns.rows());
            self.push(format, columns, output)?;
        }
        format.append_metadata(self.groups.iter().map(|group| &*group.metadata), output)?;
        let (_, written) = output.split_at_mut(frame);
        if let Some((head, contents)) = written.split_first_chunk_mut::<FRAME_BYTES>() {
            let (length, checksum) = head.split_at_mut(8);
            length.copy_from_slice(&(contents.len() as u64).to_le_bytes());
            let mut crc = flate2::Crc::new();
            crc.update(contents);
            checksum.copy_from_slice(&crc.sum().to_le_bytes());
        }
        Ok(())
    }
}

impl Serializer for ParquetSerializer {
    fn begin(&mut self, output: &mut Vec<u8>) {
        self.groups.clear();
        self.confirmed.clear();
        output.extend_from_slice(MAGIC);
    }

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        // What it will be packed is not known: the size of the file is looked at after each append.
        let rows = rows.take(room.events);
        if rows.is_empty() {
            return Ok(0);
        }
        let format = match self.format.take() {
            Some(format) => format,
            None => Format::new(self.spec).map_err(failed)?,
        };
        let appended = self.append_frame(&format, rows, output);
        self.format = Some(format);
        appended.map(|()| rows.len()).map_err(failed)
    }

    fn set_length(&mut self, bytes: u64) {
        self.length = bytes;
    }

    fn confirm(&mut self) {
        self.confirmed.clone_from(&self.groups);
    }

    fn roll_back(&mut self) {
        self.groups.clone_from(&self.confirmed);
    }

    fn is_full(&self) -> bool {
        self.groups.len() >= self.spec.row_groups_max
    }
}

fn failed(source: ParquetError) -> SerializeError {
    SerializeError::Parquet { source }
}

#[cfg(test)]
pub mod tests;
