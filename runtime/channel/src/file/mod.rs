//! A channel on disk: a segmented log with group commit. `FORMAT.md` is the authority on its files.
//!
//! A put is committed when its frame, with the positions of its source, is synced; all puts that wait at one
//! moment share one write and one sync. The queue holds pointers; the newest events are also kept in memory.
//! Takes are written down without a sync: losing one repeats events, never loses them. A checkpoint now and then
//! bounds what a start reads, and lets emptied segments go.
//!
//! | module | holds |
//! |---|---|
//! | `frame`, `payload` | the bytes of one entry, pure |
//! | `pack`, `seal`, `keys` | compression and encryption of payloads, and the keys for it |
//! | `coding` | what the frames of one file have in common: from payload to frame and back |
//! | `segment`, `scan` | one file of frames, and walking over it |
//! | `small_file` | files that are replaced as a whole, sealed or not |
//! | `writing` | how frames are written from now on |
//! | `log`, `take_log` | the files being written |
//! | `inbox`, `writer` | group commit on a thread of its own |
//! | `queue`, `cache` | what is in the channel: pointers, and the newest events |
//! | `states` | what components keep beside events |
//! | `checkpoint`, `cleaner` | what was in it at one moment; removing what that made superfluous |
//! | `replay`, `quarantine` | opening what a former run left; setting damage aside |
//! | `put`, `take`, `read` | transactions |

mod cache;
mod checkpoint;
mod cleaner;
mod coding;
mod error;
mod frame;
mod inbox;
mod keys;
mod log;
mod options;
mod pack;
mod payload;
mod put;
mod quarantine;
mod queue;
mod read;
mod replay;
mod scan;
mod seal;
mod segment;
mod shared;
mod small_file;
mod states;
mod take;
mod take_log;
mod writer;
mod writing;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use millrace_config::{Diagnostics, Section};
use millrace_core::{
    BuildContext, Channel, ChannelError, ChannelFactory, ChannelMetrics, ChannelStats, Clock, Positions,
    PutTransaction, Reconfigured, TakeTransaction, is_state_owner,
};
use millrace_storage::{Disk, SystemDisk};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub(crate) use self::options::OPTIONS;
use self::{
    cache::Cache,
    checkpoint::Place,
    cleaner::Cleaner,
    error::FileError,
    inbox::{Ending, Inbox},
    log::Log,
    put::FilePut,
    queue::Queue,
    replay::replay,
    segment::Segment,
    shared::{Phase, Shared, State},
    take::FileTake,
    take_log::TakeLog,
    writer::Writer,
    writing::Writing,
};
pub use self::{
    keys::{EncryptionOptions, KeySource},
    options::FileOptions,
    pack::Compression,
    writing::Sync,
};
use crate::{keep_alive::KeepAlive, room::Room};

