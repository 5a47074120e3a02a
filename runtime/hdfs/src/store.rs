//! HDFS as a store: files grow at their end, cannot be cut, and have one writer at a time.
//!
//! A file that was given up or left by an earlier run is *settled* first: its lease is recovered, after which the
//! NameNode knows how long it is. If that is more than what is confirmed, the confirmed part is copied:
//!
//! | step | there is | after a crash here |
//! |---|---|---|
//! | copy to `<path>.cut` | both, the copy perhaps in part | the copy is removed and made again |
//! | close the copy, remove the original | the copy | the copy is the file |
//! | rename the copy to the original's path | the original's path | nothing to do |
//!
//! The NameNode keeps this order, so the steps need no journal.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::join_all;
use hdfs_native::{Client, HdfsError, WriteOptions};
use millrace_components::bucket::Store;
use tokio::runtime::Handle;

use crate::{
    connection::Connection,
    file::{HdfsFile, HdfsRead},
};

/// What the path of a shortened copy has more.
const CUT: &str = ".cut";

/// Copied at once.
const COPY_BYTES: usize = 4 << 20;

const FOLDER_PERMISSION: u32 = 0o755;

/// A name service and how files are created in it.
#[derive(Clone)]
pub struct HdfsStore {
    connection: Arc<Connection>,
    options: WriteOptions,
}

impl HdfsStore {
    /// A store behind this connection.
    pub fn new(connection: Arc<Connection>, options: WriteOptions) -> Self {
        Self { connection, options: options.create_parent(false).overwrite(false) }
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let path = text(path);
        self.connection.call(|client| async move { Ok(client.get_file_info(&path).await?.length as u64) })
    }

    /// Removes a file; whether it was there.
    fn delete(&self, path: &Path) -> io::Result<bool> {
        let path = text(path);
        self.connection.call(|client| async move { client.delete(&path, false).await })
    }

    /// Takes the copy for the file if the crash came between removing one and renaming the other.
    fn settle_copy(&self, path: &Path) -> io::Result<Option<u64>> {
        self.rename(&copy_of(path), path)?;
        tracing::info!(file = %path.display(), "the shortened copy of a file takes its place");
        self.length(path).map(Some)
    }
}

impl Store for HdfsStore {
    type File = HdfsFile;

    const CUTS: bool = false;

    fn address(&self) -> &str {
        self.connection.url()
    }

    fn create_folder(&self, path: &Path, _durable: bool) -> io::Result<()> {
        let path = text(path);
        self.connection.call(|client| async move { client.mkdirs(&path, FOLDER_PERMISSION, true).await })
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        // The NameNode answers when its own log is synced.
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.length(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<HdfsFile> {
        let (path, options) = (text(path), self.options.clone());
        let writer = self.connection.call(|client| async move { client.create(&path, options).await })?;
        Ok(HdfsFile { writer, written: 0 })
    }

    fn open(&self, _path: &Path) -> io::Result<HdfsFile> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a file that was let go of is not written on"))
    }

    fn write_at(&self, file: &mut HdfsFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.append(bytes, offset, &self.connection)
    }

    fn sync(&self, file: &mut HdfsFile) -> io::Result<()> {
        self.connection.wait(file.writer.hsync())
    }

    fn sync_all(&self, files: &mut [&mut HdfsFile]) -> Vec<io::Result<()>> {
        let Ok(handle) = Handle::try_current() else {
            return files.iter_mut().map(|file| self.sync(file)).collect();
        };
        let syncs = files.iter_mut().map(|file| self.connection.limited(file.writer.hsync()));
        handle.block_on(join_all(syncs))
    }

    fn cut(&self, _file: &mut HdfsFile, _length: u64) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "HDFS files cannot be cut"))
    }

    fn release(&self, mut file: HdfsFile) -> io::Result<()> {
        self.connection.wait(file.writer.close())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (text(from), text(to));
        self.connection.call(|client| async move { client.rename(&from, &to, false).await })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.delete(path)? { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn settle(&self, path: &Path) -> io::Result<Option<u64>> {
        let name = text(path);
        match self.connection.call(|client| async move { client.recover_lease(&name).await }) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let _was_there = self.delete(&copy_of(path))?;
                self.length(path).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.exists(&copy_of(path))? => {
                self.settle_copy(path)
            }
            Err(error) => Err(error),
        }
    }

    fn keep(&self, path: &Path, length: u64, kept: u64) -> io::Result<()> {
        if kept == length {
            return Ok(());
        }
        tracing::info!(file = %path.display(), length, kept, "a file is shortened to what was confirmed");
        let copy = copy_of(path);
        let mut source = self.read(path, 0)?.take(kept);
        let mut target = self.create(&copy)?;
        let mut chunk = Vec::with_capacity(COPY_BYTES);
        while target.written < kept {
            chunk.clear();
            source.by_ref().take(COPY_BYTES as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let offset = target.written;
            self.write_at(&mut target, &chunk, offset)?;
        }
        self.sync(&mut target)?;
        self.release(target)?;
        self.remove(path)?;
        self.rename(&copy, path)
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
        let name = text(path);
        let open = |client: Client| async move { client.read(&name).await };
        let mut reader = self.connection.call(open)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset > reader.file_length() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.set_position(offset);
        Ok(Box::new(HdfsRead { reader, connection: Arc::clone(&self.connection), chunk: Bytes::new() }))
    }
}

/// Paths come from UTF-8 text: the configuration and headers.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn copy_of(path: &Path) -> PathBuf {
    let mut copy = path.as_os_str().to_owned();
    copy.push(CUT);
    copy.into()
}

/// A mistake in an address, found without connecting.
pub(crate) fn is_address(url: &str) -> Result<(), HdfsError> {
    let url = url::Url::parse(url)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(HdfsError::InvalidArgument("it names no host".to_owned()));
    }
    Ok(())
}
