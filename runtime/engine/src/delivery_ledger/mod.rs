//! What a sink's runners note about deliveries, so that a crash neither changes the name of a delivery nor forgets that
//! one is decided.
//!
//! Before a batch goes to a sink that asks for names, its rows and its name are noted and synced; after a crash the same
//! rows are taken again as one batch, under that name. For a sink that delivers in two phases the sync comes later, with the
//! tokens: from then on the delivery is decided. A note of a decided delivery stays until the channel's own
//! record of the take is durable, because rows that come again without it would be delivered again. One file
//! for each runner of the sink.

mod log;
mod note;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use millrace_core::{Batch, Channel, ChannelError, DeliveryToken, TakeTransaction};
use millrace_storage::Disk;
use parking_lot::Mutex;

use log::{NoteLog, read_all};
pub(crate) use note::Note;

/// The notes of one runner.
pub(crate) struct Ledger {
    shared: Arc<Shared>,
    log: Arc<Mutex<NoteLog>>,
}

/// What the runners of a sink have in common.
struct Shared {
    /// What the last run of the agent left, of all runners, oldest first.
    left: tokio::sync::Mutex<Vec<Note>>,
    /// Whether there is nothing left.
    resumed: AtomicBool,
    serial: AtomicU64,
}

/// A batch that the last run of the agent did not finish.
pub(crate) struct Resumed {
    pub(crate) transaction: Box<dyn TakeTransaction>,
    pub(crate) batch: Batch,
    pub(crate) note: Note,
}

impl Ledger {
    /// The ledgers of all runners of a sink. Notes that cannot be read are left out: their batches get new names. Those
    /// of runners that are no more go to the first one.
    pub(crate) fn open(disk: &Arc<dyn Disk>, folder: &Path, runners: usize) -> Vec<Self> {
        let mut logs: Vec<NoteLog> = (0..runners)
            .map(|number| NoteLog::new(Arc::clone(disk), folder.join(format!("delivery-{number}.json"))))
            .collect();
        let mut left = Vec::new();
        let mut serial = 0;
        for (number, path, note) in read_all(&**disk, folder) {
            serial = serial.max(note.serial);
            left.extend(note.is_numbered().then(|| note.clone()));
            if let Some(log) = logs.get_mut(if number < runners { number } else { 0 }) {
                let from = (log.path() != path).then_some(path);
                log.adopt(note, from);
            }
        }
        left.sort_by_key(|note| note.taken().map(|taken| taken.first));
        let shared =
            Arc::new(Shared { resumed: left.is_empty().into(), left: left.into(), serial: serial.into() });
        logs.into_iter()
            .map(|log| Self { shared: Arc::clone(&shared), log: Arc::new(Mutex::new(log)) })
            .collect()
    }

    /// What was prepared and not committed before the agent ended, oldest first.
    pub(crate) fn tokens(&self) -> Vec<DeliveryToken> {
        self.log.lock().kept().iter().flat_map(|note| note.tokens().iter().cloned()).collect()
    }

    /// All of that is settled.
    pub(crate) async fn recovered(&self) -> io::Result<()> {
        let mut settled = Vec::new();
        for note in self.log.lock().kept().iter_mut().filter(|note| !note.tokens().is_empty()) {
            settled.push(note.clone());
            note.settled();
        }
        if settled.is_empty() {
            return Ok(());
        }
        for note in self.shared.left.lock().await.iter_mut() {
            if settled.iter().any(|settled| settled.is_about_the_same(note)) {
                note.settled();
            }
        }
        self.blocking(NoteLog::begin).await
    }

    /// Takes a batch that was not finished, exactly as it was. None: there is none any more. Runners take their turns, and
    /// none gets other rows before all of these are taken.
    pub(crate) async fn resume(&self, channel: &dyn Channel) -> Result<Option<Resumed>, ChannelError> {
        if self.shared.resumed.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut left = self.shared.left.lock().await;
        let mut at = 0;
        while let Some(note) = left.get(at).cloned() {
            let mut transaction = channel.begin_take().await?;
            let again = match note.taken() {
                Some(taken) => transaction.take_again(taken).await?,
                None => None,
            };
            let Some(batch) = again else {
                at += 1;
                continue;
            };
            if !note.fits(&batch) {
                tracing::warn!(
                    "a delivery was noted for other events than those in its place; they are delivered"
                );
                transaction.rollback();
                left.remove(at);
                continue;
            }
            let mut note = note;
            if let Err(error) = self.append(&mut note, true).await {
                tracing::warn!(%error, "a delivery that is resumed could not be noted again");
            }
            left.remove(at);
            return Ok(Some(Resumed { transaction, batch, note }));
        }
        // The others were finished after all.
        left.clear();
        self.shared.resumed.store(true, Ordering::Release);
        Ok(None)
    }

    /// Its rows come again: they are taken as this batch.
    pub(crate) async fn comes_again(&self, note: Note) {
        let mut left = self.shared.left.lock().await;
        left.insert(0, note);
        self.shared.resumed.store(false, Ordering::Release);
    }

    /// Writes a note down; `durable`: it survives a loss of power, too.
    pub(crate) async fn write(
        &self,
        note: &mut Note,
        durable: bool,
        channel: &dyn Channel,
    ) -> io::Result<()> {
        if self.log.lock().is_full() {
            self.forget_past(channel).await;
        }
        self.append(note, durable).await
    }

    async fn append(&self, note: &mut Note, durable: bool) -> io::Result<()> {
        note.serial = self.shared.serial.fetch_add(1, Ordering::Relaxed) + 1;
        let note = note.clone();
        self.blocking(move |log| log.append(&note, durable)).await
    }

    /// Forgets deliveries that cannot come again: their takes are committed, and durable from now on.
    async fn forget_past(&self, channel: &dyn Channel) {
        if let Err(error) = channel.sync_takes().await {
            tracing::warn!(%error, "deliveries may be repeated after a power failure");
        }
        let left = self.shared.left.lock().await;
        let mut log = self.log.lock();
        let kept = log.kept();
        let last = kept.pop();
        kept.retain(|note| !note.tokens().is_empty() || left.iter().any(|left| left.is_about_the_same(note)));
        kept.extend(last);
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&mut NoteLog) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let log = Arc::clone(&self.log);
        let done = tokio::task::spawn_blocking(move || work(&mut log.lock()));
        done.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// A runner that is given up may leave a write behind that has not begun: it must not overtake those of its successor.
impl Drop for Ledger {
    fn drop(&mut self) {
        self.log.lock().close();
    }
}
