//! Opens what a former run left: the checkpoint, the state of components, the segments behind, the takes.
//!
//! Nothing here fails because of content. What is whole is used; what is not is set aside and counted. Only a
//! disk that refuses to be read, or files of a later version, are errors.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    sync::Arc,
};

use millrace_core::{Event, Positions, is_state_owner};
use millrace_storage::{ByteReader, Disk, File, OpenMode, decode_positions};

use super::{
    checkpoint::{self, Checkpoint, Loaded, Place},
    error::FileError,
    frame::Kind,
    keys::KeyRing,
    payload::{Run, decode_events, decode_runs, put_head, put_updates},
    quarantine::Quarantine,
    queue::{Part, without},
    scan::{Entry, Gap, Scan, Scanned},
    segment::{FRAMES_START, FileHead, FileKind, Found, HeadState, Segment, read_head},
    small_file,
    states::{self, States},
};

/// More frames than this are never written between two syncs.
const LOST_SEQUENCES_MAX: u64 = 1 << 32;
/// How much is written again at a time.
const REWRITE_BYTES: usize = 1 << 20;

/// What is in the channel after all.
pub(super) struct Replayed {
    pub parts: Vec<Part>,
    pub positions: BTreeMap<String, Positions>,
    pub states: States,
    pub segments: HashMap<u64, Arc<Segment>>,
    /// Events of each segment.
    pub live: BTreeMap<u64, u64>,
    pub place: Place,
    pub salt: u64,
    pub next_segment: u64,
    pub next_sequence: u64,
    pub next_takes: u64,
    pub damaged: u64,
    /// Whether there is more than the checkpoint says.
    pub changed: bool,
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    ring: &'a KeyRing,
    directory: &'a Path,
    quarantine: Quarantine<'a>,
    checkpoint: Checkpoint,
    segments: BTreeMap<u64, (Arc<Segment>, FileHead)>,
    parts: Vec<Part>,
    positions: BTreeMap<String, Positions>,
    states: States,
    place: Place,
    changed: bool,
}

/// Reads the whole directory.
pub(super) fn replay(
    disk: &dyn Disk,
    directory: &Path,
    channel: &str,
    ring: &KeyRing,
) -> Result<Replayed, FileError> {
    check_keys(disk, directory, ring)?;
    let names = tidy(disk, directory)?;
    let mut quarantine = Quarantine { disk, channel, count: 0 };
    let checkpoint = load_checkpoint(disk, directory, ring, &mut quarantine)?;
    let ids = |kind: FileKind| names.iter().filter_map(move |name| kind.id_of(name));
    let segment_ids: Vec<u64> = ids(FileKind::Segment).collect();
    let takes_ids: Vec<u64> = ids(FileKind::Takes).collect();
    let known = checkpoint.as_ref().is_some_and(|(_, key)| key.as_deref() == ring.active_id());
    let checkpoint = checkpoint.map(|(checkpoint, _)| checkpoint).unwrap_or_default();
    let next_segment =
        segment_ids.iter().map(|id| id + 1).max().unwrap_or(1).max(checkpoint.numbers.next_segment);
    let next_takes = takes_ids.iter().map(|id| id + 1).max().unwrap_or(1).max(checkpoint.numbers.takes_from);
    let place = checkpoint.numbers.place;
    let mut replay = Replay {
        disk,
        ring,
        directory,
        quarantine,
        checkpoint,
        segments: BTreeMap::new(),
        parts: Vec::new(),
        positions: BTreeMap::new(),
        states: States::default(),
        place,
        // Nothing stays sealed with a key that is not the active one for longer than it must.
        changed: !known && !segment_ids.is_empty(),
    };
    let states = replay.load_states()?;
    let salt = replay.open_segments(&segment_ids, states.as_ref().map(|(salt, _)| *salt))?;
    replay.take_states(states, salt);
    replay.start_from_checkpoint();
    // Sequences in use by the state may not come again, even where nothing else is left.
    let next_sequence = replay.scan_segments()?.max(place.sequence + 1).max(replay.states.sequence + 1);
    let next_sequence = replay.skip_lost(next_sequence);
    let runs = replay.read_takes(&takes_ids, salt)?;
    Ok(replay.finish(runs, salt, (next_segment, next_sequence, next_takes)))
}

