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

use millrace_core::Clock;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::agent::AgentHandle;

/// A look without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that is still being written is left alone until it has been still for this long.
const STILL_FOR: Duration = Duration::from_millis(150);

/// The times of a file come from a clock of the kernel that lags behind by up to a tick.
const TICK: Duration = Duration::from_millis(10);

/// What tells two states of a file apart; None: there is none, or it is not the one that was read.
type State = Option<Stamp>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    /// Of the inode: that of a file renamed into place is new, whatever the file's own time is.
    changed: SystemTime,
    length: u64,
    inode: u64,
}

/// Reloads the agent whenever a file changes, until `stop` is cancelled. `read_at`: before the files of the plan that runs were
/// read, by `clock`; what has changed since then counts as a change.
pub async fn watch(
    agent: AgentHandle,
    files: impl Fn(&AgentHandle) -> Vec<PathBuf>,
    clock: Arc<dyn Clock>,
    read_at: SystemTime,
    stop: CancellationToken,
) {
    let hint = Arc::new(Notify::new());
    let mut watcher = hinting_watcher(&hint);
    let mut folders = Vec::new();
    let mut known = look(files(&agent)).await;
    known.values_mut().for_each(|state| *state = as_read(*state, read_at));
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
        let read_at = clock.now();
        agent.reload().await;
        // The new plan may have other files, and one may have changed while the reload ran.
        known = look(files(&agent))
            .await
            .into_iter()
            .map(|(path, state)| {
                let seen = now.get(&path).copied();
                (path, seen.unwrap_or_else(|| as_read(state, read_at)))
            })
            .collect();
    }
}

/// The state that was read: unknown if the file has changed since then.
fn as_read(state: State, read_at: SystemTime) -> State {
    state.filter(|stamp| stamp.changed + TICK < read_at)
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
    let since_epoch = Duration::new(
        u64::try_from(metadata.ctime()).unwrap_or(0),
        u32::try_from(metadata.ctime_nsec()).unwrap_or(0),
    );
    Some(Stamp {
        modified: metadata.modified().ok()?,
        changed: SystemTime::UNIX_EPOCH + since_epoch,
        length: metadata.len(),
        inode: metadata.ino(),
    })
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test makes the files that are looked at")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{as_read, state_of};

    #[test]
    fn a_file_that_changed_after_the_plan_was_read_is_not_the_one_that_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.kdl");
        assert_eq!(as_read(state_of(&path), SystemTime::now()), None);
        std::fs::write(&path, "old").unwrap();
        let state = state_of(&path);
        assert!(state.is_some());
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(as_read(state, later), state);
        let earlier = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(as_read(state, earlier), None);
        // A file with an old time of its own, renamed into place: only the inode tells.
        let aside = folder.path().join("aside");
        std::fs::write(&aside, "new").unwrap();
        let file = std::fs::File::options().write(true).open(&aside).unwrap();
        file.set_modified(earlier - Duration::from_secs(60)).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(as_read(state_of(&path), earlier), None);
    }
}
