//! One file after the other: read, delivered, marked as finished. The part that blocks.
//!
//! A file goes through its states in commits: reading (how far), delivered (nothing left but the mark), gone
//! from the spool. So a crash at any point is followed by exactly what was missing.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use millrace_core::{
    Batch, ByteString, Clock, Event, Health, HealthState, PositionUpdate, SourceContext, SourceMetrics,
};
use tokio::time::Instant;

use super::{
    deserializer::{DeserializeError, Deserializer},
    directory::{self, Candidate},
    options::Settings,
    position::{Position, State},
};
use crate::sources::files::{Content, FileId, Stamp};

const CHANGED: &str = "the file changed while it was read and is set aside";

/// The spool and where reading stands.
pub(super) struct Spool {
    settings: Arc<Settings>,
    name: ByteString,
    positions: HashMap<FileId, Position>,
    changes: Vec<(Bytes, Option<Bytes>)>,
    next: VecDeque<Candidate>,
    current: Option<Open>,
    /// Files that could not be read or marked; left alone until the next look at the directory.
    postponed: HashSet<FileId>,
    listed_at: Option<Instant>,
    list_cost: Duration,
    reported: BTreeMap<PathBuf, String>,
    clock: Arc<dyn Clock>,
    metrics: SourceMetrics,
    health: Health,
}

struct Open {
    id: FileId,
    path: PathBuf,
    stamp: Stamp,
    deserializer: Deserializer,
}

impl Spool {
    /// What an earlier run left; nothing is opened yet.
    pub(super) fn new(settings: Arc<Settings>, cx: &SourceContext) -> Self {
        let mut positions = HashMap::new();
        for (key, value) in &cx.positions {
            match (FileId::from_key(key), Position::decode(value)) {
                (Some(id), Some(position)) => drop(positions.insert(id, position)),
                _ => {
                    cx.metrics.read_failures.inc();
                    tracing::warn!(source = %cx.name, "a position that cannot be read is left out");
                }
            }
        }
        Self {
            settings,
            name: cx.name.clone(),
            positions,
            changes: Vec::new(),
            next: VecDeque::new(),
            current: None,
            postponed: HashSet::new(),
            listed_at: None,
            list_cost: Duration::ZERO,
            reported: BTreeMap::new(),
            clock: Arc::clone(&cx.clock),
            metrics: cx.metrics.clone(),
            health: cx.health.clone(),
        }
    }