/// Removes what a crash left half done; the names of the rest.
fn tidy(disk: &dyn Disk, directory: &Path) -> Result<Vec<String>, FileError> {
    let failed = |error| FileError::io(format!("{}: list", directory.display()), error);
    let mut names = Vec::new();
    for entry in disk.list(directory).map_err(failed)? {
        if entry.name.ends_with(".new") || entry.name.ends_with(".spare") {
            // If it stays, it is removed or replaced when its name is needed.
            let _gone = disk.remove(&directory.join(&entry.name));
        } else {
            names.push(entry.name);
        }
    }
    Ok(names)
}

/// Looks at every file before anything is changed: without its keys a directory is left as it is.
fn check_keys(disk: &dyn Disk, directory: &Path, ring: &KeyRing) -> Result<(), FileError> {
    let failed = |error| FileError::io(format!("{}: list", directory.display()), error);
    for entry in disk.list(directory).map_err(failed)? {
        let kinds = [FileKind::Segment, FileKind::Takes];
        let Some(kind) = kinds.into_iter().find(|kind| kind.id_of(&entry.name).is_some()) else { continue };
        let path = directory.join(&entry.name);
        let failed = |error| FileError::io(format!("{}: open", path.display()), error);
        let file = disk.open(&path, OpenMode::Read).map_err(failed)?;
        match read_head(file.as_ref(), kind).map_err(failed)? {
            HeadState::Good(FileHead { seal: Some(seal), .. })
            | HeadState::Half(FileHead { seal: Some(seal), .. }) => {
                seal.check(ring).map_err(|error| error.in_file(&path))?;
            }
            HeadState::Newer(version) => {
                return Err(FileError::NewerFormat { file: path.display().to_string(), version });
            }
            HeadState::Good(_) | HeadState::Half(_) | HeadState::Bad => {}
        }
    }
    small_file::check_key(disk, &checkpoint::path(directory), checkpoint::MAGIC, ring)?;
    small_file::check_key(disk, &states::path(directory), states::MAGIC, ring)
}

fn load_checkpoint(
    disk: &dyn Disk,
    directory: &Path,
    ring: &KeyRing,
    quarantine: &mut Quarantine<'_>,
) -> Result<Option<(Checkpoint, Option<String>)>, FileError> {
    let path = checkpoint::path(directory);
    match checkpoint::load(disk, directory, ring)? {
        Loaded::Missing => Ok(None),
        Loaded::Good(checkpoint, key) => Ok(Some((checkpoint, key))),
        Loaded::Newer(version) => Err(FileError::NewerFormat {
            file: path.display().to_string(),
            version: u16::try_from(version).unwrap_or(u16::MAX),
        }),
        Loaded::Damaged => {
            quarantine.file(&path, "its checksum is wrong; events may be delivered again");
            Ok(None)
        }
    }
}

