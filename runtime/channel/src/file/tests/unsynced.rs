//! A sync that failed, then a new start, then a power failure: what the start took over is there afterwards.
//!
//! After a failed sync the frames are still in the machine's memory, where a new start finds them whole, but they are
//! not dirty any more, so that a second sync writes nothing and succeeds.

use std::{io::ErrorKind, sync::Arc};

use millrace_core::{Channel, PositionUpdate};
use millrace_testkit::{
    Call, FakeDisk,
    channel_suite::{batch, drain, ok, put},
};

use super::{kinds::Kind, suite::channel};
use crate::{FileChannel, FileOptions};

const SEEDS: u64 = 40;

async fn open(disk: &FakeDisk, kind: Kind) -> FileChannel {
    let options =
        kind.of(FileOptions { free_bytes_min: 0, cache_bytes_max: 0, ..FileOptions::new("/channel") });
    let channel = channel(&options, Arc::new(disk.clone()));
    ok(channel.open().await);
    channel
}

fn numbered(number: usize) -> millrace_core::Batch {
    let bodies = (number * 5..(number + 1) * 5).map(|event| format!("{event:0700}"));
    batch(bodies).with_position(PositionUpdate::set("web".into(), "at", number.to_string()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_start_found_behind_a_failed_sync_survives_a_power_failure() {
    for kind in Kind::DURABLE {
        let disk = FakeDisk::default();
        let channel = open(&disk, kind).await;
        ok(put(&channel, numbered(0)).await);
        disk.fail(Call::Sync, ErrorKind::Other, 1);
        assert!(put(&channel, numbered(1)).await.is_err(), "{kind:?}: the sync failed");

        let killed = disk.after_kill();
        let again = open(&killed, kind).await;
        let taken_over = usize::try_from(again.stats().events).unwrap_or(0);
        assert_eq!(taken_over, 10, "{kind:?}: the frame is whole in memory, so it counts");
        let at = again.positions("web").unwrap_or_default();
        assert_eq!(at.get(b"at".as_slice()).map(|at| at.to_vec()), Some(b"1".to_vec()), "{kind:?}");

        for seed in 0..SEEDS {
            let after = open(&killed.after_crash(seed), kind).await;
            let found: Vec<usize> =
                drain(&after, taken_over).await.iter().map(|body| ok(body.parse())).collect();
            assert_eq!(found, (0..10).collect::<Vec<_>>(), "{kind:?}, seed {seed}");
            assert_eq!(after.stats().damaged, 0, "{kind:?}, seed {seed}");
        }
    }
}
