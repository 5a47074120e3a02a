//! The file with the notes of one runner: a line of JSON for each, behind them empty lines up to a fixed size.
//!
//! A note is written behind the last one and then costs one sync, no rename and no change of size. A line that a crash
//! cut off is the last one and is not valid JSON: it does not count. A full file is replaced as a whole by one with what
//! is still needed, and so is a file after an error: what it holds is not known then.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_storage::{Disk, File, OpenMode, replace_file};

use super::note::Note;

/// How large a file becomes before its notes are looked through, unless those that are needed fill it.
const FILE_BYTES: usize = 64 << 10;

pub(super) struct NoteLog {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// None: the next note begins a new file.
    file: Option<Box<dyn File>>,
    end: usize,
    size: usize,
    /// What a new file has to begin with.
    kept: Vec<Note>,
    /// Files whose notes are among these, to be removed when they are written down here.
    adopted: Vec<PathBuf>,
    closed: bool,
}

impl NoteLog {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, file: None, end: 0, size: 0, kept: Vec::new(), adopted: Vec::new(), closed: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes over a note of an earlier run. `from`: a file that is not this one.
    pub(super) fn adopt(&mut self, note: Note, from: Option<PathBuf>) {
        self.kept.push(note);
        self.kept.sort_by_key(|note| note.serial);
        self.adopted.extend(from.filter(|path| !self.adopted.contains(path)));
    }

    pub(super) fn kept(&mut self) -> &mut Vec<Note> {
        &mut self.kept
    }

    /// Whether the next note begins a new file because this one is full.
    pub(super) fn is_full(&self) -> bool {
        self.file.is_some() && self.size < self.end + FILE_BYTES / 32
    }

    /// Writes a note down; `durable`: it, and all before it, survive a loss of power from then on.
    pub(super) fn append(&mut self, note: &Note, durable: bool) -> io::Result<()> {
        self.kept.retain(|kept| !kept.is_about_the_same(note));
        self.kept.push(note.clone());
        let line = line(note)?;
        let Some(file) = self.file.take().filter(|_| self.end + line.len() <= self.size) else {
            return self.begin();
        };
        if self.closed {
            return Err(io::Error::other("the sink has been closed"));
        }
        file.write_all_at(&line, self.end as u64)?;
        if durable {
            file.sync_data()?;
        }
        self.end += line.len();
        self.file = Some(file);
        Ok(())
    }

    /// Begins a new file with what is needed; it is durable.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.closed {
            return Err(io::Error::other("the sink has been closed"));
        }
        self.file = None;
        let mut content = Vec::new();
        for note in &self.kept {
            content.extend(line(note)?);
        }
        self.end = content.len();
        self.size = FILE_BYTES.max(self.end * 2);
        content.resize(self.size, b'\n');
        if let Some(folder) = self.path.parent() {
            self.disk.create_dir(folder)?;
        }
        replace_file(&*self.disk, &self.path, &content)?;
        for path in std::mem::take(&mut self.adopted) {
            if let Err(error) = self.disk.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "old notes of deliveries cannot be removed");
            }
        }
        self.file = Some(self.disk.open(&self.path, OpenMode::Write)?);
        Ok(())
    }

    /// Nothing is written from now on: another runner owns the file.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }
}

fn line(note: &Note) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    Ok(line)
}

/// The notes in all files of a folder, with the number of the runner; the latest ones only.
pub(super) fn read_all(disk: &dyn Disk, folder: &Path) -> Vec<(usize, PathBuf, Note)> {
    let mut all: Vec<(usize, PathBuf, Note)> = Vec::new();
    let files = match disk.list(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return all,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the notes of deliveries cannot be read");
            return all;
        }
    };
    for file in files {
        let number = file.name.strip_prefix("delivery-").and_then(|name| name.strip_suffix(".json"));
        let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
        let path = folder.join(&file.name);
        let content = match read(disk, &path, file.bytes) {
            Ok(content) => content,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the notes of deliveries cannot be read");
                continue;
            }
        };
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let note: Note = match serde_json::from_slice(line) {
                Ok(note) => note,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a note was cut off, it does not count");
                    continue;
                }
            };
            match all.iter_mut().find(|(_, _, known)| known.is_about_the_same(&note)) {
                Some(known) if known.2.serial > note.serial => {}
                Some(known) => *known = (number, path.clone(), note),
                None => all.push((number, path.clone(), note)),
            }
        }
    }
    all
}

fn read(disk: &dyn Disk, path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut content = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let read = file.read_at(rest, filled as u64)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    content.truncate(filled);
    Ok(content)
}
