//! What interceptors keep in their state: with the batch or not at all.

use std::sync::Arc;

use millrace_core::{Batch, Interceptor};

use crate::support::{Rig, Setup, batch, numbered, setup, shown};

/// The numbers that a counting guest gave.
pub fn counted(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|event| event.header("n").unwrap().parse().unwrap()).collect()
}

pub fn commit(batch: &Batch) {
    batch.states().iter().for_each(|writes| writes.committed(None));
}

async fn count(interceptor: &Arc<dyn Interceptor>, events: usize) -> Batch {
    interceptor.intercept(numbered(events, &[])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_the_state_goes_up_with_committed_batches_only() {
    let rig = Rig::new();
    let counting = rig.good(&setup("counting-state"));
    let lost = count(&counting, 3).await;
    assert_eq!((counted(&lost), lost.states().len()), (vec![1, 2, 3], 1));
    drop(lost);
    let first = count(&counting, 2).await;
    assert_eq!(counted(&first), [1, 2]);
    commit(&first);
    drop(first);
    let second = count(&counting, 2).await;
    assert_eq!(counted(&second), [3, 4]);
    commit(&second);
    assert_eq!(counting.state().unwrap().size().1, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_many_connections_are_numbered_one_after_the_other() {
    let rig = Rig::new();
    let counting = rig.good(&setup("counting-state"));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let counting = Arc::clone(&counting);
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for round in 0..20 {
                    let batch = count(&counting, 5).await;
                    // Every third commit fails.
                    if round % 3 != 0 {
                        commit(&batch);
                        numbers.extend(counted(&batch));
                    }
                    tokio::task::yield_now().await;
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_call_that_asks_to_be_repeated_wrote_is_gone() {
    let rig = Rig::new();
    let options = Setup { options: "keys 3\nfail #true", ..setup("state-flood") };
    let flood = rig.good(&options);
    let error = flood.intercept(batch(&["x"])).await.unwrap_err();
    assert!(error.batch.states().is_empty());
    assert_eq!(flood.state().unwrap().size(), (0, 0));
}

#[tokio::test]
async fn a_flood_ends_at_the_share_of_the_component_and_is_counted() {
    let rig = Rig::new();
    let flood = rig.good(&Setup { options: "bytes 1000", ..setup("state-flood") });
    let flooded = flood.intercept(batch(&["x"])).await.unwrap();
    // 16 MiB, of which each entry takes its value, 64 bytes and a key of at least 7.
    let text = shown(&flooded).remove(0);
    assert!(text.contains("outcome=quota"), "{text}");
    let written: u64 = flooded.events()[0].header("written").unwrap().parse().unwrap();
    assert!((14_000..=15_670).contains(&written), "{written}");
    commit(&flooded);
    let (bytes, keys) = flood.state().unwrap().size();
    assert!(bytes <= 16 << 20 && keys as u64 == written, "{bytes} bytes in {keys} keys");
    assert_eq!(rig.count("state_refused_total", ""), 1);
    let large = rig.good(&Setup { options: "bytes 1_048_577", ..setup("state-flood") });
    drop(flooded);
    let refused = large.intercept(batch(&["x"])).await.unwrap();
    assert_eq!(refused.events()[0].header("outcome").unwrap(), "too-large");
}
