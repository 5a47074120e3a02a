use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{STATE_ENTRY_BYTES, StateError, StateStore, StateStores};
use crate::{Batch, Clock, Event};

#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn store(bytes_max: u64) -> (Arc<StateStore>, Hands) {
    let clock = Hands::default();
    clock.0.store(1_000, Ordering::SeqCst);
    (StateStores::new(Arc::new(clock.clone())).interceptor("web/count", bytes_max), clock)
}

fn batch() -> Batch {
    Batch::new(vec![Event::new("x")])
}

fn texts(keys: Vec<bytes::Bytes>) -> Vec<String> {
    keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

/// Sets keys in one batch and commits them in memory.
async fn commit(store: &Arc<StateStore>, keys: &[&str]) {
    let mut batch = batch();
    let mut transaction = store.begin(&mut batch).await;
    for key in keys {
        transaction.set(key, key.as_bytes(), None).unwrap();
    }
    transaction.keep_call();
    transaction.finish(&mut batch);
    batch.states().iter().for_each(|writes| writes.committed(None));
}

#[tokio::test]
async fn a_call_reads_its_own_writes_and_a_broken_one_leaves_none() {
    let (store, _) = store(1 << 20);
    let mut batch = batch();
    let mut transaction = store.begin(&mut batch).await;
    transaction.set("a", b"1", None).unwrap();
    assert_eq!(transaction.value("a").unwrap(), "1");
    assert_eq!(transaction.increment("n", -3).unwrap(), -3);
    transaction.keep_call();
    transaction.set("a", b"2", None).unwrap();
    transaction.delete("n");
    assert_eq!((transaction.value("a").unwrap().as_ref(), transaction.value("n")), (&b"2"[..], None));
    transaction.forget_call();
    assert_eq!(
        (transaction.value("a").unwrap().as_ref(), transaction.increment("n", 0)),
        (&b"1"[..], Ok(-3))
    );
    transaction.finish(&mut batch);
    let update = batch.states()[0].update_for("durable", BTreeMap::new);
    assert_eq!(update.source, "state:interceptor/web/count");
    assert_eq!(update.changes.len(), 2);
}

#[tokio::test]
async fn what_is_not_committed_vanishes_and_what_is_stays() {
    let (store, _) = store(1 << 20);
    let mut first = batch();
    let mut transaction = store.begin(&mut first).await;
    transaction.increment("n", 5).unwrap();
    transaction.keep_call();
    transaction.finish(&mut first);
    drop(first);
    for sum in [1, 2] {
        let mut next = batch();
        let mut transaction = store.begin(&mut next).await;
        assert_eq!(transaction.increment("n", 1).unwrap(), sum);
        transaction.keep_call();
        transaction.finish(&mut next);
        next.states()[0].committed(Some("durable"));
        next.states()[0].committed(Some("durable"));
    }
}

#[tokio::test]
async fn the_next_batch_waits_for_one_that_wrote_and_not_for_one_that_read() {
    let (store, _) = store(1 << 20);
    let mut first = batch();
    store.begin(&mut first).await.finish(&mut first);
    assert!(first.states().is_empty());
    let mut writer = batch();
    let mut transaction = store.begin(&mut writer).await;
    transaction.set("a", b"1", None).unwrap();
    transaction.keep_call();
    transaction.finish(&mut writer);
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.begin(&mut batch()).await.value("a") }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    // The batch of a put that nobody waits for any more still decides.
    let put = writer.states()[0].clone();
    drop(writer);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    put.committed(None);
    drop(put);
    assert_eq!(waiting.await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn components_of_one_source_share_its_turn_and_a_batch_takes_it_once() {
    let stores = StateStores::new(Arc::new(Hands::default()));
    let (first, second) = (stores.interceptor("web/a", 1 << 20), stores.interceptor("web/b", 1 << 20));
    let source = stores.source("web", 1 << 20);
    let mut batch = batch();
    for store in [&source, &first, &second, &first] {
        let mut transaction = store.begin(&mut batch).await;
        transaction.increment("n", 1).unwrap();
        transaction.keep_call();
        transaction.finish(&mut batch);
    }
    assert_eq!(batch.states().len(), 3);
    batch.states().iter().for_each(|writes| writes.committed(None));
    drop(batch);
    assert_eq!(first.begin(&mut Batch::default()).await.increment("n", 0), Ok(2));
    // Asking for the same state again gives the same one, and another source has a turn of its own.
    assert!(Arc::ptr_eq(&first, &stores.interceptor("web/a", 1 << 20)));
    let held = first.begin(&mut Batch::default()).await;
    stores.interceptor("other/a", 1).begin(&mut Batch::default()).await;
    stores.sink("web", 1).begin(&mut Batch::default()).await;
    drop(held);
}

#[tokio::test]
async fn keys_are_listed_in_order_across_what_is_committed_and_what_is_not() {
    let (store, _) = store(1 << 20);
    commit(&store, &["b", "p/1", "p/3", "p/5", "q"]).await;
    let mut transaction = store.begin(&mut batch()).await;
    transaction.set("p/2", b"", None).unwrap();
    transaction.keep_call();
    transaction.set("p/4", b"", None).unwrap();
    transaction.delete("p/3");
    assert_eq!(texts(transaction.keys("p/", None, 10)), ["p/1", "p/2", "p/4", "p/5"]);
    assert_eq!(texts(transaction.keys("p/", Some("p/2"), 1)), ["p/4"]);
    assert_eq!(texts(transaction.keys("", Some("a"), 2)), ["b", "p/1"]);
    assert_eq!(texts(transaction.keys("p/", Some("zz"), 2)), Vec::<String>::new());
    assert_eq!(texts(transaction.keys("p/", None, 0)), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_gone_and_makes_room() {
    let one = STATE_ENTRY_BYTES as u64 + 2;
    let (store, clock) = store(2 * one);
    let mut batch = batch();
    let mut transaction = store.begin(&mut batch).await;
    transaction.set("a", b"1", Some(500)).unwrap();
    transaction.set("b", b"1", None).unwrap();
    transaction.keep_call();
    transaction.finish(&mut batch);
    batch.states()[0].committed(Some("durable"));
    drop(batch);
    clock.0.store(1_499, Ordering::SeqCst);
    let mut next = Batch::default();
    let mut transaction = store.begin(&mut next).await;
    assert_eq!(transaction.value("a").unwrap(), "1");
    assert_eq!(transaction.set("c", b"1", None), Err(StateError::Quota { bytes_max: 2 * one }));
    clock.0.store(1_500, Ordering::SeqCst);
    assert_eq!(transaction.value("a"), None);
    assert_eq!(texts(transaction.keys("", None, 9)), ["b"]);
    transaction.set("c", b"1", None).unwrap();
    transaction.keep_call();
    transaction.finish(&mut next);
    // The channel hears of the key that goes, too.
    let update = next.states()[0].update_for("durable", BTreeMap::new);
    assert_eq!(update.changes.iter().map(|(_, value)| value.is_some()).collect::<Vec<_>>(), [false, true]);
    next.states()[0].committed(Some("durable"));
    assert_eq!(store.size(), (2 * one, 2));
}

#[tokio::test]
async fn limits_are_kept_to_the_byte_and_a_refused_write_changes_nothing() {
    let (store, _) = store(10 * STATE_ENTRY_BYTES as u64);
    let mut batch = batch();
    let mut transaction = store.begin(&mut batch).await;
    let key = "k".repeat(1025);
    assert!(matches!(transaction.set(&key, b"", None), Err(StateError::TooLarge { what: "key", .. })));
    assert!(matches!(transaction.increment(&key, 1), Err(StateError::TooLarge { what: "key", .. })));
    let value = vec![0; (1 << 20) + 1];
    assert!(matches!(transaction.set("a", &value, None), Err(StateError::TooLarge { what: "value", .. })));
    transaction.set("a", b"123", None).unwrap();
    assert_eq!(
        transaction.increment("a", 1),
        Err(StateError::TooLarge { what: "number", bytes: 3, wanted: 8 })
    );
    transaction.set("a", &vec![0; 9 * STATE_ENTRY_BYTES - 1], None).unwrap();
    assert!(matches!(transaction.set("b", b"", None), Err(StateError::Quota { .. })));
    // Smaller is always allowed, and makes room.
    transaction.set("a", b"", None).unwrap();
    transaction.set("b", b"", None).unwrap();
    assert_eq!(transaction.increment("wraps", i64::MAX).unwrap(), i64::MAX);
    assert_eq!(transaction.increment("wraps", 1).unwrap(), i64::MIN);
}

#[tokio::test]
async fn a_move_to_another_channel_takes_all_of_it_along() {
    let (store, _) = store(1 << 20);
    commit(&store, &["a", "b"]).await;
    let mut batch = batch();
    let mut transaction = store.begin(&mut batch).await;
    transaction.delete("a");
    transaction.set("c", b"new", None).unwrap();
    transaction.keep_call();
    transaction.finish(&mut batch);
    let stale = || BTreeMap::from([("b".into(), "old".into()), ("z".into(), "old".into())]);
    let update = batch.states()[0].update_for("durable", stale);
    let keys: Vec<_> = update
        .changes
        .iter()
        .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value.is_some()))
        .collect();
    assert_eq!(keys, [("a".into(), false), ("b".into(), true), ("c".into(), true), ("z".into(), false)]);
    batch.states()[0].committed(Some("durable"));
    drop(batch);
    let mut next = Batch::default();
    let mut transaction = store.begin(&mut next).await;
    transaction.set("d", b"", None).unwrap();
    transaction.keep_call();
    transaction.finish(&mut next);
    assert_eq!(next.states()[0].update_for("durable", stale).changes.len(), 1);
}