pub(crate) const FACTORY: ChannelFactory = ChannelFactory {
    name: "file",
    summary: "Holds events on disk; a commit survives whatever happens to the process",
    options: OPTIONS,
    example: r#"file "durable" {
    capacity 2_000_000
    bytes "8GiB"
    compression "zstd"
    sync "commit"
    encryption active="2026-11" {
        key "2026-11" file="/etc/millrace/keys/2026-11"
        key "2026-05" env="MILLRACE_OLD_KEY"
    }
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Arc<dyn Channel>, Diagnostics> {
    let options = FileOptions::from_section(section, cx.data_dir.clone())?;
    let metrics = cx.metrics.channel(&cx.component);
    let disk = Arc::new(SystemDisk);
    Ok(Arc::new(FileChannel::new(&cx.component, &options, disk, Arc::clone(&cx.clock), metrics)))
}

/// A channel on disk.
pub struct FileChannel {
    shared: Arc<Shared>,
    options: Mutex<FileOptions>,
    /// The default directory, to which options without one refer.
    default_directory: std::path::PathBuf,
    thread: Mutex<Option<JoinHandle<Result<(), FileError>>>>,
}

impl FileChannel {
    /// A channel that is still to be opened.
    pub fn new(
        name: &str,
        options: &FileOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        metrics: ChannelMetrics,
    ) -> Self {
        let state = State {
            phase: Phase::New,
            queue: Queue::default(),
            cache: Cache::new(usize::try_from(options.cache_bytes_max).unwrap_or(usize::MAX)),
            live: BTreeMap::new(),
            positions: BTreeMap::new(),
            place: Place::default(),
        };
        let shared = Shared {
            name: name.to_owned(),
            disk,
            directory: options.directory.clone(),
            segment_bytes: options.segment_bytes,
            free_bytes_min: AtomicU64::new(options.free_bytes_min),
            // What the options say is read when the channel opens: keys may be missing.
            writing: RwLock::default(),
            rekey: AtomicBool::new(false),
            room: Room::new(options.limit()),
            keep_alive: KeepAlive::new(options.keep_alive),
            state: Mutex::new(state),
            changed: Notify::new(),
            inbox: Inbox::default(),
            segments: RwLock::new(HashMap::new()),
            states: Mutex::default(),
            takes: Mutex::new(None),
            lock: Mutex::new(None),
            disk_full: AtomicBool::new(false),
            damaged: AtomicU64::new(0),
            clock,
            metrics,
        };
        Self {
            shared: Arc::new(shared),
            options: Mutex::new(options.clone()),
            default_directory: options.directory.clone(),
            thread: Mutex::new(None),
        }
    }

    /// Takes over other options as far as that is possible while the channel is open.
    pub fn apply(&self, new: FileOptions) -> Reconfigured {
        let mut options = self.options.lock();
        if let Some(reason) = options.refusal(&new) {
            return Reconfigured::Refused(reason);
        }
        if new.writing() != options.writing()
            && let Err(reason) = self.rewrite(&new)
        {
            return Reconfigured::Refused(reason);
        }
        self.shared.keep_alive.set(new.keep_alive);
        self.shared.room.set_limit(new.limit());
        self.shared.free_bytes_min.store(new.free_bytes_min, Ordering::Relaxed);
        let cache_bytes_max = usize::try_from(new.cache_bytes_max).unwrap_or(usize::MAX);
        self.shared.state.lock().cache.set_bytes_max(cache_bytes_max);
        *options = new;
        Reconfigured::Applied
    }

    /// Writes as other options say from the next commit on. Refused while a file needs a key that would be gone.
    fn rewrite(&self, new: &FileOptions) -> Result<(), String> {
        let writing = Writing::of(new).map_err(|error| error.to_string())?;
        let check = |segment: &Segment| match &segment.head.seal {
            Some(seal) => seal.check(&writing.ring).map_err(|error| error.in_file(&segment.path).to_string()),
            None => Ok(()),
        };
        self.shared.segments.read().values().try_for_each(|segment| check(segment))?;
        let mut takes = self.shared.takes.lock();
        takes.as_ref().and_then(TakeLog::current_seal).map_or(Ok(()), |file| check(file))?;
        let writing = Arc::new(writing);
        if let Some(takes) = takes.as_mut() {
            takes.writing = Arc::clone(&writing);
        }
        drop(takes);
        let before = std::mem::replace(&mut *self.shared.writing.write(), writing);
        if before.ring.active_id() != new.encryption.active.as_deref() {
            self.shared.rekey.store(true, Ordering::Relaxed);
            self.shared.inbox.clean();
        }
        Ok(())
    }

    /// Lets go of everything, with or without a last checkpoint. Blocks.
    fn end(
        shared: &Shared,
        thread: Option<JoinHandle<Result<(), FileError>>>,
        ending: Ending,
    ) -> Result<(), FileError> {
        shared.inbox.end(ending);
        let ended = match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(FileError::NotOpen),
        };
        shared.segments.write().clear();
        *shared.takes.lock() = None;
        *shared.lock.lock() = None;
        ended
    }

    fn shut(&self) {
        let state = &mut *self.shared.state.lock();
        state.phase = Phase::Closed;
        state.cache.clear();
        self.shared.room.close();
        self.shared.changed.notify_waiters();
    }
}

