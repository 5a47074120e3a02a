//! Which file is which: every path found is a file being read, one known from before, a copy of one that was
//! read under another name, or new.
//!
//! Losing is worse than repeating, so a new file counts as a copy only with evidence: its bytes up to the
//! offset equal what was delivered, and the file they were delivered from is gone or was written anew. A file
//! that equals one which is still there is held back for a moment, because truncation follows right after the
//! copy; if nothing happens it is a file of its own.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use super::{discovery, file::TailFile, fingerprint::Fingerprint, position::Position, tail::Tail};
use crate::sources::files::{Content, FileId, Stamp, has_gzip_name};

/// How long a file is held back that equals another one.
const HOLD: Duration = Duration::from_secs(2);
/// How long a compressed file must not change before it is taken for complete.
const SETTLE: Duration = Duration::from_millis(500);
/// How many names of a directory are looked at in search of a file that was renamed while nobody watched.
const NAMES_SEARCHED_MAX: usize = 10_000;

/// A file that is not read yet, because it may be a copy or is still being compressed.
pub(super) struct Held {
    stamp: Stamp,
    since: Instant,
    twin: Option<Twin>,
}

/// The file that a held one equals.
#[derive(Clone, Copy)]
struct Twin {
    id: FileId,
    generation: u64,
    /// How many bytes of the held file were there to be compared.
    compared: u64,
}

/// A file that a pattern led to.
struct Seen {
    id: FileId,
    path: PathBuf,
    group: usize,
    stamp: Stamp,
}

enum Decision {
    /// Read from here on; the entry under this key is now this file's.
    Resume(Position, Option<bytes::Bytes>),
    /// The file known under this id holds something else now.
    Replaced(Position),
    FromStart,
    FromEnd,
    /// Nothing of it is wanted, unless it changes.
    Skip,
    Hold,
}

impl Tail {
    /// Looks for files and decides what they are.
    pub(super) fn scan(&mut self) {
        self.troubles.clear();
        let seen = self.find();
        self.follow_names(&seen);
        self.look_for_the_missing(&seen);
        let mut new: Vec<&Seen> = seen.values().filter(|seen| !self.files.contains_key(&seen.id)).collect();
        if !new.is_empty() {
            self.look_for_replaced();
        }
        // Known ones first: they may turn out to be written anew, and then others may be their copies.
        new.sort_by_key(|seen| {
            (!self.known.files.contains_key(&seen.id), seen.stamp.modified, seen.path.clone())
        });
        self.awaits_content = false;
        for seen in new {
            if let Err(error) = self.attach(seen)
                && error.kind() != io::ErrorKind::NotFound
            {
                self.troubles.insert(seen.path.clone(), format!("cannot open the file: {error}"));
            }
        }
        self.held.retain(|id, _| seen.contains_key(id));
        for key in self.known.expire(self.seconds()) {
            self.changes.push((key, None));
        }
        self.is_first_scan = false;
    }

    /// Walks all patterns. A file that several paths lead to is seen once.
    fn find(&mut self) -> HashMap<FileId, Seen> {
        let mut seen: HashMap<FileId, Seen> = HashMap::new();
        let mut directories = std::collections::BTreeSet::new();
        for (group, settings) in self.settings.groups.iter().enumerate() {
            let found = discovery::find(&settings.patterns, &settings.exclusions);
            self.troubles.extend(found.troubles);
            directories.extend(found.directories);
            for path in found.paths {
                let metadata = match fs::metadata(&path) {
                    Ok(metadata) => metadata,
                    Err(error) => {
                        if error.kind() != io::ErrorKind::NotFound {
                            self.troubles.insert(path, format!("cannot look at the file: {error}"));
                        }
                        continue;
                    }
                };
                if !metadata.is_file() {
                    continue;
                }
                let id = FileId::of(&metadata);
                let keeps_name = self.files.get(&id).is_some_and(|file| file.path == path);
                if keeps_name || !seen.contains_key(&id) {
                    seen.insert(id, Seen { id, path, group, stamp: Stamp::of(&metadata) });
                }
            }
        }
        self.hints.watch(&directories);
        seen
    }

    /// Takes note of new names of files being read, and of those no name leads to any more.
    fn follow_names(&mut self, seen: &HashMap<FileId, Seen>) {
        let mut due = Vec::new();
        let mut lost = Vec::new();
        for (id, file) in &mut self.files {
            let Some(seen) = seen.get(id) else {
                if file.gone.is_none() && file.content.is_none() {
                    lost.push(*id);
                }
                file.gone.get_or_insert_with(Instant::now);
                continue;
            };
            file.gone = None;
            if file.path != seen.path {
                file.path.clone_from(&seen.path);
                file.group = seen.group;
                if let Some(group) = self.settings.groups.get(seen.group) {
                    file.headers = group.headers_for(&file.path, self.settings.file_header.as_ref());
                }
            }
            if file.content.is_none() && (seen.stamp != file.stamp || file.failed) {
                file.note_change(seen.stamp);
                due.push(*id);
            }
        }
        due.into_iter().for_each(|id| self.enqueue(id));
        lost.into_iter().for_each(|id| self.finish_closed(id));
    }

