//! All files of a sink, and how a batch gets into them: whole or not at all.
//!
//! ```text
//! open -> current --full or pushed out--> full ---confirmed--> finishing --named--> done
//!            |                              |
//!            +------- due, untouched -------+--------------------^
//!            +--- batch failed: cut back, or removed if nothing of it was confirmed
//! ```
//!
//! Nothing gets its name while it holds events of a batch that may still fail, so a failed batch can be taken
//! back completely, however many files it filled.

use std::{
    collections::HashMap,
    io, mem,
    path::Path,
    time::{Duration, SystemTime},
};

use millrace_core::{Batch, SinkError};

use super::{
    BucketError,
    disk::Disk,
    framing::FileFraming,
    journal::Journal,
    names::{self, Names},
    open_file::OpenFile,
    packer::Packer,
    recovery::{self, Recovery},
    settings::{Settings, SyncMode},
    store::Store,
};
use crate::{
    escape::{self, Expander, Group},
    serializers::Rows,
};

/// The plain bytes of a batch are kept for the next one up to this size.
const PLAIN_BYTES_KEPT: usize = 8 << 20;

/// How often a busy sink tries to complete what an earlier run left.
const RECOVERY_PAUSE_MILLIS: u64 = 1000;

/// The files of one sink.
pub struct BucketWriter<S: Store> {
    settings: Settings,
    /// Where the files are.
    store: S,
    /// Where the journal is.
    disk: Disk,
    expander: Expander,
    names: Names,
    framing: FileFraming,
    /// None until the first use, when what an earlier run left is completed.
    journal: Option<Journal>,
    /// Whether an earlier sink held a journal when this one started.
    is_held: bool,
    /// When what it holds was last tried to complete before a batch.
    recovered_millis: u64,
    packer: Option<Packer>,
    /// By place: the file that takes the next event.
    current: HashMap<String, OpenFile<S>>,
    /// Files that take no more events but hold some of the batch at hand, oldest first.
    full: Vec<(String, OpenFile<S>)>,
    /// Files that only lack their name.
    finishing: Vec<OpenFile<S>>,
    plain: Vec<u8>,
    uses: u64,
    /// Whether a batch is neither confirmed nor taken back: so it is after a panic in the middle.
    in_doubt: bool,
}

impl<S: Store> BucketWriter<S> {
    /// A writer into a store, with its journal on a disk.
    pub fn new(settings: Settings, start_millis: u64, store: S, disk: Disk) -> Self {
        let zone = settings.time_rule.zone.clone();
        Self {
            expander: Expander::new(vec![settings.place.clone()], settings.time_rule.clone()),
            names: Names::new(
                settings.name_time,
                zone,
                start_millis,
                settings.suffix.clone(),
                settings.in_progress.clone(),
            ),
            framing: FileFraming::new(settings.serializer.framing(), settings.compression),
            journal: None,
            is_held: false,
            recovered_millis: 0,
            packer: None,
            current: HashMap::new(),
            full: Vec::new(),
            finishing: Vec::new(),
            plain: Vec::new(),
            uses: 0,
            in_doubt: false,
            settings,
            store,
            disk,
        }
    }

    /// Writes a batch, or nothing of it.
    pub fn deliver(&mut self, batch: &Batch, now: SystemTime) -> Result<(), SinkError> {
        if self.in_doubt {
            self.roll_back();
        }
        self.prepare(now).map_err(|error| SinkError::retryable(error.to_string()))?;
        let (groups, refusals) = escape::group(&mut self.expander, batch, now);
        self.in_doubt = true;
        if let Err(error) = self.write(batch, &groups, now).and_then(|()| self.confirm()) {
            self.roll_back();
            return Err(SinkError::retryable(error.to_string()));
        }
        self.in_doubt = false;
        self.finishing.extend(mem::take(&mut self.full).into_iter().map(|(_, file)| file));
        if let Err(error) = self.finish_all() {
            // Everything is delivered; only names are missing. The next call tries again.
            report_unnamed(&error);
        }
        if self.plain.capacity() > PLAIN_BYTES_KEPT {
            self.plain = Vec::new();
        }
        if refusals.is_empty() { Ok(()) } else { Err(SinkError::refused(refusals)) }
    }

