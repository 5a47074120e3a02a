//! Which files are in progress, and up to where their contents are confirmed.
//!
//! A small text file under the sink's data directory, one for each run of a sink, locked while the sink lives:
//!
//! ```text
//! file-roll-journal 1 <boot id>
//! open 1 lines "/srv/archive/web-1700000000000-1.tmp"
//! confirmed 1 214000
//! closed 1
//! open 2 lines "/srv/archive/_web-1700000000000-2"
//! named 2 - "/srv/archive/web-1700000000000-2"
//! ```
//!
//! `named` says which name a file gets where that is not the path without `.tmp`. Files that are not on the local disk
//! follow a line `store 0 - "<address>"`.
//!
//! `open` is durable before the file exists, so no file in progress is ever forgotten. `confirmed` is written
//! without a sync: it survives the death of the process, which is what it is for. After a power failure it may
//! be older than the truth; the boot id tells the two apart (see `recovery`).

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    BucketError,
    disk::{Disk, LockedFile},
    framing::FileFraming,
    names::FilePaths,
};

/// The journal is written anew when it has grown to this size.
const JOURNAL_BYTES_MAX: u64 = 1 << 20;

const MAGIC: &str = "file-roll-journal 1";

/// How journals are called.
pub const JOURNAL_EXTENSION: &str = "journal";

/// How they are called while they are written for the first time.
pub const UNNAMED_EXTENSION: &str = "new";

/// A file in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub paths: FilePaths,
    pub framing: FileFraming,
    pub confirmed_bytes: u64,
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JournalContents {
    /// The boot it was written in.
    pub boot: String,
    /// The address of the store, empty for the local disk.
    pub store: String,
    /// The files that were in progress.
    pub entries: BTreeMap<u64, Entry>,
}

/// The journal of a running sink.
pub struct Journal {
    disk: Disk,
    path: PathBuf,
    file: LockedFile,
    bytes: u64,
    durable: bool,
    next_id: u64,
    store: String,
    entries: BTreeMap<u64, Entry>,
}

impl Journal {
    /// Starts a journal in this folder, for files in the store with this address.
    pub fn create(folder: &Path, store: &str, durable: bool, disk: Disk) -> Result<Self, BucketError> {
        disk.create_folder(folder, durable).map_err(BucketError::io("create folder", folder))?;
        let path = folder.join(uuid::Uuid::new_v4().to_string()).with_extension(JOURNAL_EXTENSION);
        let entries = BTreeMap::new();
        let store = store.to_owned();
        let (file, bytes) = write_new(&path, &store, &entries, durable, &disk)
            .map_err(BucketError::io("write journal", &path))?;
        Ok(Self { disk, path, file, bytes, durable, next_id: 1, store, entries })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Announces a file before it is created.
    pub fn opened(&mut self, paths: &FilePaths, framing: FileFraming) -> Result<u64, BucketError> {
        self.compact_if_large()?;
        let id = self.next_id;
        let entry = Entry { paths: paths.clone(), framing, confirmed_bytes: 0 };
        self.append(&open_line(id, &entry))?;
        if self.durable {
            self.disk.sync(&self.file).map_err(BucketError::io("sync journal", &self.path))?;
        }
        self.next_id += 1;
        self.entries.insert(id, entry);
        Ok(id)
    }

    /// Confirms the contents of files up to a length, all in one write.
    pub fn confirmed(&mut self, lengths: &[(u64, u64)]) -> Result<(), BucketError> {
        self.compact_if_large()?;
        let mut text = String::new();
        for (id, bytes) in lengths {
            // Writing into a `String` cannot fail.
            let _written = writeln!(text, "confirmed {id} {bytes}");
        }
        self.append(&text)?;
        for (id, bytes) in lengths {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.confirmed_bytes = *bytes;
            }
        }
        Ok(())
    }

    /// Says that a file is no longer in progress: it has its name, or it is gone.
    pub fn closed(&mut self, id: u64) -> Result<(), BucketError> {
        self.entries.remove(&id);
        self.append(&format!("closed {id}\n"))
    }