    /// A file that was closed for idleness has lost its name: it may have grown before.
    fn finish_closed(&mut self, id: FileId) {
        let Some(mut file) = self.files.remove(&id) else { return };
        let position = file.position(0);
        self.known.files.insert(id, position);
    }

    /// Files known from before that no pattern leads to: renamed out of sight, with lines still to read, or gone.
    fn look_for_the_missing(&mut self, seen: &HashMap<FileId, Seen>) {
        let missing: Vec<(FileId, Position)> = self
            .known
            .files
            .iter()
            .filter(|(id, position)| position.gone_since == 0 && !seen.contains_key(id))
            .map(|(id, position)| (*id, position.clone()))
            .collect();
        if missing.is_empty() {
            return;
        }
        let mut searched = HashSet::new();
        let mut moved = HashMap::new();
        for (_, position) in &missing {
            if let Some(directory) = position.path.parent()
                && searched.insert(directory.to_owned())
            {
                list_files(directory, &mut moved);
            }
        }
        for (id, position) in missing {
            let is_attached =
                moved.get(&id).is_some_and(|path| self.attach_moved(id, path, &position).is_ok());
            if !is_attached {
                let gone = Position { gone_since: self.seconds(), ..position };
                self.changes.push((id.to_key(), Some(gone.encode())));
                self.known.files.insert(id, gone);
            }
        }
    }

