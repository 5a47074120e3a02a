//! Files of HDFS that are written or read.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;
use hdfs_native::file::{FileReader, FileWriter};

use crate::connection::Connection;

/// Read at once from a file.
const READ_BYTES: usize = 1 << 20;

/// A file that is being written, at its end only.
pub struct HdfsFile {
    pub writer: FileWriter,
    pub written: u64,
}

impl HdfsFile {
    /// Appends all of it.
    pub fn append(&mut self, bytes: &[u8], offset: u64, connection: &Connection) -> io::Result<()> {
        if offset != self.written {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "HDFS writes at the end only"));
        }
        self.written += bytes.len() as u64;
        connection.wait(self.writer.write_bytes(Bytes::copy_from_slice(bytes))).map(drop)
    }
}

/// A file that is read.
pub struct HdfsRead {
    pub reader: FileReader,
    pub connection: Arc<Connection>,
    pub chunk: Bytes,
}

impl Read for HdfsRead {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.connection.wait(self.reader.read_bytes(READ_BYTES))?;
        }
        let count = output.len().min(self.chunk.len());
        let part = self.chunk.split_to(count);
        if let Some(place) = output.get_mut(..count) {
            place.copy_from_slice(&part);
        }
        Ok(count)
    }
}
