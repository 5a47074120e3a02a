//! Taking exactly the rows of an earlier take again.

use std::sync::Arc;

use millrace_core::{Batch, BatchLimit, Channel, TakeTransaction, Taken};
use millrace_testkit::{
    FakeDisk,
    channel_suite::{batch, ok, put},
};

use super::{kinds::Kind, suite::channel};
use crate::FileOptions;

fn bodies(batch: &Batch) -> Vec<String> {
    batch.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
}

async fn take(channel: &dyn Channel, count: usize) -> (Box<dyn TakeTransaction>, Vec<String>) {
    let mut open = ok(channel.begin_take().await);
    let limit = BatchLimit { events_max: count, ..BatchLimit::default() };
    let taken = ok(open.take(limit).await);
    (open, bodies(&taken))
}

async fn again(channel: &dyn Channel, taken: Taken) -> Option<(Box<dyn TakeTransaction>, Vec<String>)> {
    let mut open = ok(channel.begin_take().await);
    let batch = ok(open.take_again(taken).await)?;
    assert_eq!(open.taken(), Some(taken));
    Some((open, bodies(&batch)))
}

#[tokio::test]
async fn rows_in_the_middle_of_a_put_are_taken_again_and_nothing_else() {
    let caches = [0, 1 << 20];
    for (kind, cache_bytes_max) in Kind::ALL.into_iter().flat_map(|kind| caches.map(|cache| (kind, cache))) {
        let options =
            kind.of(FileOptions { cache_bytes_max, free_bytes_min: 0, ..FileOptions::new("/channel") });
        let channel = channel(&options, Arc::new(FakeDisk::default()));
        ok(channel.open().await);
        for start in [0, 5] {
            ok(put(&channel, batch((start..start + 5).map(|event| event.to_string()))).await);
        }
        // Two workers: one has 0 1 2, the other 3 4 5, then the first one 6 7.
        let (first, _) = take(&channel, 3).await;
        let (second, _) = take(&channel, 3).await;
        let middle = second.taken().unwrap();
        first.rollback();
        let (gap, events) = take(&channel, 5).await;
        assert_eq!(events, ["0", "1", "2", "6", "7"]);
        let around = gap.taken().unwrap();
        assert!(again(&channel, middle).await.is_none(), "they are taken");
        second.rollback();
        gap.rollback();
        // While the middle is there, the rows around it are other rows.
        assert!(again(&channel, around).await.is_none());
        let (held, events) = again(&channel, middle).await.unwrap();
        assert_eq!(events, ["3", "4", "5"]);
        let (rest, events) = again(&channel, around).await.unwrap();
        assert_eq!(events, ["0", "1", "2", "6", "7"]);
        rest.rollback();
        ok(held.commit().await);
        assert!(again(&channel, middle).await.is_none(), "they are gone");
        let (rest, events) = take(&channel, 100).await;
        assert_eq!(events, ["0", "1", "2", "6", "7", "8", "9"]);
        ok(rest.commit().await);
        ok(channel.sync_takes().await);
        assert_eq!((channel.stats().events, channel.stats().bytes), (0, 0));
        ok(channel.close().await);
    }
}
