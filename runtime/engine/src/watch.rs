//! Watches the files a plan was made from (the configuration, its includes, every plugin) and reloads when one
//! of them changes.
//!
//! The system's notifications are only a hint: network file systems and full queues lose them. Every look
//! compares what the files are now with what they were, and there is a look every few seconds in any case.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::agent::AgentHandle;

/// A look without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that is still being written is left alone until it has been still for this long.
const STILL_FOR: Duration = Duration::from_millis(150);

/// What tells two states of a file apart.
type State = Option<(SystemTime, u64, u64)>;

/// Reloads the agent whenever a file changes, until `stop` is cancelled.
pub async fn watch(
    agent: AgentHandle,
    files: impl Fn(&AgentHandle) -> Vec<PathBuf>,
    stop: CancellationToken,
) {
    let hint = Arc::new(Notify::new());
    let mut watcher = hinting_watcher(&hint);
    let mut folders = Vec::new();
    let mut known = look(files(&agent)).await;
    loop {
        follow(watcher.as_mut(), &mut folders, known.keys());
        tokio::select! {
            () = stop.cancelled() => return,
            () = hint.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let mut now = look(files(&agent)).await;
        if now == known {
            continue;
        }
        loop {
            tokio::time::sleep(STILL_FOR).await;
            let later = look(files(&agent)).await;
            if later == now {
                break;
            }
            now = later;
        }
        agent.reload().await;
        // The new plan may have other files, and one may have changed while the reload ran.
        known = look(files(&agent))
            .await
            .into_iter()
            .map(|(path, state)| {
                let seen = now.get(&path).copied();
                (path, seen.unwrap_or(state))
            })
            .collect();
    }
}

async fn look(paths: Vec<PathBuf>) -> BTreeMap<PathBuf, State> {
    let states = tokio::task::spawn_blocking(move || {
        paths
            .into_iter()
            .map(|path| {
                let state = state_of(&path);
                (path, state)
            })
            .collect()
    });
    states.await.unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "what is watched are files that the user names")]
fn state_of(path: &Path) -> State {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn hinting_watcher(hint: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let hint = Arc::clone(hint);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            hint.notify_one();
        }
    });
    watcher
        .inspect_err(|error| tracing::warn!(%error, "no file notifications; looking every two seconds"))
        .ok()
}

/// Watches folders, not files: editors and builds replace files by renaming.
fn follow<'a>(
    watcher: Option<&mut RecommendedWatcher>,
    folders: &mut Vec<PathBuf>,
    paths: impl Iterator<Item = &'a PathBuf>,
) {
    let Some(watcher) = watcher else { return };
    for path in paths {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if folders.iter().any(|known| known == folder) {
            continue;
        }
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::debug!(folder = %folder.display(), %error, "no notifications for this folder");
            continue;
        }
        folders.push(folder.to_owned());
    }
}