    /// Reads the rest of a file that has a name no pattern matches.
    fn attach_moved(&mut self, id: FileId, path: &Path, position: &Position) -> io::Result<()> {
        let (mut content, metadata) = Content::open(path)?;
        if FileId::of(&metadata) != id || !position.fingerprint.matches(&mut content, position.offset)? {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let group = self
            .settings
            .groups
            .iter()
            .position(|group| group.patterns.iter().any(|pattern| pattern.is_match(&position.path)))
            .unwrap_or(0);
        let headers = match self.settings.groups.get(group) {
            Some(group) => group.headers_for(&position.path, self.settings.file_header.as_ref()),
            None => millrace_core::Headers::default(),
        };
        let mut file = TailFile::new(id, path.to_owned(), group, headers, content, Stamp::of(&metadata));
        file.resume(position.offset, position.mid_line)?;
        file.gone = Some(Instant::now());
        self.known.files.remove(&id);
        self.files.insert(id, file);
        self.enqueue(id);
        Ok(())
    }

    /// Before a new file is judged: have those it may be a copy of been written anew?
    fn look_for_replaced(&mut self) {
        let mut replaced = Vec::new();
        for (id, file) in &mut self.files {
            let metadata = file.content.as_ref().and_then(|content| content.metadata().ok());
            let stamp = metadata.map_or(file.stamp, |metadata| Stamp::of(&metadata));
            if stamp == file.stamp && !file.queued {
                continue;
            }
            file.note_change(stamp);
            let position = match file.is_replaced(&self.pool) {
                Ok(true) => Some(file.replaced()),
                _ => None,
            };
            replaced.push((*id, position));
        }
        for (id, position) in replaced {
            if let Some(position) = position {
                self.retire(id, position);
            }
            self.enqueue(id);
        }
    }

    /// Opens a file that is not being read and decides where to begin.
    fn attach(&mut self, seen: &Seen) -> io::Result<()> {
        let known = self.known.files.get(&seen.id);
        if self.is_too_old(seen) || known.is_some_and(|known| known.finished && known.stamp == seen.stamp) {
            return Ok(());
        }
        if known.is_none() && seen.stamp.size == 0 {
            // Nothing to read, and no telling yet what it will be.
            self.awaits_content = true;
            return Ok(());
        }
        let (mut content, metadata) = Content::open(&seen.path)?;
        let stamp = Stamp::of(&metadata);
        if FileId::of(&metadata) != seen.id {
            return Ok(());
        }
        let decision = self.decide(seen, &mut content, stamp)?;
        let Some(group) = self.settings.groups.get(seen.group) else { return Ok(()) };
        let headers = group.headers_for(&seen.path, self.settings.file_header.as_ref());
        let mut file = TailFile::new(seen.id, seen.path.clone(), seen.group, headers, content, stamp);
        match decision {
            Decision::Hold => {
                self.awaits_content = true;
                return Ok(());
            }
            Decision::Skip => {
                let position = Position { finished: true, ..file.position(0) };
                self.changes.push((seen.id.to_key(), Some(position.encode())));
                self.known.files.insert(seen.id, position);
                return Ok(());
            }
            Decision::FromStart => {}
            Decision::FromEnd => {
                file.resume(stamp.size, false)?;
                self.changes.push((seen.id.to_key(), Some(file.position(0).encode())));
            }
            Decision::Resume(position, former) => {
                file.resume(position.offset, position.mid_line)?;
                if let Some(former) = former {
                    tracing::info!(path = %seen.path.display(), from = %position.path.display(), offset = position.offset, "a copy of a file that was read, going on where that stood");
                    self.known.forget(&former);
                    self.changes.push((former, None));
                    self.changes.push((seen.id.to_key(), Some(file.position(0).encode())));
                }
            }
            Decision::Replaced(position) => {
                file.start_over();
                self.retire(seen.id, position);
            }
        }
        self.held.remove(&seen.id);
        self.known.files.remove(&seen.id);
        self.files.insert(seen.id, file);
        self.enqueue(seen.id);
        Ok(())
    }

    fn is_too_old(&self, seen: &Seen) -> bool {
        let Some(limit) = self.settings.ignore_older else { return false };
        let now = i64::try_from(self.clock.unix_nanos()).unwrap_or(i64::MAX);
        let age = Duration::from_nanos(u64::try_from(now.saturating_sub(seen.stamp.modified)).unwrap_or(0));
        age > limit
    }

    fn decide(&mut self, seen: &Seen, content: &mut Content, stamp: Stamp) -> io::Result<Decision> {
        if let Some(position) = self.known.files.get(&seen.id).cloned() {
            let is_same = position.fingerprint.matches(content, position.offset)?;
            return Ok(match is_same && (content.is_compressed() || position.offset <= stamp.size) {
                true => Decision::Resume(Position { gone_since: 0, ..position }, None),
                false => Decision::Replaced(position),
            });
        }
        if stamp.size == 0 {
            return Ok(Decision::Hold);
        }
        if let Some((id, position)) = self.known.find_on_other_device(seen.id)
            && position.fingerprint.matches(content, position.offset)?
        {
            return Ok(Decision::Resume(position, Some(id.to_key())));
        }
        if let Some((position, key)) = self.known.find_copy(content, stamp.size, &seen.path)? {
            return Ok(Decision::Resume(position, Some(key)));
        }
        let first_time = self.is_first_scan && !self.known.has_run;
        if first_time {
            return Ok(match (self.settings.start_at_tail, content.is_compressed()) {
                (false, _) => Decision::FromStart,
                (true, false) => Decision::FromEnd,
                (true, true) => Decision::Skip,
            });
        }
        self.decide_on_new(seen, content, stamp)
    }

    /// A file that nothing is known of, while others are being read.
    fn decide_on_new(&mut self, seen: &Seen, content: &mut Content, stamp: Stamp) -> io::Result<Decision> {
        let is_compressed = has_gzip_name(&seen.path);
        let new = || Held { stamp, since: Instant::now(), twin: None };
        let held = self.held.entry(seen.id).or_insert_with(new);
        if held.stamp != stamp {
            *held = Held { twin: held.twin, ..new() };
        }
        let held_for = held.since.elapsed();
        if is_compressed && held_for < SETTLE {
            return Ok(Decision::Hold);
        }
        if let Some(twin) = held.twin
            && !is_compressed
            && let Some(original) = self.files.get(&twin.id)
            && original.generation == twin.generation + 1
        {
            // Written anew since. Of what equalled it, the original had delivered this much, perhaps more: lines
            // that came after the copy was made.
            let mut position = empty_position(&seen.path);
            position.offset = twin.compared.min(original.offset_before).min(stamp.size);
            return Ok(Decision::Resume(position, Some(seen.id.to_key())));
        }
        for file in self.files.values_mut() {
            if !file.resembles(content, stamp.size).unwrap_or(false) {
                continue;
            }
            if held_for < HOLD.max(self.settings.poll * 4) || file.gone.is_some() {
                let compared = stamp.size.min(file.stamp.size);
                held.twin = Some(Twin { id: file.id, generation: file.generation, compared });
                return Ok(Decision::Hold);
            }
            // Nobody writes the same content twice only to compress it: a compressed equal is a copy.
            let mut position = file.position(0);
            if is_compressed && position.fingerprint.matches(content, position.offset)? {
                position.path.clone_from(&file.path);
                return Ok(Decision::Resume(position, Some(seen.id.to_key())));
            }
        }
        Ok(Decision::FromStart)
    }
}

fn empty_position(path: &Path) -> Position {
    Position {
        offset: 0,
        mid_line: false,
        finished: false,
        fingerprint: Fingerprint::default(),
        stamp: Stamp::default(),
        gone_since: 0,
        path: path.to_owned(),
    }
}

/// The files of a directory by identity.
fn list_files(directory: &Path, files: &mut HashMap<FileId, PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.take(NAMES_SEARCHED_MAX).filter_map(Result::ok) {
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            files.insert(FileId::of(&metadata), entry.path());
        }
    }
}
