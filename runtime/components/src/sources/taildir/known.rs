//! What is remembered of files that are not being read: those that are gone, those too old to look at, and
//! contents that are no longer in their file (a truncated log whose copy may turn up).
//!
//! Bounded: gone files by age and number, former contents likewise. A file that is there is never forgotten,
//! however old it is.

use std::{collections::HashMap, io, path::Path};

use bytes::Bytes;
use millrace_core::Positions;

use super::{
    fingerprint::{Fingerprint, HEAD_BYTES_MAX, hash},
    position::{Position, STARTED_KEY, is_retired_key},
};
use crate::sources::files::{Content, FileId, has_gzip_name};

const GONE_SECONDS_MAX: u64 = 7 * 24 * 3600;
const GONE_FILES_MAX: usize = 10_000;
const RETIRED_SECONDS_MAX: u64 = 24 * 3600;
const RETIRED_MAX: usize = 1_000;
/// From this many equal bytes on, a copy is believed under any name; below it only under a related one.
const EVIDENCE_BYTES: u64 = HEAD_BYTES_MAX as u64;

/// Positions without an open file.
#[derive(Default)]
pub(super) struct Known {
    /// By file.
    pub(super) files: HashMap<FileId, Position>,
    /// Contents that are no longer in their file, oldest first.
    retired: Vec<Position>,
    /// Whether the source has run before.
    pub(super) has_run: bool,
    /// Positions that could not be read.
    pub(super) damaged: usize,
}

impl Known {
    /// Reads stored positions.
    pub(super) fn load(positions: &Positions) -> Self {
        let mut known = Self::default();
        for (key, value) in positions {
            known.has_run = true;
            if key == STARTED_KEY {
                continue;
            }
            match (FileId::from_key(key), Position::decode(value)) {
                (Some(id), Some(position)) => drop(known.files.insert(id, position)),
                (None, Some(position)) if is_retired_key(key) => known.retired.push(position),
                _ => known.damaged += 1,
            }
        }
        known.retired.sort_by_key(|position| position.gone_since);
        known
    }

    /// The entry of a file whose device number has changed since.
    pub(super) fn find_on_other_device(&self, id: FileId) -> Option<(FileId, Position)> {
        let found = self.files.iter().find(|(known, _)| known.is_same_but_device(id))?;
        Some((*found.0, found.1.clone()))
    }

    /// Remembers what was delivered of a content that is no longer in its file.
    pub(super) fn retire(&mut self, position: Position) {
        self.retired.push(position);
    }

    /// What of this content was already delivered, when it was another file's: the position with the most, and
    /// the key to forget once the new file has one of its own.
    pub(super) fn find_copy(
        &self,
        content: &mut Content,
        size: u64,
        path: &Path,
    ) -> io::Result<Option<(Position, Bytes)>> {
        let head = content.read_exactly(0, HEAD_BYTES_MAX)?;
        let mut hashes: HashMap<u16, [u8; 16]> = HashMap::new();
        let mut is_same_head = |fingerprint: &Fingerprint| {
            let known = head.get(..usize::from(fingerprint.head_length));
            known.is_some_and(|known| {
                *hashes.entry(fingerprint.head_length).or_insert_with(|| hash(known)) == fingerprint.head
            })
        };
        let fits = |position: &Position| {
            position.offset > 0
                && (content.is_compressed() || position.offset <= size)
                && (position.offset >= EVIDENCE_BYTES || is_related(&position.path, path))
        };
        let gone = self.files.iter().filter(|(_, position)| position.gone_since > 0);
        let gone = gone.map(|(id, position)| (position, id.to_key()));
        let retired = self.retired.iter().map(|position| (position, position.retired_key()));
        let mut candidates: Vec<_> = gone
            .chain(retired)
            .filter(|(position, _)| fits(position) && is_same_head(&position.fingerprint))
            .collect();
        candidates.sort_by_key(|(position, _)| std::cmp::Reverse(position.offset));
        for (position, key) in candidates {
            if position.fingerprint.matches(content, position.offset)? {
                return Ok(Some((position.clone(), key)));
            }
        }
        Ok(None)
    }

    /// Forgets the entry under this key.
    pub(super) fn forget(&mut self, key: &Bytes) {
        match FileId::from_key(key) {
            Some(id) => drop(self.files.remove(&id)),
            None => self.retired.retain(|position| position.retired_key() != *key),
        }
    }

    /// Forgets what is too old or too much, and returns the keys.
    pub(super) fn expire(&mut self, now: u64) -> Vec<Bytes> {
        let mut keys = Vec::new();
        let mut gone: Vec<_> = self
            .files
            .iter()
            .filter(|(_, position)| position.gone_since > 0)
            .map(|(id, position)| (position.gone_since, *id))
            .collect();
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(GONE_FILES_MAX);
        for (index, (since, id)) in gone.into_iter().enumerate() {
            if index < surplus || now.saturating_sub(since) > GONE_SECONDS_MAX {
                self.files.remove(&id);
                keys.push(id.to_key());
            }
        }
        let surplus = self.retired.len().saturating_sub(RETIRED_MAX);
        let mut index = 0;
        self.retired.retain(|position| {
            index += 1;
            let stays = index > surplus && now.saturating_sub(position.gone_since) <= RETIRED_SECONDS_MAX;
            if !stays {
                keys.push(position.retired_key());
            }
            stays
        });
        keys
    }
}

/// Whether a name looks like one that rotation makes of the other: `app.log` and `app.log.1`, `app.log-2026`,
/// `app-2026.log.gz`.
fn is_related(origin: &Path, copy: &Path) -> bool {
    let origin = if has_gzip_name(origin) { origin.with_extension("") } else { origin.to_owned() };
    match (origin.file_stem(), copy.file_name()) {
        (Some(stem), Some(name)) => name.as_encoded_bytes().starts_with(stem.as_encoded_bytes()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_related;

    #[test]
    fn rotated_names_are_related_and_other_names_are_not() {
        let related = |origin: &str, copy: &str| is_related(Path::new(origin), Path::new(copy));
        for copy in ["app.log.1", "app.log-20260101", "app-2026.log.gz", "app.log.1.gz"] {
            assert!(related("/a/app.log", &format!("/b/{copy}")), "{copy}");
        }
        assert!(related("app.log.1", "app.log.2.gz"));
        assert!(related("app.log.gz", "app.log.1.gz"));
        assert!(related("log", "log0"));
        assert!(!related("app.log", "web.log"));
    }
}