    /// The next batch. All batches given before have been delivered. None: there is nothing to do now.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        loop {
            if self.current.is_none() && !self.open_next() {
                return self.seal(Vec::new());
            }
            let events = self.read();
            if !events.is_empty() || !self.changes.is_empty() {
                return self.seal(events);
            }
        }
    }

    /// Whether every file in the directory has been delivered, or set aside for good.
    pub(super) fn is_read(&self) -> bool {
        self.listed_at.is_some()
            && self.next.is_empty()
            && self.postponed.is_empty()
            && !self.reported.contains_key(&self.settings.spool_dir)
    }

    /// Opens files until one has something to read; false when there is none.
    fn open_next(&mut self) -> bool {
        self.list_if_due();
        while let Some(candidate) = self.next.pop_front() {
            if self.postponed.contains(&candidate.id) {
                continue;
            }
            let known = self.positions.get(&candidate.id).cloned();
            let is_same_stamp = known.as_ref().is_some_and(|position| position.stamp == candidate.stamp);
            let is_same_path = known.as_ref().is_some_and(|position| position.path == candidate.path);
            match known.as_ref().map(|position| position.state) {
                Some(State::Delivered) if is_same_stamp => self.finish(candidate.id, &candidate.path),
                Some(State::Delivered) if is_same_path => self.set_aside_changed(&candidate),
                // What a changed file is now nobody knows; a new name is the operator's wish to have it read.
                Some(State::SetAside) if is_same_path => {
                    if !self.reported.contains_key(&candidate.path) {
                        self.report(&candidate.path, "the file is set aside since an earlier run");
                    }
                }
                state => {
                    let goes_on = state == Some(State::Reading) && (is_same_stamp || is_same_path);
                    match self.open(&candidate, known.filter(|_| goes_on)) {
                        Ok(open) => {
                            self.current = Some(open);
                            return true;
                        }
                        Err(error) => self.give_up(candidate.id, &candidate.path, candidate.stamp, 0, &error),
                    }
                }
            }
        }
        false
    }

    /// A file was written to after it was delivered and before it could be marked.
    fn set_aside_changed(&mut self, candidate: &Candidate) {
        self.set_position(candidate.id, &candidate.path, candidate.stamp, State::SetAside, 0);
        self.report(&candidate.path, CHANGED);
    }

    fn open(&self, candidate: &Candidate, known: Option<Position>) -> Result<Open, DeserializeError> {
        let settings = &self.settings;
        let (content, metadata) = match settings.gzip {
            true => Content::open(&candidate.path)?,
            false => Content::open_as_is(&candidate.path)?,
        };
        if FileId::of(&metadata) != candidate.id {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its name").into());
        }
        let mut headers = settings.headers.clone();
        if let Some(key) = &settings.file_header {
            headers.set(key.clone(), candidate.path.to_string_lossy().into_owned().into());
        }
        if let (Some(key), Some(name)) = (&settings.basename_header, candidate.path.file_name()) {
            headers.set(key.clone(), name.to_string_lossy().into_owned().into());
        }
        let stamp = known.as_ref().map_or_else(|| Stamp::of(&metadata), |position| position.stamp);
        let place = known.map_or(0, |position| position.place);
        let deserializer = match stamp.size {
            0 => Deserializer::Empty((place == 0).then(|| Event::with_headers(headers, Bytes::new()))),
            _ => Deserializer::open(settings.format, content, headers, place)?,
        };
        Ok(Open { id: candidate.id, path: candidate.path.clone(), stamp, deserializer })
    }

    /// Reads up to one batch of the current file, and decides what becomes of it at its end.
    fn read(&mut self) -> Vec<Event> {
        let Some(mut open) = self.current.take() else { return Vec::new() };
        let mut events = Vec::new();
        let mut bytes = 0;
        let before = open.deserializer.place();
        while events.len() < self.settings.batch_events_max && bytes < self.settings.batch_bytes_max {
            match open.deserializer.next() {
                Ok(Some(event)) => {
                    bytes += event.body.len();
                    events.push(event);
                }
                Ok(None) => {
                    self.end(open);
                    return events;
                }
                Err(error) => {
                    let place = open.deserializer.place();
                    if place > before {
                        self.set_position(open.id, &open.path, open.stamp, State::Reading, place);
                    }
                    self.give_up(open.id, &open.path, open.stamp, place, &error);
                    return events;
                }
            }
        }
        let place = open.deserializer.place();
        self.set_position(open.id, &open.path, open.stamp, State::Reading, place);
        self.current = Some(open);
        events
    }

    /// Everything of a file is read. If it changed meanwhile, who knows what of it was read: it is set aside.
    fn end(&mut self, open: Open) {
        let is_same = fs::metadata(&open.path)
            .is_ok_and(|metadata| FileId::of(&metadata) == open.id && Stamp::of(&metadata) == open.stamp);
        let state = if is_same { State::Delivered } else { State::SetAside };
        self.set_position(open.id, &open.path, open.stamp, state, open.deserializer.place());
        if is_same {
            // Marked once the batch that says so is delivered, which is when this comes up again.
            self.next.push_front(Candidate { id: open.id, path: open.path, stamp: open.stamp });
        } else {
            self.report(&open.path, CHANGED);
        }
    }

    fn finish(&mut self, id: FileId, path: &Path) {
        match directory::finish(&self.settings, path) {
            Ok(other_name) => {
                if let Some(other_name) = other_name {
                    let text = format!("its finished name was taken, it is now {}", other_name.display());
                    self.report(path, &text);
                }
                self.forget(id);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.forget(id),
            Err(error) => {
                self.report(path, &format!("cannot be marked as finished: {error}"));
                self.postponed.insert(id);
            }
        }
    }

    fn forget(&mut self, id: FileId) {
        self.positions.remove(&id);
        self.changes.push((id.to_key(), None));
    }

    /// A file that cannot be read now is tried again later; one that cannot be decoded is set aside.
    fn give_up(&mut self, id: FileId, path: &Path, stamp: Stamp, place: u64, error: &DeserializeError) {
        match error {
            DeserializeError::Read(error) if error.kind() == io::ErrorKind::NotFound => {}
            DeserializeError::Read(_) => {
                self.report(path, &error.to_string());
                self.postponed.insert(id);
            }
            DeserializeError::Decode(_) => {
                self.report(path, &format!("{error}; it is set aside"));
                self.set_position(id, path, stamp, State::SetAside, place);
            }
        }
    }

    fn set_position(&mut self, id: FileId, path: &Path, stamp: Stamp, state: State, place: u64) {
        let position = Position { state, place, stamp, path: path.to_owned() };
        self.changes.retain(|(key, _)| *key != id.to_key());
        self.changes.push((id.to_key(), Some(position.encode())));
        self.positions.insert(id, position);
    }

    /// Looks at the directory again if the list is used up, or old; a look costs at most a fiftieth of the time.
    fn list_if_due(&mut self) {
        let now = Instant::now();
        let pause =
            if self.next.is_empty() { self.settings.poll_delay / 2 } else { self.settings.poll_delay };
        let pause = pause.max(self.list_cost * 50);
        // A delivered file waits at the front to be marked.
        let waits = self.next.front().is_some_and(|next| self.positions.contains_key(&next.id));
        if waits || self.listed_at.is_some_and(|at| now < at + pause) {
            return;
        }
        self.listed_at = Some(now);
        self.postponed.clear();
        match directory::list(&self.settings) {
            Ok(list) => {
                self.next = list;
                self.forget_vanished();
                if !matches!(self.health.state(), HealthState::Running | HealthState::Idle) {
                    self.health.set(HealthState::Running);
                }
                self.reported.remove(&self.settings.spool_dir.clone());
            }
            Err(error) => {
                let directory = self.settings.spool_dir.clone();
                self.report(&directory, &format!("cannot list the directory: {error}"));
            }
        }
        self.list_cost = now.elapsed();
    }

    fn forget_vanished(&mut self) {
        let there: HashSet<FileId> = self.next.iter().map(|candidate| candidate.id).collect();
        let vanished: Vec<FileId> = self.positions.keys().filter(|id| !there.contains(id)).copied().collect();
        vanished.into_iter().for_each(|id| self.forget(id));
        let paths: HashSet<&Path> = self.next.iter().map(|candidate| candidate.path.as_path()).collect();
        self.reported.retain(|path, _| paths.contains(path.as_path()));
    }

    /// Tells of trouble, once as long as it stays the same.
    fn report(&mut self, path: &Path, trouble: &str) {
        if self.reported.get(path).is_some_and(|known| known == trouble) {
            return;
        }
        self.metrics.read_failures.inc();
        tracing::warn!(source = %self.name, path = %path.display(), trouble, "trouble with a file of the spool");
        self.health.failed(self.clock.now(), &format!("{}: {trouble}", path.display()));
        self.reported.insert(path.to_owned(), trouble.to_owned());
    }

    fn seal(&mut self, events: Vec<Event>) -> Option<Batch> {
        let changes = std::mem::take(&mut self.changes);
        if events.is_empty() && changes.is_empty() {
            return None;
        }
        let update = PositionUpdate { source: self.name.clone(), changes };
        Some(Batch::new(events).with_position(update))
    }
}
