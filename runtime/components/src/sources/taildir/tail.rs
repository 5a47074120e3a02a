//! All files of the source and the turns they take: the part that blocks, run one batch at a time on a thread
//! for blocking work.
//!
//! Every file with something to read stands in one queue; a turn is at most one block, then the file goes to
//! the end. Batches hold events of as many files as fit, and the position of every file whose offset moved.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use millrace_core::{
    Batch, ByteString, Clock, Health, HealthState, PositionUpdate, SourceContext, SourceMetrics,
};
use tokio::time::Instant;

use super::{
    block::BlockPool,
    file::{TailFile, Turn},
    filling::Filling,
    frame::Flush,
    hints::Hints,
    known::Known,
    options::Settings,
    position::{Position, STARTED_KEY},
    scan::Held,
};
use crate::sources::files::{FileId, Stamp};

/// The files, where they stand, and what is to be stored about them with the next batch.
pub(super) struct Tail {
    pub(super) settings: Arc<Settings>,
    pub(super) known: Known,
    pub(super) files: HashMap<FileId, TailFile>,
    pub(super) held: HashMap<FileId, Held>,
    pub(super) changes: Vec<(Bytes, Option<Bytes>)>,
    pub(super) troubles: BTreeMap<PathBuf, String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hints: Hints,
    pub(super) pool: BlockPool,
    pub(super) is_first_scan: bool,
    /// There are files that are not read because they are empty or may be copies.
    pub(super) awaits_content: bool,
    name: ByteString,
    queue: VecDeque<FileId>,
    file_troubles: BTreeMap<PathBuf, String>,
    reported: BTreeMap<PathBuf, String>,
    has_told_of_cuts: bool,
    metrics: SourceMetrics,
    health: Health,
    /// Batches made, and of those how many are known to be in the channels.
    made: u64,
    delivered: u64,
    swept_at: Option<Instant>,
    scanned_at: Option<Instant>,
    scan_pause: Duration,
}

/// What one round of reading gave.
pub(super) struct Filled {
    /// The batch, unless there was nothing new.
    pub(super) batch: Option<Batch>,
    /// There is more to read at once.
    pub(super) more: bool,
}

impl Tail {
    /// All that is known of a former run; nothing is opened yet.
    pub(super) fn new(settings: Arc<Settings>, cx: &SourceContext, hints: Hints) -> Self {
        let known = Known::load(&cx.positions);
        if known.damaged > 0 {
            cx.metrics.read_failures.inc_by(known.damaged as u64);
            tracing::warn!(source = %cx.name, positions = known.damaged, "positions that cannot be read are left out");
        }
        let changes = if known.has_run {
            Vec::new()
        } else {
            vec![(Bytes::from_static(STARTED_KEY), Some(Bytes::new()))]
        };
        Self {
            settings,
            known,
            files: HashMap::new(),
            held: HashMap::new(),
            changes,
            troubles: BTreeMap::new(),
            clock: Arc::clone(&cx.clock),
            hints,
            pool: BlockPool::default(),
            is_first_scan: true,
            awaits_content: false,
            name: cx.name.clone(),
            queue: VecDeque::new(),
            file_troubles: BTreeMap::new(),
            reported: BTreeMap::new(),
            has_told_of_cuts: false,
            metrics: cx.metrics.clone(),
            health: cx.health.clone(),
            made: 0,
            delivered: 0,
            swept_at: None,
            scanned_at: None,
            scan_pause: Duration::ZERO,
        }
    }

    /// Looks for changes if it is time to, then reads up to one batch. `delivered`: how many of the batches made
    /// so far are in the channels.
    pub(super) fn fill(&mut self, delivered: u64) -> Filled {
        self.delivered = delivered;
        let begun = Instant::now();
        if self.is_scan_due(begun) {
            self.scan();
            let cost = begun.elapsed();
            self.scanned_at = Some(begun);
            // Looking costs at most a fiftieth of the time; hints of new names may double that.
            self.scan_pause = cost * 25;
            self.sweep();
        } else if self.queue.is_empty() || self.swept_at.is_none_or(|at| at + self.settings.poll <= begun) {
            self.sweep();
        }
        let filled = self.read_queue();
        self.report();
        if filled.batch.is_none() && !filled.more && self.is_read() {
            self.health.set(HealthState::Idle);
        }
        filled
    }