/// Recovers the channel and starts its thread. Blocks.
fn open(shared: &Arc<Shared>, options: &FileOptions) -> Result<JoinHandle<Result<(), FileError>>, FileError> {
    let writing = Arc::new(Writing::of(options)?);
    *shared.writing.write() = Arc::clone(&writing);
    let (disk, directory) = (&shared.disk, &shared.directory);
    disk.create_dir(directory)
        .map_err(|error| FileError::io(format!("{}: create", directory.display()), error))?;
    let guard = disk.lock(directory).map_err(|error| FileError::Locked(Arc::new(error)))?;
    let replayed = replay(disk.as_ref(), directory, &shared.name, &writing.ring)?;
    *shared.lock.lock() = Some(guard);
    let next = (replayed.next_segment, replayed.next_sequence);
    let (salt, segment_bytes) = (replayed.salt, shared.segment_bytes);
    let mut log =
        Log::new(Arc::clone(disk), directory.clone(), segment_bytes, salt, next, Arc::clone(&writing));
    let takes = TakeLog::new(Arc::clone(disk), directory.clone(), salt, replayed.next_takes, writing);
    *shared.takes.lock() = Some(takes);
    *shared.segments.write() = replayed.segments;
    shared.count_damaged(replayed.damaged);
    *shared.states.lock() = replayed.states;
    {
        let state = &mut *shared.state.lock();
        state.live = replayed.live;
        state.positions = replayed.positions;
        state.place = replayed.place;
        replayed.parts.into_iter().for_each(|part| state.queue.add(part));
        shared.room.occupy(state.queue.held());
    }
    if replayed.changed {
        let mut cleaner = Cleaner::default();
        if let Err(error) = cleaner.checkpoint(shared, &mut log) {
            tracing::warn!(channel = shared.name, %error, "no checkpoint after opening");
        }
    }
    let writer = Writer::new(Arc::clone(shared), log);
    let thread = std::thread::Builder::new().name(format!("log {}", shared.name)).spawn(move || writer.run());
    let thread = thread.map_err(|error| FileError::io("start the log thread", error))?;
    shared.state.lock().phase = Phase::Open;
    Ok(thread)
}

#[async_trait]
impl Channel for FileChannel {
    async fn open(&self) -> Result<(), ChannelError> {
        let shared = Arc::clone(&self.shared);
        let options = self.options.lock().clone();
        let opened = tokio::task::spawn_blocking(move || {
            let opened = open(&shared, &options);
            if opened.is_err() {
                *shared.lock.lock() = None;
            }
            opened
        });
        let opened = opened.await.unwrap_or(Err(FileError::NotOpen));
        let thread = opened.map_err(|error| error.of_channel(&self.shared.name))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        if !self.shared.is_open() {
            return Err(self.shared.closed());
        }
        Ok(Box::new(FilePut::new(Arc::clone(&self.shared))))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        if !self.shared.is_open() {
            return Err(self.shared.closed());
        }
        Ok(Box::new(FileTake::new(Arc::clone(&self.shared))))
    }

    fn stats(&self) -> ChannelStats {
        let (_, limit) = self.shared.room.used_and_limit();
        let (held, oldest) = {
            let state = self.shared.state.lock();
            (state.queue.held(), state.queue.oldest())
        };
        ChannelStats {
            events: held.events,
            bytes: held.bytes,
            events_max: limit.events,
            bytes_max: limit.bytes,
            oldest_age: oldest
                .map(|at| Duration::from_millis(self.shared.clock.unix_millis().saturating_sub(at))),
            damaged: self.shared.damaged.load(Ordering::Relaxed),
        }
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn positions(&self, source: &str) -> Option<Positions> {
        if is_state_owner(source) {
            return Some(self.shared.states.lock().claim(source, self.shared.clock.unix_millis()));
        }
        Some(self.shared.state.lock().positions.get(source).cloned().unwrap_or_default())
    }

    async fn sync_takes(&self) -> Result<(), ChannelError> {
        let shared = Arc::clone(&self.shared);
        let synced = tokio::task::spawn_blocking(move || shared.sync_takes());
        let synced = synced.await.unwrap_or(Err(FileError::NotOpen));
        synced.map_err(|error| error.of_channel(&self.shared.name))
    }

    fn reconfigure(&self, options: &Section) -> Reconfigured {
        match FileOptions::from_section(options, self.default_directory.clone()) {
            Ok(options) => self.apply(options),
            Err(findings) => {
                let reasons: Vec<String> = findings.iter().map(|finding| finding.reason.clone()).collect();
                Reconfigured::Refused(reasons.join("; "))
            }
        }
    }

    async fn close(&self) -> Result<(), ChannelError> {
        self.shut();
        let thread = self.thread.lock().take();
        let shared = Arc::clone(&self.shared);
        let ended = tokio::task::spawn_blocking(move || Self::end(&shared, thread, Ending::Close));
        let ended = ended.await.unwrap_or(Err(FileError::NotOpen));
        ended.map_err(|error| error.of_channel(&self.shared.name))
    }
}

/// Dropped without closing, it leaves what a killed process would.
impl Drop for FileChannel {
    fn drop(&mut self) {
        self.shut();
        let thread = self.thread.lock().take();
        if let Err(error) = Self::end(&self.shared, thread, Ending::Abandon) {
            tracing::warn!(channel = self.shared.name, %error, "the log thread ended with an error");
        }
    }
}