    /// Removes the journal, if no file is in progress.
    pub fn remove(self) -> Result<(), BucketError> {
        if self.entries.is_empty() {
            self.disk.remove(&self.path).map_err(BucketError::io("remove journal", &self.path))?;
        }
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), BucketError> {
        match self.disk.write_at(&self.file, text.as_bytes(), self.bytes) {
            Ok(()) => {
                self.bytes += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a line must not stand before the next one. A line is only read with its newline, so a
                // second failure here does no harm either.
                let _cut = self.file.set_len(self.bytes);
                Err(BucketError::io("write journal", &self.path)(error))
            }
        }
    }

    fn compact_if_large(&mut self) -> Result<(), BucketError> {
        if self.bytes >= JOURNAL_BYTES_MAX {
            let written = write_new(&self.path, &self.store, &self.entries, self.durable, &self.disk);
            (self.file, self.bytes) = written.map_err(BucketError::io("write journal", &self.path))?;
        }
        Ok(())
    }
}

/// Writes a whole journal, locked from the moment it has its name.
fn write_new(
    path: &Path,
    store: &str,
    entries: &BTreeMap<u64, Entry>,
    durable: bool,
    disk: &Disk,
) -> io::Result<(LockedFile, u64)> {
    let mut text = format!("{MAGIC} {}\n", boot_id());
    if !store.is_empty() {
        text.push_str(&format!("store 0 - {}\n", quoted(store)));
    }
    for (id, entry) in entries {
        text.push_str(&open_line(*id, entry));
        text.push_str(&format!("confirmed {id} {}\n", entry.confirmed_bytes));
    }
    let unnamed = path.with_extension(UNNAMED_EXTENSION);
    // A leftover of a failed attempt of this very sink.
    let _removed = fs::remove_file(&unnamed);
    let file = disk.lock(disk.create(&unnamed)?)?.ok_or(io::ErrorKind::ResourceBusy)?;
    disk.write_at(&file, text.as_bytes(), 0)?;
    if durable {
        disk.sync(&file)?;
    }
    fs::rename(&unnamed, path)?;
    if durable {
        disk.sync_folder(path.parent().unwrap_or(Path::new("")))?;
    }
    Ok((file, text.len() as u64))
}

fn open_line(id: u64, entry: &Entry) -> String {
    let FilePaths { name, in_progress } = &entry.paths;
    let mut text = format!("open {id} {} {}\n", entry.framing.name(), quoted(&in_progress.to_string_lossy()));
    if *name != in_progress.with_extension("") {
        text.push_str(&format!("named {id} - {}\n", quoted(&name.to_string_lossy())));
    }
    text
}

/// Paths come from UTF-8 text: the configuration and headers.
fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::String(text.to_owned())
}

/// Reads a journal as far as it is whole.
pub fn read(text: &str) -> Option<JournalContents> {
    let mut lines = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
    let boot = lines.next()?.strip_prefix(MAGIC)?.trim().to_owned();
    let mut contents = JournalContents { boot, ..JournalContents::default() };
    for line in lines {
        if contents.read_line(line).is_none() {
            break;
        }
    }
    Some(contents)
}

impl JournalContents {
    fn read_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(4, ' ');
        let word = words.next()?;
        let id: u64 = words.next()?.parse().ok()?;
        match word {
            "open" => {
                let framing = FileFraming::of(words.next()?)?;
                let in_progress: PathBuf = unquoted(words.next())?;
                let paths = FilePaths { name: in_progress.with_extension(""), in_progress };
                self.entries.insert(id, Entry { paths, framing, confirmed_bytes: 0 });
            }
            "named" => self.entries.get_mut(&id)?.paths.name = unquoted(words.nth(1))?,
            "store" => self.store = unquoted(words.nth(1))?,
            "confirmed" => {
                let bytes = words.next()?.parse().ok()?;
                self.entries.get_mut(&id)?.confirmed_bytes = bytes;
            }
            "closed" => {
                self.entries.remove(&id);
            }
            _ => return None,
        }
        Some(())
    }
}

fn unquoted<T: From<String>>(word: Option<&str>) -> Option<T> {
    serde_json::from_str::<String>(word?).ok().map(T::from)
}

/// Changes with every start of the machine. Empty where the system does not tell; then nothing is ever taken to
/// be exact.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