    /// Whether every file has been delivered up to its end. A line that never becomes an event unless it is finished
    /// does not count, nor does a file without content.
    fn is_read(&self) -> bool {
        let owes = |file: &TailFile| {
            let last = if file.gone.is_some() || self.settings.partial_timeout.is_some() {
                Flush::Everything
            } else if self.settings.multiline_timeout.is_some() {
                Flush::Lines
            } else {
                Flush::Nothing
            };
            file.has_unread() || file.has_partial && file.flushed < last
        };
        self.made == self.delivered
            && self.reported.is_empty()
            && self.held.is_empty()
            && !self.files.values().any(owes)
    }

    /// Reads what is left of files that no name leads to: they cannot be found again after a restart.
    pub(super) fn fill_from_unlinked(&mut self) -> Filled {
        self.sweep();
        self.queue.clear();
        let mut unlinked = Vec::new();
        for (id, file) in &mut self.files {
            file.queued = false;
            if file.unlinked {
                file.flush = Flush::Everything;
                unlinked.push(*id);
            }
        }
        unlinked.into_iter().for_each(|id| self.enqueue(id));
        self.read_queue()
    }

    fn is_scan_due(&self, now: Instant) -> bool {
        let Some(at) = self.scanned_at else { return true };
        let pause = self.scan_pause.max(Duration::from_millis(20));
        let is_hinted = at + pause <= now && (self.hints.take_rescan() || self.awaits_content);
        is_hinted || at + self.settings.poll.max(self.scan_pause * 2) <= now
    }

    fn read_queue(&mut self) -> Filled {
        let mut filling = Filling::new(&self.settings);
        while !filling.is_full() {
            let Some(id) = self.queue.pop_front() else { break };
            let Some(file) = self.files.get_mut(&id) else { continue };
            file.queued = false;
            match file.turn(&self.settings, &self.pool, &mut filling) {
                Ok(Turn::CaughtUp) => {
                    file.failed = false;
                    let damage = file.content.as_mut().and_then(|content| content.take_damage());
                    match damage {
                        Some(error) => drop(self.file_troubles.insert(file.path.clone(), error.to_string())),
                        None => drop(self.file_troubles.remove(&file.path)),
                    }
                }
                Ok(Turn::More | Turn::BatchFull) => self.enqueue(id),
                Ok(Turn::Replaced(position)) => {
                    self.retire(id, position);
                    self.enqueue(id);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Closed for idleness, grew and lost its name: the next scan looks for it.
                    file.failed = true;
                }
                Err(error) => {
                    file.failed = true;
                    self.file_troubles.insert(file.path.clone(), format!("cannot read the file: {error}"));
                }
            }
        }
        self.seal(filling)
    }

    /// Makes a batch of what was read and of what changed besides.
    fn seal(&mut self, filling: Filling) -> Filled {
        let more = !self.queue.is_empty();
        let mut changes = std::mem::take(&mut self.changes);
        if filling.cut_lines > 0 {
            self.metrics.read_failures.inc_by(filling.cut_lines);
            if !self.has_told_of_cuts {
                self.has_told_of_cuts = true;
                tracing::warn!(source = %self.name, "a line longer than line-max was cut; further ones are only counted");
            }
        }
        if filling.events.is_empty() && filling.touched.is_empty() && changes.is_empty() {
            return Filled { batch: None, more };
        }
        self.made += 1;
        for id in filling.touched {
            if let Some(file) = self.files.get_mut(&id) {
                file.last_batch = self.made;
                changes.push((id.to_key(), Some(file.position(0).encode())));
            }
        }
        let batch = Batch::new(filling.events);
        let update = PositionUpdate { source: self.name.clone(), changes };
        Filled { batch: Some(batch.with_position(update)), more }
    }