impl Replay<'_> {
    /// Opens all segments and agrees on the salt.
    fn open_segments(&mut self, ids: &[u64], of_states: Option<u64>) -> Result<u64, FileError> {
        for id in ids {
            if let Some((segment, head)) = self.open_file(FileKind::Segment, *id)? {
                self.segments.insert(*id, (Arc::new(segment), head));
            }
        }
        let known = Some(self.checkpoint.numbers.salt).filter(|salt| *salt != 0);
        let found = self.segments.values().map(|(_, head)| head.salt).next();
        Ok(known.or(found).or(of_states).unwrap_or_else(|| RandomState::new().build_hasher().finish().max(1)))
    }

    fn open_file(&mut self, kind: FileKind, id: u64) -> Result<Option<(Segment, FileHead)>, FileError> {
        let path = self.directory.join(kind.file_name(id));
        let failed = |error| FileError::io(format!("{}: open", path.display()), error);
        let file = self.disk.open(&path, OpenMode::Write).map_err(failed)?;
        let head = match read_head(file.as_ref(), kind).map_err(failed)? {
            HeadState::Newer(version) => {
                return Err(FileError::NewerFormat { file: path.display().to_string(), version });
            }
            HeadState::Bad => {
                self.quarantine.file(&path, "its header is damaged");
                return Ok(None);
            }
            HeadState::Good(head) => head,
            HeadState::Half(head) => {
                self.quarantine.place(&path, file.as_ref(), Gap { offset: 0, bytes: FRAMES_START });
                head
            }
        };
        if head.id != id {
            self.quarantine.file(&path, "its header is that of another file");
            return Ok(None);
        }
        let coding = head.coding(self.ring).map_err(|error| error.in_file(&path))?;
        Ok(Some((Segment { id, path, file, head, coding }, head)))
    }

    /// What components kept up to some frame, with the salt of its channel.
    fn load_states(&mut self) -> Result<Option<(u64, States)>, FileError> {
        let path = states::path(self.directory);
        match states::load(self.disk, self.directory, self.ring)? {
            states::Loaded::Missing => Ok(None),
            states::Loaded::Good(salt, mut states, key) => {
                states.changed = key.as_deref() != self.ring.active_id();
                self.changed |= states.changed;
                Ok(Some((salt, states)))
            }
            states::Loaded::Newer(version) => Err(FileError::NewerFormat {
                file: path.display().to_string(),
                version: u16::try_from(version).unwrap_or(u16::MAX),
            }),
            states::Loaded::Damaged => {
                let why = "its checksum is wrong; components begin with what the segments still tell";
                self.quarantine.file(&path, why);
                self.changed = true;
                Ok(None)
            }
        }
    }

    fn take_states(&mut self, states: Option<(u64, States)>, salt: u64) {
        match states {
            None => {}
            Some((of, states)) if of == salt => self.states = states,
            Some(_) => {
                self.quarantine.file(&states::path(self.directory), "it belongs to another channel");
                self.changed = true;
            }
        }
    }

    /// Takes over the checkpoint; what it says of missing segments is lost.
    fn start_from_checkpoint(&mut self) {
        self.positions = std::mem::take(&mut self.checkpoint.positions);
        let mut missing: Vec<u64> = Vec::new();
        for part in std::mem::take(&mut self.checkpoint.parts) {
            if self.segments.contains_key(&part.segment) {
                self.parts.push(part);
            } else {
                missing.push(part.segment);
            }
        }
        missing.sort_unstable();
        missing.dedup();
        for id in missing {
            self.changed = true;
            self.quarantine.missing(&FileKind::Segment.file_name(id));
        }
    }

    /// Reads everything behind the checkpoint; says the sequence that follows.
    fn scan_segments(&mut self) -> Result<u64, FileError> {
        let from = self.place;
        let later: Vec<(Arc<Segment>, FileHead)> = self
            .segments
            .range(from.segment..)
            .map(|(_, (segment, head))| (Arc::clone(segment), *head))
            .collect();
        let mut next_sequence = from.sequence + 1;
        let mut previous = None;
        let mut doubtful = None;
        for (index, (segment, head)) in later.iter().enumerate() {
            let continues = segment.id == from.segment;
            if !continues
                && previous.is_some_and(|id| id + 1 < segment.id)
                && head.first_sequence > next_sequence
            {
                // Between two segments that are there one may have been emptied and removed; the checkpoint
                // knows. Behind the checkpoint nothing is removed.
                if self.checkpoint.numbers.salt != 0 {
                    self.quarantine.missing(&format!("the segment before {}", segment.path.display()));
                }
            }
            previous = Some(segment.id);
            let scan = Scan {
                file: segment.file.as_ref(),
                coding: &segment.coding,
                start: if continues { from.offset.max(FRAMES_START) } else { FRAMES_START },
                sequence: if continues { from.sequence + 1 } else { head.first_sequence },
                stop: later.get(index + 1).map(|(_, next)| next.first_sequence),
            };
            let scanned;
            (scanned, doubtful) = self.scan_segment(&scan, segment)?;
            self.set_aside_gaps(&scan, &scanned, segment);
            next_sequence = scanned.next_sequence.max(next_sequence);
            self.place = Place { segment: segment.id, offset: scanned.end, sequence: next_sequence - 1 };
        }
        if let Some((last, _)) = later.last() {
            make_durable(last, doubtful.unwrap_or(self.place.offset), self.place.offset)?;
        }
        Ok(next_sequence)
    }

    /// Frames of a loose segment may be gone whose takes are not, so none of their sequences is used again (FORMAT.md
    /// section 2). Says the next one.
    fn skip_lost(&mut self, next_sequence: u64) -> u64 {
        let loose = self.segments.last_key_value().is_some_and(|(_, (_, head))| head.loose);
        if !loose {
            return next_sequence;
        }
        let next_sequence = next_sequence.saturating_add(LOST_SEQUENCES_MAX);
        self.place.sequence = next_sequence - 1;
        // A checkpoint tells the next opening that the gap is no damage.
        self.changed = true;
        next_sequence
    }

    /// Takes over the frames of a segment. Says also where the first one is that no later frame calls durable.
    fn scan_segment(
        &mut self,
        scan: &Scan<'_>,
        segment: &Arc<Segment>,
    ) -> Result<(Scanned, Option<u64>), FileError> {
        let mut unreadable = Vec::new();
        let mut doubtful = VecDeque::new();
        let scanned = scan.run(|entry| {
            self.changed = true;
            while doubtful.pop_front_if(|(sequence, _)| *sequence <= entry.stamp.durable).is_some() {}
            doubtful.push_back((entry.stamp.sequence, entry.offset));
            if self.apply(&entry, segment.id).is_none() {
                unreadable.push(Gap { offset: entry.offset, bytes: entry.frame_bytes as u64 });
            }
        });
        let scanned =
            scanned.map_err(|error| FileError::io(format!("{}: read", segment.path.display()), error))?;
        for gap in unreadable {
            self.quarantine.place(&segment.path, segment.file.as_ref(), gap);
        }
        Ok((scanned, doubtful.front().map(|(_, offset)| *offset)))
    }

    /// Takes over one frame; None when its content makes no sense.
    fn apply(&mut self, entry: &Entry, segment: u64) -> Option<()> {
        match entry.stamp.kind {
            Kind::Put => {
                let head = put_head(&entry.payload).ok()?;
                for update in put_updates(&entry.payload).ok()? {
                    if is_state_owner(&update.source) {
                        if entry.stamp.sequence > self.states.sequence {
                            self.states.apply(&update, head.at);
                        }
                        continue;
                    }
                    update.apply_to(self.positions.entry(update.source.to_string()).or_default());
                }
                if head.events > 0 {
                    self.parts.push(Part {
                        sequence: entry.stamp.sequence,
                        segment,
                        offset: entry.offset,
                        frame_bytes: u32::try_from(entry.frame_bytes).ok()?,
                        start: 0,
                        end: head.events,
                        bytes: head.size,
                        at: head.at,
                    });
                }
            }
            Kind::Positions => {
                self.positions = decode_positions(&mut ByteReader::new(&entry.payload)).ok()?;
            }
            Kind::Take => return None,
        }
        Some(())
    }

    fn set_aside_gaps(&mut self, scan: &Scan<'_>, scanned: &Scanned, segment: &Segment) {
        for gap in &scanned.damaged {
            self.quarantine.place(&segment.path, segment.file.as_ref(), *gap);
        }
        // A later segment says up to where this one was durable.
        let short = scan.stop.is_some_and(|stop| scanned.next_sequence < stop);
        match scanned.torn {
            Some(gap) if short => self.quarantine.place(&segment.path, segment.file.as_ref(), gap),
            Some(gap) => self.quarantine.torn(&segment.path, segment.file.as_ref(), gap),
            None if short => self.quarantine.missing(&format!("the end of {}", segment.path.display())),
            None => {}
        }
        self.changed |= short || scanned.torn.is_some() || !scanned.damaged.is_empty();
    }

    fn read_takes(&mut self, ids: &[u64], salt: u64) -> Result<Vec<Run>, FileError> {
        let mut runs = Vec::new();
        let from = self.checkpoint.numbers.takes_from;
        for id in ids.iter().filter(|id| **id >= from) {
            let Some((file, head)) = self.open_file(FileKind::Takes, *id)? else { continue };
            if head.salt != salt {
                self.quarantine.file(&file.path, "it belongs to another channel");
                continue;
            }
            self.changed = true;
            let scan = Scan {
                file: file.file.as_ref(),
                coding: &file.coding,
                start: FRAMES_START,
                sequence: 1,
                stop: None,
            };
            let scanned = scan.run(|entry| runs.extend(decode_runs(&entry.payload).unwrap_or_default()));
            let scanned =
                scanned.map_err(|error| FileError::io(format!("{}: read", file.path.display()), error))?;
            self.set_aside_gaps(&scan, &scanned, &file);
        }
        Ok(runs)
    }

    fn finish(self, runs: Vec<Run>, salt: u64, next: (u64, u64, u64)) -> Replayed {
        let segments: HashMap<u64, Arc<Segment>> =
            self.segments.into_iter().map(|(id, (segment, _))| (id, segment)).collect();
        let parts = without(self.parts, runs, |part, rows| {
            let segment = segments.get(&part.segment);
            segment.and_then(|segment| size_of(segment, part, rows)).unwrap_or(0).min(part.bytes)
        });
        let mut live: BTreeMap<u64, u64> = segments.keys().map(|id| (*id, 0)).collect();
        for part in &parts {
            *live.entry(part.segment).or_default() += part.amount().events;
        }
        let (next_segment, next_sequence, next_takes) = next;
        Replayed {
            parts,
            positions: self.positions,
            states: self.states,
            segments,
            live,
            place: self.place,
            salt,
            next_segment,
            next_sequence,
            next_takes,
            damaged: self.quarantine.count,
            changed: self.changed,
        }
    }
}

