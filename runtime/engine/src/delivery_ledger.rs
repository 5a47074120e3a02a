//! Names for deliveries that a restart does not change: before a batch goes to a sink that asks for names, its rows
//! and its name are noted in a small file; after a crash the same rows are taken again as one batch, under that name.
//!
//! The note is written and renamed without a sync: it survives the process, and what a loss of power takes is the
//! name, never an event. One file for each runner of the sink.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use millrace_core::{Batch, BatchLimit, Channel, ChannelError, Delivery, TakeTransaction, Taken};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long a take waits for the rows of a note: all of them are in the channel already. Shorter than the time after
/// which a runner without work gives up waiting.
const RESUME_WAIT: Duration = Duration::from_millis(200);

/// What is noted about a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    id: String,
    /// Of the last attempt.
    attempt: u32,
    /// The rows of the batch; None: its channel does not number them, so there is no resuming.
    taken: Option<Taken>,
    /// Which of these rows are delivered under this id, where others were delivered before. None: all.
    pub(crate) rows: Option<Vec<u32>>,
}

impl Note {
    /// A new name for all rows, or for some of them.
    pub(crate) fn new(taken: Option<Taken>, rows: Option<Vec<u32>>) -> Self {
        Self { id: Uuid::new_v4().to_string(), attempt: 0, taken, rows }
    }

    /// The next name, for the rows that are left.
    pub(crate) fn renamed(&self, rows: Vec<u32>) -> Self {
        Self::new(self.taken, Some(rows))
    }

    /// The part of the batch that is to be delivered, with its name and the number of this attempt.
    pub(crate) fn named(&mut self, batch: &Batch) -> Batch {
        self.attempt = self.attempt.saturating_add(1);
        let part = match &self.rows {
            None => batch.clone(),
            Some(rows) => {
                let events = rows.iter().filter_map(|row| batch.events().get(*row as usize).cloned());
                Batch::new(events.collect())
            }
        };
        part.with_delivery(Delivery { id: self.id.as_str().into(), attempt: self.attempt })
    }
}

/// The notes of one runner.
pub(crate) struct Ledger {
    path: PathBuf,
    /// What the last run of the agent left, of all runners of the sink, oldest first.
    left: Arc<Mutex<VecDeque<Note>>>,
}

/// A batch that the last run of the agent did not finish.
pub(crate) struct Resumed {
    pub(crate) transaction: Box<dyn TakeTransaction>,
    pub(crate) batch: Batch,
    pub(crate) note: Note,
}

impl Ledger {
    /// The ledgers of all runners of a sink. Notes that cannot be read are left out: their batches get new names.
    pub(crate) fn open(folder: &Path, runners: usize) -> Vec<Self> {
        let mut left = read_all(folder);
        left.sort_by_key(|note| note.taken.map(|taken| taken.first));
        let left = Arc::new(Mutex::new(VecDeque::from(left)));
        (0..runners)
            .map(|number| Self {
                path: folder.join(format!("delivery-{number}.json")),
                left: Arc::clone(&left),
            })
            .collect()
    }

    /// Takes the oldest batch that was not finished, exactly as it was. None: there is none any more. Runners take
    /// their turns: the rows come from the head of the channel, so the older batch has to be taken first.
    pub(crate) async fn resume(&self, channel: &dyn Channel) -> Result<Option<Resumed>, ChannelError> {
        let mut left = self.left.lock().await;
        while let Some(note) = left.front() {
            let Some(taken) = note.taken.filter(|_| channel.stats().events > 0) else {
                left.pop_front();
                continue;
            };
            let limit = BatchLimit {
                events_max: usize::try_from(taken.events).unwrap_or(usize::MAX),
                bytes_max: usize::MAX,
                wait_max: RESUME_WAIT,
            };
            let mut transaction = channel.begin_take().await?;
            let batch = transaction.take(limit).await?;
            let Some(note) = left.pop_front() else { break };
            if transaction.taken() == Some(taken) {
                return Ok(Some(Resumed { transaction, batch, note }));
            }
            // It was finished after all.
            transaction.rollback();
        }
        Ok(None)
    }

    /// Writes the note down. Without it the delivery would only have no name after a crash, so an error is reported
    /// and does not keep a batch from being delivered.
    pub(crate) async fn write(&self, note: &Note) {
        if note.taken.is_none() {
            return;
        }
        let (path, note) = (self.path.clone(), note.clone());
        let written =
            tokio::task::spawn_blocking(move || replace(&path, &note).map_err(|error| (path, error)));
        if let Ok(Err((path, error))) = written.await {
            tracing::warn!(path = %path.display(), %error, "a delivery could not be noted; after a crash it gets another id");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a few bytes that need no sync, see above")]
fn replace(path: &Path, note: &Note) -> io::Result<()> {
    let content = serde_json::to_vec(note)?;
    let beside = path.with_extension("new");
    match std::fs::write(&beside, &content) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&beside, content)?;
        }
        written => written?,
    }
    std::fs::rename(beside, path)
}

#[expect(clippy::disallowed_methods, reason = "the files that `replace` writes")]
fn read_all(folder: &Path) -> Vec<Note> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut notes = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with("delivery-") && name.ends_with(".json")) {
            continue;
        }
        match std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?)) {
            Ok(note) => notes.push(note),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a delivery's note cannot be read; it gets another id");
            }
        }
    }
    notes
}