    /// Puts a file at the end of the queue, once.
    pub(super) fn enqueue(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id)
            && !file.queued
        {
            file.queued = true;
            self.queue.push_back(id);
        }
    }

    /// Remembers what was delivered of a content that is no longer in its file.
    pub(super) fn retire(&mut self, id: FileId, mut position: Position) {
        tracing::info!(source = %self.name, path = %position.path.display(), offset = position.offset, "the file was written anew, reading it from its start");
        position.gone_since = self.seconds();
        self.changes.push((id.to_key(), None));
        if position.offset > 0 {
            self.changes.push((position.retired_key(), Some(position.encode())));
            self.known.retire(position);
        }
    }

    /// Seconds since 1970, never 0, which stands for "not gone".
    pub(super) fn seconds(&self) -> u64 {
        (self.clock.unix_millis() / 1000).max(1)
    }

    /// Asks every open file whether it has changed, and deals with those that have not for long.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.swept_at = Some(now);
        let mut due = Vec::new();
        let mut done = Vec::new();
        for (id, file) in &mut self.files {
            let Some(content) = &file.content else { continue };
            match content.metadata() {
                Ok(metadata) => {
                    let stamp = Stamp::of(&metadata);
                    file.unlinked = std::os::unix::fs::MetadataExt::nlink(&metadata) == 0;
                    if stamp != file.stamp {
                        file.note_change(stamp);
                        due.push(*id);
                        continue;
                    }
                }
                Err(error) => {
                    self.file_troubles.insert(file.path.clone(), format!("cannot look at the file: {error}"));
                }
            }
            if file.failed {
                due.push(*id);
                continue;
            }
            if file.has_unread() {
                continue;
            }
            match rest(&self.settings, file, now) {
                Rest::Wait => {}
                Rest::Flush(flush) => {
                    file.flush = flush;
                    due.push(*id);
                }
                Rest::Close => file.close(),
                Rest::Finish if file.last_batch <= self.delivered => done.push(*id),
                Rest::Finish => {}
            }
        }
        // What was written first goes first, as far as one can tell.
        due.sort_by_key(|id| self.files.get(id).map(|file| file.stamp.modified));
        due.into_iter().for_each(|id| self.enqueue(id));
        done.into_iter().for_each(|id| self.finish(id));
    }

    /// Stops reading a file that is gone; what is known of it stays for a while.
    pub(super) fn finish(&mut self, id: FileId) {
        let Some(mut file) = self.files.remove(&id) else { return };
        let position = file.position(self.seconds());
        self.file_troubles.remove(&file.path);
        if position.offset > 0 {
            self.changes.push((id.to_key(), Some(position.encode())));
            self.known.files.insert(id, position);
        }
    }

    /// Tells of new troubles, once each, and when there are none any more.
    fn report(&mut self) {
        let mut troubles = self.troubles.clone();
        troubles.extend(self.file_troubles.iter().map(|(path, trouble)| (path.clone(), trouble.clone())));
        for (path, trouble) in &troubles {
            if self.reported.get(path) != Some(trouble) {
                self.metrics.read_failures.inc();
                tracing::warn!(source = %self.name, path = %path.display(), %trouble, "trouble with a file, trying again");
            }
        }
        if troubles != self.reported {
            if let Some((path, trouble)) = first_new(&troubles, &self.reported) {
                self.health.failed(self.clock.now(), &format!("{}: {trouble}", path.display()));
            }
            if troubles.is_empty() {
                self.health.set(HealthState::Running);
            }
            self.reported = troubles;
        } else if troubles.is_empty() && self.health.state() == HealthState::Starting {
            self.health.set(HealthState::Running);
        }
    }
}

fn first_new<'a>(
    troubles: &'a BTreeMap<PathBuf, String>,
    before: &BTreeMap<PathBuf, String>,
) -> Option<(&'a Path, &'a String)> {
    let new = troubles.iter().find(|(path, trouble)| before.get(*path) != Some(*trouble));
    new.map(|(path, trouble)| (path.as_path(), trouble))
}

/// What becomes of a file that has been read to its end and does not grow.
enum Rest {
    Wait,
    Flush(Flush),
    Close,
    Finish,
}

fn rest(settings: &Settings, file: &TailFile, now: Instant) -> Rest {
    let quiet = now.saturating_duration_since(file.changed_at);
    let is_over = |limit: Option<Duration>| limit.is_some_and(|limit| quiet >= limit);
    let is_finished = file.gone.is_some_and(|since| {
        now.saturating_duration_since(since.max(file.changed_at)) >= settings.rotate_wait
    });
    let wish = match () {
        () if !file.has_partial => Flush::Nothing,
        () if is_finished || is_over(settings.partial_timeout) => Flush::Everything,
        () if is_over(settings.multiline_timeout) => Flush::Lines,
        () => Flush::Nothing,
    };
    if wish > file.flushed {
        Rest::Flush(wish)
    } else if is_finished {
        Rest::Finish
    } else if file.gone.is_none() && quiet >= settings.idle_timeout {
        Rest::Close
    } else {
        Rest::Wait
    }
}
