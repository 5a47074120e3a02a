//! Files that were written once, by the version that first wrote their kind, are still opened.

#![expect(clippy::disallowed_methods, reason = "files from the repository are looked at as they are")]

use std::{path::Path, sync::Arc};

use millrace_core::{Channel, PipelineChannel, StateStores};
use millrace_storage::SystemDisk;
use millrace_testkit::{
    TestClock,
    channel_suite::{batch, ok, put, take},
};

use super::{
    kinds::{Kind, formats},
    suite::{channel, options},
};
use crate::FileChannel;

const EVENTS: usize = 60;
const TAKEN: usize = 13;

fn body(event: usize) -> String {
    format!("event {event} of a file that was written once, and some words more so that it may be packed; ")
        .repeat(3)
}

/// What is in each of the folders: segments of three runs, the last of which was killed; takes of the first rows,
/// positions and a state.
async fn check(folder: &str, kind: Kind) {
    let directory = ok(tempfile::tempdir());
    for entry in ok(std::fs::read_dir(formats().join(folder))) {
        let entry = ok(entry);
        ok(std::fs::copy(entry.path(), directory.path().join(entry.file_name())));
    }
    let channel = open(directory.path(), kind).await;
    assert_eq!(channel.stats().damaged, 0, "{folder}");
    let position = channel.positions("web").unwrap_or_default();
    assert_eq!(position[b"at".as_slice()], (EVENTS - 5).to_string(), "{folder}");
    let (store, _pipeline) = state(&channel);
    let counted = ok(store.begin(&mut batch([0])).await.increment("events", 0));
    assert_eq!(counted, i64::try_from(EVENTS).unwrap(), "{folder}");
    let mut found = Vec::new();
    while channel.stats().events > 0 {
        let (open, events) = take(&*channel, 7).await;
        ok(open.commit().await);
        found.extend(events);
    }
    assert_eq!(found, (TAKEN..EVENTS).map(body).collect::<Vec<_>>(), "{folder}");
    // And it is written on.
    ok(put(&*channel, batch(["new"])).await);
    ok(channel.close().await);
}

async fn open(directory: &Path, kind: Kind) -> Arc<FileChannel> {
    let options = kind.of(options(directory));
    let channel = channel(&options, Arc::new(SystemDisk));
    ok(channel.open().await);
    Arc::new(channel)
}

fn state(channel: &Arc<FileChannel>) -> (Arc<millrace_core::StateStore>, PipelineChannel) {
    let store = StateStores::new(Arc::new(TestClock::at(0))).interceptor("web/count", 1 << 20);
    let channel: Arc<dyn Channel> = Arc::clone(channel) as _;
    let pipeline = PipelineChannel { name: "test".into(), channel };
    store.load(Some(&pipeline), &[]);
    (store, pipeline)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_earlier_versions_are_opened() {
    for (folder, kind) in [
        ("file-channel-1", Kind::Plain),
        ("file-channel-1-packed", Kind::Packed),
        ("file-channel-1-sealed", Kind::Both),
    ] {
        check(folder, kind).await;
    }
}
