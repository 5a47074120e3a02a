//! For tests: a local folder that behaves as HDFS does. Files grow at their end and are never cut, a writer that was
//! dropped leaves its file unsettled for a while, and a copy takes the place of a file that holds too much.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Disk, Store};

#[derive(Clone, Default)]
pub struct AppendOnly {
    disk: Disk,
    /// How often each file was asked to settle.
    asked: Arc<Mutex<std::collections::HashMap<PathBuf, u32>>>,
}

/// How often a file is asked to settle before it does.
const ASKED: u32 = 2;

pub struct Growing {
    file: File,
    written: u64,
}

impl AppendOnly {
    pub fn new(disk: Disk) -> Self {
        Self { disk, asked: Arc::default() }
    }
}

fn copy_of(path: &Path) -> PathBuf {
    let mut copy = path.as_os_str().to_owned();
    copy.push(".cut");
    copy.into()
}

impl Store for AppendOnly {
    type File = Growing;

    const CUTS: bool = false;

    fn address(&self) -> &str {
        "test:append-only"
    }

    fn create_folder(&self, path: &Path, durable: bool) -> io::Result<()> {
        self.disk.create_folder(path, durable)
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(path.exists())
    }

    fn create(&self, path: &Path) -> io::Result<Growing> {
        self.disk.create(path).map(|file| Growing { file, written: 0 })
    }

    fn open(&self, path: &Path) -> io::Result<Growing> {
        unreachable!("{} is not written on", path.display())
    }

    fn write_at(&self, growing: &mut Growing, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert_eq!(growing.written, offset, "files grow at their end");
        growing.written += bytes.len() as u64;
        self.disk.write_at(&growing.file, bytes, offset)
    }

    fn sync(&self, growing: &mut Growing) -> io::Result<()> {
        self.disk.sync(&growing.file)
    }

    fn cut(&self, _growing: &mut Growing, _length: u64) -> io::Result<()> {
        unreachable!("files are not cut")
    }

    fn release(&self, growing: Growing) -> io::Result<()> {
        // Closing fails as a cut would.
        self.disk.faults.check("truncate").and_then(|()| growing.file.sync_data())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn settle(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut asked = self.asked.lock();
        let times = asked.entry(path.to_owned()).or_default();
        *times += 1;
        if *times < ASKED {
            return Ok(None);
        }
        let copy = copy_of(path);
        match (path.exists(), copy.exists()) {
            (true, true) => self.disk.remove(&copy)?,
            (false, true) => self.disk.rename(&copy, path)?,
            _ => {}
        }
        fs::metadata(path).map(|metadata| Some(metadata.len()))
    }

    fn keep(&self, path: &Path, length: u64, kept: u64) -> io::Result<()> {
        if kept == length {
            return Ok(());
        }
        let mut bytes = fs::read(path)?;
        bytes.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        let copy = copy_of(path);
        let mut target = self.create(&copy)?;
        self.write_at(&mut target, &bytes, 0)?;
        self.release(target)?;
        self.remove(path)?;
        self.rename(&copy, path)
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
        Store::read(&self.disk, path, offset)
    }
}
