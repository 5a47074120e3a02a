//! The source: what events look like, what is committed when, and how members of a group share partitions.

use std::time::Duration;

use bytes::BytesMut;
use millrace_components::flume_event::write_flume_event;
use millrace_core::{Destination, Event};
use millrace_testkit::{RecordingChannel, eventually};
use millrace_tests::{KafkaBroker, Record, temporary_folder};

use super::{event, fresh, source, source_into, topic};

fn headers(event: &Event) -> Vec<(&str, &str)> {
    event.headers.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_becomes_an_event_with_its_key_its_headers_and_its_place() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let topic = topic(broker, "places", 2);
    let full = Record {
        partition: 1,
        key: Some(b"k\xc3\xa4y".to_vec()),
        value: b"body \xff\x00".to_vec(),
        headers: vec![
            ("trace".into(), b"1".to_vec()),
            ("offset".into(), b"mine".to_vec()),
            ("trace".into(), b"2".to_vec()),
        ],
        timestamp: Some(1_700_000_000_123),
        ..Record::default()
    };
    let binary = Record { key: Some(vec![0xff, 0x00]), timestamp: Some(5), ..Record::new(1, "") };
    broker.produce(&topic, [full, binary]);
    let group = fresh("group");
    let rig = source(folder.path(), broker, &format!("topics {topic:?}; group {group:?}"));
    let events = rig.channel.wait_for_events(2).await;
    assert_eq!(
        headers(&events[0]),
        [
            ("trace", "2"),
            ("offset", "mine"),
            ("timestamp", "1700000000123"),
            ("partition", "1"),
            ("topic", &topic),
            ("key", "käy"),
        ]
    );
    assert_eq!(events[0].body, &b"body \xff\x00"[..]);
    assert_eq!(
        headers(&events[1]),
        [("timestamp", "5"), ("partition", "1"), ("offset", "1"), ("topic", &topic), ("key-base64", "/wA="),]
    );
    rig.stop().await.1.unwrap();
    assert_eq!(broker.committed(&group, &topic), [None, Some(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_finds_its_topics_and_named_headers_are_the_only_ones() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let stem = fresh("pattern");
    let mut record = Record::new(0, "x");
    record.headers = vec![("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())];
    for name in ["one", "two"] {
        broker.create_topic(&format!("{stem}-{name}"), 1, &[]);
        broker.produce(&format!("{stem}-{name}"), [record.clone()]);
    }
    broker.create_topic(&format!("not-{stem}-three"), 1, &[]);
    broker.produce(&format!("not-{stem}-three"), [record]);
    let options = format!(
        "topics-pattern \"{stem}-.*\"; group {stem:?}; header-names {{ letter \"b\" }}; position-headers #false"
    );
    let rig = source(folder.path(), broker, &options);
    let mut events = rig.channel.wait_for_events(2).await;
    events.sort_by_key(|event| event.header("topic").cloned().map(|topic| topic.to_string()));
    let found: Vec<_> = events.iter().map(headers).collect();
    let (one, two) = (format!("{stem}-one"), format!("{stem}-two"));
    assert_eq!(found, [[("letter", "2"), ("topic", &one)], [("letter", "2"), ("topic", &two)]]);
    rig.stop().await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn flume_events_are_read_and_what_is_none_goes_to_the_dead_letter_channel_alone() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let topic = topic(broker, "flume-events", 1);
    let mut datum = BytesMut::new();
    write_flume_event(&mut datum, &event(&[("host", "höst"), ("topic", "own")], "body"));
    let whole = Record::new(0, datum.to_vec());
    let cut = Record::new(0, &datum[..datum.len() - 1]);
    let group = fresh("group");
    broker.produce(&topic, [whole.clone(), cut, Record::new(0, "no event"), whole]);
    let rig = source(
        folder.path(),
        broker,
        &format!("topics {topic:?}; group {group:?}; parse-as-flume-event; position-headers #false"),
    );
    let events = rig.channel.wait_for_events(2).await;
    assert_eq!(headers(&events[0]), [("host", "höst"), ("topic", "own")]);
    assert_eq!((events.len(), &events[1].body[..]), (2, &b"body"[..]));
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 2);
    rig.stop().await.1.unwrap();
    // The corrupt ones are done with as well.
    assert_eq!(broker.committed(&group, &topic), [Some(4)]);
    let _: fn(millrace_core::Rejection) -> Destination = Destination::DeadLetter;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_in_kafka_that_the_channel_has_refused() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (topic, group) = (topic(broker, "refused", 1), fresh("group"));
    broker.produce(&topic, (0..10).map(|number| Record::new(0, format!("{number}"))));
    let channel = RecordingChannel::default();
    channel.refuse_next(usize::MAX);
    let options = format!("topics {topic:?}; group {group:?}; batch-size 5");
    let rig = source_into(folder.path(), broker, &options, channel.clone());
    eventually("the channel has refused", || channel.refusals_left() < usize::MAX).await;
    assert_eq!(broker.committed(&group, &topic), [None]);
    rig.stop().await.1.unwrap();
    assert_eq!((channel.events().len(), broker.committed(&group, &topic)), (0, vec![None]));
    // The same group reads it all again.
    channel.refuse_next(0);
    let rig = source_into(folder.path(), broker, &options, channel.clone());
    rig.channel.wait_for_events(10).await;
    rig.stop().await.1.unwrap();
    let bodies: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!((channel.bodies(), broker.committed(&group, &topic)), (bodies, vec![Some(10)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_follow_the_channel_while_the_source_runs() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (topic, group) = (topic(broker, "follows", 1), fresh("group"));
    let rig = source(folder.path(), broker, &format!("topics {topic:?}; group {group:?}"));
    for round in 1..=3 {
        broker.produce(&topic, (0..10).map(|number| Record::new(0, format!("{number}"))));
        eventually("the offset is committed", || broker.committed(&group, &topic) == [Some(10 * round)])
            .await;
    }
    // As after a crash: nothing is said at the end.
    let channel = rig.kill().await;
    let rig = source_into(folder.path(), broker, &format!("topics {topic:?}; group {group:?}"), channel);
    broker.produce(&topic, [Record::new(0, "last")]);
    assert_eq!(rig.channel.wait_for_events(31).await.len(), 31);
    assert_eq!(rig.stop().await.0.bodies()[30], "last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_waits_for_room_is_paused_keeps_its_place_and_goes_on_in_order() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (topic, group) = (topic(broker, "full", 1), fresh("group"));
    let count = 2_000;
    broker.produce(&topic, (0..count).map(|number| Record::new(0, format!("{number}"))));
    let channel = RecordingChannel::default();
    // Refusals come at growing intervals: this many take several seconds, longer than the session of the member.
    channel.refuse_next(10);
    let options = format!(
        "topics {topic:?}; group {group:?}; batch-size 100; properties {{ \"session.timeout.ms\" \"6000\"; \
         \"max.poll.interval.ms\" \"6000\" }}"
    );
    let rig = source_into(folder.path(), broker, &options, channel.clone());
    rig.channel.wait_for_events(count).await;
    rig.stop().await.1.unwrap();
    let bodies: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(channel.bodies(), bodies);
    assert_eq!(broker.committed(&group, &topic), [Some(count as i64)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_and_leaves_costs_neither_loss_nor_repetition() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (topic, group) = (topic(broker, "members", 4), fresh("group"));
    let write = |from: usize| {
        broker.produce(&topic, (from..from + 2000).map(|n| Record::new((n % 4) as i32, format!("{n}"))));
    };
    let options = format!("topics {topic:?}; group {group:?}; batch-size 50; batch-wait \"10ms\"");
    let (one, two) = (RecordingChannel::default(), RecordingChannel::default());
    let first = source_into(folder.path(), broker, &options, one.clone());
    write(0);
    one.wait_for_events(100).await;
    let second = source_into(folder.path(), broker, &options, two.clone());
    // Written until the newcomer has a share.
    let mut written = 2000;
    while two.events().is_empty() {
        write(written);
        written += 2000;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(written < 2_000_000, "the second member gets nothing");
    }
    second.stop().await.1.unwrap();
    write(written);
    written += 2000;
    eventually("all is read", || one.events().len() + two.events().len() >= written).await;
    first.stop().await.1.unwrap();
    let mut all: Vec<usize> = Vec::new();
    for channel in [&one, &two] {
        let bodies: Vec<usize> = channel.bodies().iter().map(|body| body.parse().unwrap()).collect();
        // A partition that comes back to a member goes on where the other one stopped.
        for partition in 0..4 {
            let of: Vec<_> = bodies.iter().filter(|body| *body % 4 == partition).collect();
            assert!(of.is_sorted(), "partition {partition} is out of order");
        }
        all.extend(bodies);
    }
    all.sort_unstable();
    assert_eq!(all, (0..written).collect::<Vec<_>>());
}