/// Cuts the last segment behind its last frame. What was found in it may only be in the machine's memory yet; from here
/// on it counts, so it must be durable. A sync alone proves nothing when an earlier one failed: the machine may take the
/// bytes for written. So all that nothing proves durable is written once more.
fn make_durable(last: &Segment, doubtful: u64, end: u64) -> Result<(), FileError> {
    let longer = last.file.len().map(|bytes| bytes > end);
    let synced = longer
        .and_then(|longer| if longer { last.file.set_len(end) } else { Ok(()) })
        .and_then(|()| rewrite(last.file.as_ref(), doubtful, end))
        .and_then(|()| last.file.sync_data());
    synced.map_err(|error| FileError::io(format!("{}: sync", last.path.display()), error))
}

/// Writes the bytes of a file again, as they are.
fn rewrite(file: &dyn File, from: u64, end: u64) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut offset = from;
    while offset < end {
        bytes.resize(usize::try_from(end - offset).unwrap_or(usize::MAX).min(REWRITE_BYTES), 0);
        let count = file.read_full_at(&mut bytes, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(count);
        file.write_all_at(&bytes, offset)?;
        offset += count as u64;
    }
    Ok(())
}

/// The size of some rows of a frame, from the disk; None when they cannot be read, which whoever takes them
/// finds out again.
fn size_of(segment: &Segment, part: &Part, rows: Run) -> Option<u64> {
    match segment.read(part.offset, part.frame_bytes as usize).ok()? {
        Found::Damaged => None,
        Found::Whole(_, payload) => {
            let events = decode_events(&payload).ok()?;
            let wanted = events.get(rows.start as usize..rows.end as usize)?;
            Some(wanted.iter().map(|event| Event::size(event) as u64).sum())
        }
    }
}
