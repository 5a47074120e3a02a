//! One file with the positions of all sources whose channels keep none.
//!
//! The file is replaced as a whole: 8 bytes of magic, a 32-bit version, a 32-bit CRC-32C of the rest, then the
//! positions (see `positions`). Whoever updates also calls flush, at the latest a second after; without a
//! change flush does nothing.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Result},
    path::{Path, PathBuf},
    sync::Arc,
};

use crc_fast::{CrcAlgorithm, checksum};
use millrace_core::{BoxError, PositionStore, PositionUpdate, Positions};
use parking_lot::Mutex;

use crate::{
    bytes::ByteReader,
    disk::{Disk, OpenMode},
    positions::{decode_positions, encode_positions},
    replace::{replace_file, set_aside},
};

const MAGIC: &[u8; 8] = b"MRPOSIT\n";
const VERSION: u32 = 1;

/// Positions in one file.
pub struct FilePositionStore {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    state: Mutex<State>,
    /// Held while the file is replaced, by flush alone: updates never wait for the disk.
    writing: Mutex<()>,
    damaged: u64,
}

#[derive(Default)]
struct State {
    positions: BTreeMap<String, Positions>,
    /// Goes up with each update.
    changes: u64,
    /// The value of `changes` that is on disk.
    written: u64,
}

impl FilePositionStore {
    /// Reads the file. A missing one is empty; a damaged one is set aside and counted.
    ///
    /// # Errors
    /// The directory cannot be made or the file cannot be read at all.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self> {
        if let Some(directory) = path.parent() {
            disk.create_dir(directory)?;
        }
        let mut damaged = 0;
        let positions = match read(disk.as_ref(), path)? {
            None => BTreeMap::new(),
            Some(content) => match decode(&content) {
                Some(positions) => positions,
                None => {
                    damaged = 1;
                    let aside = set_aside(disk.as_ref(), path)?;
                    tracing::error!(
                        file = %path.display(), aside = %aside.display(),
                        "the position file is damaged and was set aside; sources start as if new"
                    );
                    BTreeMap::new()
                }
            },
        };
        let state = Mutex::new(State { positions, ..State::default() });
        Ok(Self { disk, path: path.to_owned(), state, writing: Mutex::new(()), damaged })
    }

    /// Damaged files set aside by opening.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

impl PositionStore for FilePositionStore {
    fn load(&self, source: &str) -> Positions {
        self.state.lock().positions.get(source).cloned().unwrap_or_default()
    }

    fn update(&self, update: &PositionUpdate) {
        let mut state = self.state.lock();
        match state.positions.get_mut(update.source.as_ref() as &str) {
            Some(positions) => update.apply_to(positions),
            None => update.apply_to(state.positions.entry(update.source.to_string()).or_default()),
        }
        state.changes += 1;
    }

    fn flush(&self) -> std::result::Result<(), BoxError> {
        let _alone = self.writing.lock();
        let (content, changes) = {
            let state = self.state.lock();
            if state.changes == state.written {
                return Ok(());
            }
            (encode(&state.positions), state.changes)
        };
        replace_file(self.disk.as_ref(), &self.path, &content)?;
        self.state.lock().written = changes;
        Ok(())
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut content = vec![0; usize::try_from(file.len()?).map_err(|_| ErrorKind::FileTooLarge)?];
    let bytes = file.read_full_at(&mut content, 0)?;
    content.truncate(bytes);
    Ok(Some(content))
}

fn encode(positions: &BTreeMap<String, Positions>) -> Vec<u8> {
    let mut body = Vec::new();
    encode_positions(positions, &mut body);
    let mut content = Vec::with_capacity(body.len() + 16);
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&VERSION.to_le_bytes());
    content.extend_from_slice(&crc(&body).to_le_bytes());
    content.extend_from_slice(&body);
    content
}

fn decode(content: &[u8]) -> Option<BTreeMap<String, Positions>> {
    let mut reader = ByteReader::new(content);
    if reader.take(MAGIC.len()).ok()? != MAGIC || reader.u32().ok()? != VERSION {
        return None;
    }
    let sum = reader.u32().ok()?;
    let body = reader.take(reader.remaining()).ok()?;
    if crc(body) != sum {
        return None;
    }
    decode_positions(&mut ByteReader::new(body)).ok()
}

#[allow(clippy::cast_possible_truncation, reason = "a 32-bit checksum comes in 64 bits")]
fn crc(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_core::{PositionStore, PositionUpdate};

    use crate::{FilePositionStore, SystemDisk};

    fn open(path: &std::path::Path) -> FilePositionStore {
        FilePositionStore::open(Arc::new(SystemDisk), path).unwrap()
    }

    #[test]
    fn positions_survive_when_flushed_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/positions");
        let store = open(&path);
        store.update(&PositionUpdate::set("web".into(), "file", "12"));
        store.update(&PositionUpdate { source: "web".into(), changes: vec![("gone".into(), None)] });
        store.flush().unwrap();
        store.update(&PositionUpdate::set("web".into(), "file", "99"));
        drop(store);
        let again = open(&path);
        assert_eq!(again.load("web").into_iter().collect::<Vec<_>>(), [("file".into(), "12".into())]);
        assert!(again.load("other").is_empty());
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_found_and_never_stops_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        let store = open(&path);
        store.update(&PositionUpdate::set("web".into(), "file", "12"));
        store.flush().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let cuts = (0..whole.len()).map(|end| whole[..end].to_vec());
        let flips = (0..whole.len()).map(|at| {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            flipped
        });
        for content in cuts.chain(flips) {
            std::fs::write(&path, &content).unwrap();
            let store = open(&path);
            assert_eq!(store.damaged(), 1, "{content:?}");
            assert!(store.load("web").is_empty());
            assert_eq!(std::fs::read(folder.path().join("positions.damaged")).unwrap(), content);
            std::fs::remove_file(folder.path().join("positions.damaged")).unwrap();
        }
    }

    #[test]
    fn a_flush_without_a_change_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        open(&path).flush().unwrap();
        assert!(!path.exists());
    }
}
