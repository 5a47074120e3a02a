//! What the system tells of changes in directories: a reason to look sooner, never the only reason to look.
//!
//! Watches may be refused, lost or late (network file systems have none); then the files are found by polling.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::Notify;

/// More directories than this are polled only.
const DIRECTORIES_MAX: usize = 1024;

/// Watches on directories.
#[derive(Default)]
pub(super) struct Hints {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    rescan: Arc<AtomicBool>,
}

impl Hints {
    /// Hints that wake whoever waits on `changed`; none where the system has no watches.
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        let rescan = Arc::new(AtomicBool::new(false));
        let names_changed = Arc::clone(&rescan);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event.map(|event| event.kind) {
                // Our own opening and reading must not wake us.
                Ok(EventKind::Access(kind)) if kind != AccessKind::Close(AccessMode::Write) => return,
                Ok(
                    EventKind::Access(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)),
                ) => {}
                Ok(_) | Err(_) => names_changed.store(true, Ordering::Release),
            }
            changed.notify_one();
        });
        if let Err(error) = &watcher {
            tracing::debug!(%error, "no watches, polling only");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new(), rescan }
    }

    /// Whether names have changed since the last call.
    pub(super) fn take_rescan(&self) -> bool {
        self.rescan.swap(false, Ordering::AcqRel)
    }

    /// Watches these directories and no others.
    pub(super) fn watch(&mut self, directories: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let gone: Vec<PathBuf> = self.watched.difference(directories).cloned().collect();
        for directory in gone {
            // The directory may be gone, and its watch with it.
            drop(watcher.unwatch(&directory));
            self.watched.remove(&directory);
        }
        for directory in directories {
            if self.watched.len() >= DIRECTORIES_MAX {
                break;
            }
            if !self.watched.contains(directory)
                && watcher.watch(directory, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(directory.clone());
            }
        }
    }
}
