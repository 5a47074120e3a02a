//! What sinks keep in their state: it counts when the channel has forgotten the batch.

use millrace_core::{Batch, Delivery, Sink, SinkError};

use crate::support::{Rig, Setup, numbered, setup};

fn named(id: &str, attempt: u32) -> Batch {
    numbered(3, &[]).with_delivery(Delivery { id: id.into(), attempt })
}

async fn refused(sink: &mut Box<dyn Sink>, id: &str) -> String {
    match sink.deliver(&named(id, 9)).await {
        Err(SinkError::Rejected { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_wrote_counts_when_its_take_is_committed_and_not_before() {
    let rig = Rig::new();
    let mut sink = rig.sink(&setup("sink-states"));
    sink.deliver(&named("a", 1)).await.unwrap();
    sink.settled(false);
    // The commit failed, so the same delivery comes as if it had never been.
    sink.deliver(&named("a", 2)).await.unwrap();
    sink.settled(true);
    assert!(refused(&mut sink, "a").await.contains("delivered/a is there already, from attempt 2"));
    sink.settled(true);
    // Another sink of that name, as after a reload, knows it too.
    sink.close().await.unwrap();
    let mut next = rig.sink(&setup("sink-states"));
    assert!(refused(&mut next, "a").await.contains("attempt 2"));
    next.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_wrote_that_asks_to_be_repeated_is_gone() {
    let rig = Rig::new();
    let mut sink = rig.sink(&Setup { options: "fails 2", ..setup("sink-states") });
    for attempt in 1..=2 {
        let failed = sink.deliver(&named("a", attempt)).await;
        assert!(matches!(failed, Err(SinkError::Retryable { .. })), "{failed:?}");
    }
    sink.deliver(&named("a", 3)).await.unwrap();
    sink.settled(true);
    assert!(refused(&mut sink, "a").await.contains("from attempt 3"));
    sink.close().await.unwrap();
}
