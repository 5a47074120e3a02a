//! The sink: what records look like, and what becomes of each.

use std::collections::BTreeMap;

use millrace_core::{Refusal, SinkError};
use millrace_tests::{KafkaBroker, Record, temporary_folder};

use super::{batch, event, fresh, sink, topic};

fn refusals(result: Result<(), SinkError>) -> Vec<Refusal> {
    match result {
        Err(SinkError::Partial { refusals, again, .. }) if again.is_empty() => refusals,
        other => panic!("expected refusals, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_key_partition_time_and_headers_come_from_the_event() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let stem = fresh("escapes");
    for app in ["web", "mail"] {
        broker.create_topic(&format!("{stem}-{app}"), 3, &[]);
    }
    let options = format!(
        "topic \"{stem}-%{{app}}\"; topic-header \"to\"; partition-header \"part\"; timestamp-header \"at\"; \
         header-names {{ app \"x-app\" }}"
    );
    let mut sink = sink(folder.path(), &broker.address(), &options);
    let mail = format!("{stem}-mail");
    let events = [
        event(&[("app", "web"), ("key", "schlüssel"), ("part", "2"), ("at", "123")], "one"),
        event(&[("app", "web"), ("to", &mail), ("key-base64", "/wA="), ("part", "0")], "\u{0}two"),
        event(&[("app", "mail"), ("part", "1"), ("at", "soon")], ""),
    ];
    sink.deliver(&batch(events)).await.unwrap();
    sink.close().await.unwrap();
    let web = broker.records(&format!("{stem}-web"));
    assert_eq!(web.len(), 1);
    assert_eq!(
        web[0],
        Record {
            partition: 2,
            offset: 0,
            key: Some("schlüssel".into()),
            value: "one".into(),
            headers: vec![("x-app".into(), "web".into())],
            timestamp: Some(123),
        }
    );
    let mail: Vec<_> = broker.records(&mail).into_iter().map(|r| (r.partition, r.key, r.value)).collect();
    assert_eq!(mail, [(0, Some(vec![0xff, 0]), b"\0two".to_vec()), (1, None, Vec::new())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_go_alone_and_all_others_arrive_once_and_in_order() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let name = fresh("bad-records");
    // The topic takes less than the client sends: the broker refuses, with company.
    broker.create_topic(&name, 1, &[("max.message.bytes", "2000")]);
    for transaction in ["", "transactional-id \"bad-records\"; "] {
        let options = format!(
            "topic {name:?}; topic-header \"to\"; partition-header \"part\"; record-bytes \"3KB\"; {transaction}"
        );
        let mut sink = sink(folder.path(), &broker.address(), &options);
        let mut events: Vec<_> = (0..100).map(|number| event(&[], format!("{number}"))).collect();
        events[10] = event(&[("to", "no such/topic")], "bad name");
        events[20] = event(&[("part", "one")], "bad partition");
        events[30] = event(&[("part", "7")], "no such partition");
        events[40] = event(&[], vec![b'x'; 2500]);
        events[50] = event(&[], vec![b'x'; 5000]);
        events[60] = event(&[("key-base64", "?")], "bad key");
        let refused: BTreeMap<usize, String> = refusals(sink.deliver(&batch(events)).await)
            .into_iter()
            .map(|refusal| (refusal.row, refusal.reason))
            .collect();
        sink.close().await.unwrap();
        let expected = BTreeMap::from([
            (10, "\"no such/topic\" is no name of a topic".to_owned()),
            (20, "header part: \"one\" is no partition".to_owned()),
            (30, format!("topic {name}: Local: Unknown partition (UnknownPartition)")),
            (40, format!("topic {name}: Broker: Message size too large (MessageSizeTooLarge): 2500 bytes")),
            (50, format!("topic {name}: Broker: Message size too large (MessageSizeTooLarge): 5000 bytes")),
            (60, "header key-base64: Invalid symbol 63, offset 0.".to_owned()),
        ]);
        assert_eq!(refused, expected, "{transaction}");
    }
    let mut found: Vec<usize> = broker.records(&name).iter().map(|r| r.text().parse().unwrap()).collect();
    let good: Vec<usize> = (0..100).filter(|row| ![10, 20, 30, 40, 50, 60].contains(row)).collect();
    // The transaction's come second, all in order.
    assert_eq!(found.split_off(good.len()), good);
    found.sort_unstable();
    assert_eq!(found, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn flume_events_go_out_as_flume_writes_them() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let name = topic(broker, "avro", 1);
    let mut sink = sink(folder.path(), &broker.address(), &format!("topic {name:?}; use-as-flume-event"));
    sink.deliver(&batch([event(&[("a", "ü")], "b")])).await.unwrap();
    sink.close().await.unwrap();
    // A map of one entry, its end, and bytes: lengths are zig-zag numbers.
    let expected = [2, 2, b'a', 4, 0xc3, 0xbc, 0, 2, b'b'];
    assert_eq!(broker.records(&name)[0].value, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_and_a_batch_larger_than_the_clients_queue_arrive_whole() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let name = topic(broker, "compressed", 1);
        let options = format!(
            "topic {name:?}; compression {compression:?}; properties {{ \"queue.buffering.max.messages\" \"100\" }}"
        );
        let mut sink = sink(folder.path(), &broker.address(), &options);
        let events = (0..1000).map(|number| event(&[], format!("{number} {}", "é".repeat(200))));
        sink.deliver(&batch(events)).await.unwrap();
        sink.close().await.unwrap();
        let found: Vec<_> = broker.records(&name).iter().map(Record::text).collect();
        let expected: Vec<_> = (0..1000).map(|number| format!("{number} {}", "é".repeat(200))).collect();
        assert_eq!(found, expected, "{compression}");
    }
}