    /// Finishes what is due.
    pub fn idle(&mut self, now: SystemTime) -> Result<(), BucketError> {
        if self.in_doubt {
            self.roll_back();
        }
        self.start()?;
        self.recover_held();
        self.restore()?;
        self.roll_due(now);
        self.finish_all()
    }

    /// Finishes everything.
    pub fn close(&mut self) -> Result<(), BucketError> {
        if self.in_doubt {
            self.roll_back();
        }
        self.restore()?;
        self.finishing.extend(mem::take(&mut self.current).into_values());
        self.finish_all()?;
        match self.journal.take() {
            Some(journal) => journal.remove(),
            None => Ok(()),
        }
    }

    /// What has to be in order before anything is written.
    fn prepare(&mut self, now: SystemTime) -> Result<(), BucketError> {
        self.start()?;
        if !self.store.address().is_empty()
            && self.is_held
            && millis(now).saturating_sub(self.recovered_millis) >= RECOVERY_PAUSE_MILLIS
        {
            self.recovered_millis = millis(now);
            self.recover_held();
        }
        self.restore()?;
        self.roll_due(now);
        match self.finish_all() {
            Err(error) if self.finishing.len() >= self.settings.open_files_max => {
                Err(BucketError::Unfinished { files: self.finishing.len(), last: error.to_string() })
            }
            Err(error) => {
                report_unnamed(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn start(&mut self) -> Result<(), BucketError> {
        if self.journal.is_none() {
            let folder = &self.settings.journal_folder;
            self.is_held = recovery::recover(folder, None, &self.disk, &self.store)? == Recovery::Held;
            let journal =
                Journal::create(folder, self.store.address(), self.is_durable(), self.disk.clone())?;
            self.journal = Some(journal);
        }
        Ok(())
    }

    /// Completes what an earlier sink still held at the start, once it has let go of it.
    fn recover_held(&mut self) {
        let Some(journal) = self.journal.as_ref().filter(|_| self.is_held) else { return };
        match recovery::recover(&self.settings.journal_folder, Some(journal.path()), &self.disk, &self.store)
        {
            Ok(outcome) => self.is_held = outcome == Recovery::Held,
            Err(error) => tracing::warn!(%error, "what an earlier run left in progress is not complete yet"),
        }
    }

    fn is_durable(&self) -> bool {
        self.settings.sync != SyncMode::None
    }

    fn write(&mut self, batch: &Batch, groups: &[Group], now: SystemTime) -> Result<(), BucketError> {
        for group in groups {
            let place = group.place.first().map(String::as_str).unwrap_or_default();
            let mut rows = Rows::new(batch.events(), &group.runs);
            while !rows.is_empty() {
                if !self.current.contains_key(place) {
                    self.open(place, now)?;
                }
                let taken = self.append(place, rows, now)?;
                rows = rows.skip(taken);
            }
        }
        Ok(())
    }

    /// Appends to the file of a place, and sets it aside when it is full.
    fn append(&mut self, place: &str, rows: Rows<'_>, now: SystemTime) -> Result<usize, BucketError> {
        let Some(file) = self.current.get_mut(place) else { return Ok(0) };
        let packer = match &mut self.packer {
            Some(packer) => packer,
            none => {
                let codec = "the chosen codec";
                let packer = Packer::new(self.settings.compression);
                none.insert(packer.map_err(|source| BucketError::Compress { codec, source })?)
            }
        };
        self.uses += 1;
        file.used = self.uses;
        let roll = &self.settings.roll;
        let taken = file.append(rows, roll, packer, &mut self.plain, &self.store, millis(now))?;
        if taken == 0 || file.is_full(roll) {
            self.set_aside(place)?;
        }
        Ok(taken)
    }

    /// Opens a file for a place, pushing another one out if there are too many.
    fn open(&mut self, place: &str, now: SystemTime) -> Result<(), BucketError> {
        while self.current.len() >= self.settings.open_files_max {
            let oldest =
                self.current.iter().min_by_key(|(_, file)| file.used).map(|(place, _)| place.clone());
            let Some(oldest) = oldest else { break };
            self.set_aside(&oldest)?;
        }
        let durable = self.is_durable();
        let folder = Path::new(place.rsplit_once('/').map_or("", |(folder, _)| folder));
        self.store.create_folder(folder, durable).map_err(BucketError::io("create folder", folder))?;
        let paths = self.names.next(place, now, &self.store)?;
        let Some(journal) = &mut self.journal else { unreachable!("prepared before any write") };
        let id = journal.opened(&paths, self.framing)?;
        let path = &paths.in_progress;
        let created = self.store.create(path).and_then(|handle| {
            if durable && let Err(error) = self.store.sync_folder(folder) {
                // Not to be forgotten below while it is there.
                let _removed = self.store.remove(path);
                return Err(error);
            }
            Ok(handle)
        });
        match created {
            Ok(handle) => {
                let serializer = self.settings.serializer.open();
                let file = OpenFile::new(id, paths, handle, serializer, millis(now));
                self.current.insert(place.to_owned(), file);
                Ok(())
            }
            Err(error) => {
                self.forget_uncreated(id, path);
                Err(BucketError::io("create", path)(error))
            }
        }
    }

    /// Forgets a file that could not be created, unless it is there all the same, as after an answer that got lost.
    fn forget_uncreated(&mut self, id: u64, path: &Path) {
        let is_gone = S::CUTS
            || match self.store.remove(path) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
        if is_gone && let Some(journal) = &mut self.journal {
            // A courtesy: recovery finds no such file.
            let _forgotten = journal.closed(id);
        }
    }

    /// Takes a file out of the way: no more events go into it.
    fn set_aside(&mut self, place: &str) -> Result<(), BucketError> {
        let Some(mut file) = self.current.remove(place) else { return Ok(()) };
        // Many may come together in one batch, so they are let go of.
        if !file.is_touched() {
            // A file that cannot be opened again is synced while it is open.
            let synced = if self.is_durable() && !S::CUTS { file.sync(&self.store) } else { Ok(()) };
            if let Err(error) = synced.and_then(|()| file.release(&self.store)) {
                tracing::warn!(%error, "a file is completed with what is left of it");
                file.is_given_up |= !S::CUTS;
            }
            self.finishing.push(file);
            return Ok(());
        }
        let synced = if self.is_durable() { file.sync(&self.store) } else { Ok(()) };
        let released = synced.and_then(|()| file.release(&self.store));
        self.full.push((place.to_owned(), file));
        released
    }

    /// Makes the batch at hand durable, as configured.
    fn confirm(&mut self) -> Result<(), BucketError> {
        let mut lengths = Vec::new();
        if self.settings.sync == SyncMode::Batch {
            let touched = self.current.values_mut().filter(|file| file.is_touched());
            OpenFile::sync_all(touched, &self.store)?;
        }
        for file in self.current.values().filter(|file| file.is_touched()) {
            lengths.push((file.id, file.written_bytes()));
        }
        lengths.extend(self.full.iter().map(|(_, file)| (file.id, file.written_bytes())));
        if let Some(journal) = &mut self.journal
            && !lengths.is_empty()
        {
            journal.confirmed(&lengths)?;
        }
        let full = self.full.iter_mut().map(|(_, file)| file);
        self.current.values_mut().chain(full).for_each(OpenFile::confirm);
        Ok(())
    }

    /// Takes everything back that is not confirmed.
    fn roll_back(&mut self) {
        self.in_doubt = false;
        let full = mem::take(&mut self.full);
        for (place, mut file) in full.into_iter().chain(mem::take(&mut self.current)) {
            if !S::CUTS && (file.is_touched() || file.is_given_up) {
                file.give_up();
                self.finishing.push(file);
            } else if file.has_confirmed() {
                file.roll_back();
                // Later files of the same place hold nothing confirmed: they were opened in this batch.
                self.current.insert(place, file);
            } else {
                self.discard(&file);
            }
        }
        if let Err(error) = self.restore() {
            tracing::warn!(%error, "what a failed batch left in a file is cut off before the next one");
        }
    }

    fn discard(&mut self, file: &OpenFile<S>) {
        let path = &file.paths.in_progress;
        let removed = self.store.remove(path).map_err(BucketError::io("remove", path));
        let closed = removed.and_then(|()| match &mut self.journal {
            Some(journal) => journal.closed(file.id),
            None => Ok(()),
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "a file without confirmed events is removed at the next start");
        }
    }

    /// Cuts files back to what is confirmed, where that failed before.
    fn restore(&mut self) -> Result<(), BucketError> {
        let mut sealed = Vec::new();
        for (place, file) in &mut self.current {
            if file.is_stale() {
                file.restore(&self.store)?;
            }
            if file.is_sealed {
                sealed.push(place.clone());
            }
        }
        for place in sealed {
            self.finishing.extend(self.current.remove(&place));
        }
        Ok(())
    }

    fn roll_due(&mut self, now: SystemTime) {
        let rules = self.settings.roll;
        let due = self.current.extract_if(|_, file| file.is_due(&rules, millis(now)));
        self.finishing.extend(due.map(|(_, file)| file));
    }

    /// Gives finished files their names; those that cannot get one now stay.
    fn finish_all(&mut self) -> Result<(), BucketError> {
        let mut last_error = None;
        for mut file in mem::take(&mut self.finishing) {
            if let Err(error) = self.finish(&mut file) {
                last_error = Some(error);
                self.finishing.push(file);
            }
        }
        last_error.map_or(Ok(()), Err)
    }

    fn finish(&mut self, file: &mut OpenFile<S>) -> Result<(), BucketError> {
        if self.is_durable()
            && !file.is_sealed
            && !file.is_given_up
            && let Err(error) = file.sync(&self.store)
        {
            // Syncing again would prove nothing. The file is what it is, and gets its name.
            tracing::error!(%error, "a finished file may be incomplete after a power failure");
            file.is_given_up |= !S::CUTS;
        }
        if !file.is_given_up {
            file.release(&self.store)?;
        }
        let path = &file.paths.in_progress;
        if file.is_given_up {
            file.give_up();
            let path = &file.paths.in_progress;
            let bytes = file.confirmed_bytes();
            match recovery::complete(&file.paths, bytes, self.framing, true, &self.store)? {
                Some(_) => {}
                None => return Err(BucketError::Unsettled { path: path.clone() }),
            }
        } else {
            match names::finish(&file.paths, self.is_durable(), &self.store) {
                Err(BucketError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    tracing::error!(file = %path.display(), "a file in progress was removed by somebody else");
                }
                named => drop(named?),
            }
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.closed(file.id)
        {
            // Recovery finds no such file and takes it for finished.
            tracing::warn!(%error, "a finished file stays in the journal");
        }
        Ok(())
    }
}

fn report_unnamed(error: &BucketError) {
    match error {
        // It takes its time, and is asked for with every batch.
        BucketError::Unsettled { .. } => tracing::debug!(%error, "a file has not got its name yet"),
        _ => tracing::warn!(%error, "a finished file has not got its name yet"),
    }
}

fn millis(now: SystemTime) -> u64 {
    let elapsed = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
