//! The channel: transactions on a topic, and a fleet of agents, one of them Flume's own, that share one.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use millrace_core::{BatchLimit, Channel, ChannelError, Event, TakeTransaction};
use millrace_testkit::{TestClock, build_context, section, within};
use millrace_tests::{
    Agent, KafkaBroker, eventually, flume_kafka, json_events, json_events_so_far, temporary_folder,
};

use super::{batch, event, fresh, topic};

async fn channel(folder: &Path, broker: &KafkaBroker, options: &str) -> Arc<dyn Channel> {
    let factory = millrace_kafka::channels().remove(0);
    let kdl = format!("kafka \"shared\" {{ bootstrap-servers {:?}; {options} }}", broker.address());
    let context = build_context(folder, Arc::new(TestClock::at(1_700_000_000_000)));
    let channel = (factory.build)(&section(factory.options, &kdl), &context).unwrap();
    channel.open().await.unwrap();
    channel
}

async fn put(channel: &dyn Channel, events: impl IntoIterator<Item = Event>) -> Result<(), ChannelError> {
    let mut transaction = channel.begin_put().await?;
    transaction.put(batch(events)).await?;
    transaction.commit().await
}

/// Takes exactly this many, however many takes that needs.
async fn take(transaction: &mut dyn TakeTransaction, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let limit = BatchLimit { events_max: count - events.len(), ..BatchLimit::default() };
        let taken = within("events in the channel", transaction.take(limit)).await.unwrap();
        events.extend(taken.into_events());
    }
    events
}

fn numbers(events: &[Event]) -> Vec<usize> {
    events.iter().map(|event| std::str::from_utf8(&event.body).unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_out_whole_in_order_and_come_again_until_they_are_taken_for_good() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (name, group) = (topic(broker, "transactions", 1), fresh("group"));
    let options = format!("topic {name:?}; group {group:?}");
    let first = channel(folder.path(), broker, &options).await;
    let sent: Vec<Event> =
        (0..100).map(|number| event(&[("number", "ü"), ("key", "k")], number.to_string())).collect();
    put(&*first, sent.clone()).await.unwrap();
    // What is rolled back, or dropped, is not there.
    let mut dropped = first.begin_put().await.unwrap();
    dropped.put(batch([event(&[], "never")])).await.unwrap();
    dropped.rollback();
    let mut one = first.begin_take().await.unwrap();
    assert_eq!(take(&mut *one, 30).await, sent[..30]);
    let mut two = first.begin_take().await.unwrap();
    assert_eq!(take(&mut *two, 30).await, sent[30..60]);
    // Later events are taken for good before earlier ones, which come again in their places.
    two.commit().await.unwrap();
    one.rollback();
    let mut again = first.begin_take().await.unwrap();
    assert_eq!(take(&mut *again, 20).await, sent[..20]);
    again.commit().await.unwrap();
    first.sync_takes().await.unwrap();
    assert_eq!(broker.committed(&group, &name), [Some(20)]);
    assert_eq!(first.stats().events, 50);
    first.close().await.unwrap();
    assert!(matches!(first.begin_take().await, Err(ChannelError::Closed { .. })));
    // After a crash, what stands behind the first gap comes again.
    let second = channel(folder.path(), broker, &options).await;
    let mut rest = second.begin_take().await.unwrap();
    assert_eq!(numbers(&take(&mut *rest, 80).await), (20..100).collect::<Vec<_>>());
    rest.commit().await.unwrap();
    millrace_testkit::eventually("offsets follow", || broker.committed(&group, &name) == [Some(100)]).await;
    second.close().await.unwrap();
    assert_eq!(broker.committed(&group, &name), [Some(100)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_what_flume_writes_and_what_is_no_event_comes_out_with_the_reason() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (name, group) = (topic(broker, "wire", 1), fresh("group"));
    let options = format!("topic {name:?}; group {group:?}");
    let channel = channel(folder.path(), broker, &options).await;
    put(&*channel, [event(&[("key", "k")], "b")]).await.unwrap();
    let record = broker.records(&name).remove(0);
    assert_eq!((record.key, record.value), (Some(b"k".to_vec()), b"\x02\x06key\x02k\x00\x02b".to_vec()));
    broker.produce(&name, [millrace_tests::Record::new(0, "plain")]);
    let mut transaction = channel.begin_take().await.unwrap();
    let events = take(&mut *transaction, 2).await;
    let reason = "not a Flume event: headers is cut off at byte 5";
    assert_eq!(
        events,
        [event(&[("key", "k")], "b"), event(&[("kafka-channel.unreadable", reason)], "plain")]
    );
    transaction.commit().await.unwrap();
    channel.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_a_record_may_be_is_refused_before_anything_is_sent() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let name = fresh("small");
    broker.create_topic(&name, 1, &[("max.message.bytes", "2000")]);
    let channel = channel(folder.path(), broker, &format!("topic {name:?}; record-bytes \"3KB\"")).await;
    for bytes in [2500, 5000] {
        let error = put(&*channel, [event(&[], vec![b'x'; bytes])]).await.unwrap_err();
        assert!(matches!(error, ChannelError::TooLarge { .. }), "{bytes}: {error}");
    }
    channel.close().await.unwrap();
    assert_eq!(broker.records(&name), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_waits_for_the_first_event_and_a_closed_channel_wakes_it() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (name, group) = (topic(broker, "waiting", 1), fresh("group"));
    let channel = channel(folder.path(), broker, &format!("topic {name:?}; group {group:?}")).await;
    let mut transaction = channel.begin_take().await.unwrap();
    let wait =
        tokio::time::timeout(Duration::from_millis(500), transaction.take(BatchLimit::default())).await;
    assert!(wait.is_err(), "there is nothing: {wait:?}");
    let taken = tokio::spawn(async move {
        let events = take(&mut *transaction, 1).await;
        transaction.commit().await.unwrap();
        events
    });
    put(&*channel, [event(&[], "7")]).await.unwrap();
    assert_eq!(numbers(&within("the event", taken).await.unwrap()), [7]);
    let mut waiting = channel.begin_take().await.unwrap();
    let ended = tokio::spawn(async move { waiting.take(BatchLimit::default()).await.unwrap().len() });
    channel.close().await.unwrap();
    assert_eq!(within("the end", ended).await.unwrap(), 0);
}

/// What each agent of the fleet puts.
const EACH: usize = 5_000;

fn millrace(folder: &Path, broker: &KafkaBroker, name: &str) -> Agent {
    let kdl = format!(
        r#"
channels {{ kafka "fleet" {{ bootstrap-servers "{}"; topic "fleet"; group "fleet" }} }}
sources {{
    taildir "in" channel="fleet" {{
        path "{}"
        interceptors {{ static key="origin" value="{name}" }}
    }}
}}
sinks {{ file-roll "out" channel="fleet" {{ directory "{}"; serializer "json"; roll interval="1h" }} }}
"#,
        broker.address(),
        folder.join(format!("{name}.input")).display(),
        folder.join(format!("{name}-out")).display(),
    );
    Agent::start(folder, name, &kdl)
}

/// A Flume agent that is killed when dropped.
struct Flume(Child);

impl Drop for Flume {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn flume(folder: &Path, broker: &KafkaBroker, port: u16) -> Flume {
    let out = folder.join("flume-out");
    fs::create_dir_all(&out).unwrap();
    let properties = format!(
        "a.sources = s\na.channels = c\na.sinks = k\n\
         a.sources.s.type = netcat\na.sources.s.bind = 127.0.0.1\na.sources.s.port = {port}\na.sources.s.channels = c\n\
         a.sources.s.ack-every-event = false\n\
         a.sources.s.interceptors = i\na.sources.s.interceptors.i.type = static\n\
         a.sources.s.interceptors.i.key = origin\na.sources.s.interceptors.i.value = flume\n\
         a.channels.c.type = org.apache.flume.channel.kafka.KafkaChannel\n\
         a.channels.c.kafka.bootstrap.servers = {}\na.channels.c.kafka.topic = fleet\n\
         a.channels.c.kafka.consumer.group.id = fleet\n\
         a.sinks.k.type = file_roll\na.sinks.k.channel = c\na.sinks.k.sink.directory = {}\n\
         a.sinks.k.sink.rollInterval = 0\na.sinks.k.sink.batchSize = 200\n",
        broker.address(),
        out.display(),
    );
    fs::write(folder.join("flume.properties"), properties).unwrap();
    let log = fs::File::create(folder.join("flume.log")).unwrap();
    let child = Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", flume_kafka().class_path()])
        .args(["org.apache.flume.node.Application", "--no-reload-conf", "--name", "a", "--conf-file"])
        .arg(folder.join("flume.properties"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Flume(child)
}

/// Lines to Flume's netcat source, once it listens.
fn send_to_flume(folder: &Path, port: u16) {
    let mut stream = None;
    eventually("Flume listens", || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    let lines: String = (0..EACH).map(|number| format!("flume {number}\n")).collect();
    stream.write_all(lines.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    assert!(
        !answer.contains("FAILED"),
        "{answer}\n{}",
        fs::read_to_string(folder.join("flume.log")).unwrap()
    );
}

#[test]
fn two_agents_and_flume_share_a_channel_all_events_are_delivered_and_none_invented() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let folder = folder.path();
    broker.create_topic("fleet", 6, &[]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let flume = flume(folder, broker, port);
    let agents = ["one", "two"].map(|name| millrace(folder, broker, name));
    // Each has its share before there is anything to take.
    eventually("Flume listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    eventually("two partitions for each", || {
        agents.iter().all(|agent| agent.metric("kafka_partitions", "fleet") == 2)
    });
    send_to_flume(folder, port);
    for name in ["one", "two"] {
        let lines: String = (0..EACH).map(|number| format!("{name} {number}\n")).collect();
        fs::write(folder.join(format!("{name}.input")), lines).unwrap();
    }
    let delivered = |json: fn(&Path) -> Vec<serde_json::Value>| {
        let mut seen = BTreeMap::<String, usize>::new();
        for name in ["one", "two"] {
            for event in json(&folder.join(format!("{name}-out"))) {
                let body = event["body"].as_str().unwrap().to_owned();
                assert_eq!(event["headers"]["origin"], body.split(' ').next().unwrap());
                *seen.entry(body).or_default() += 1;
            }
        }
        let mut by_flume = 0;
        for file in fs::read_dir(folder.join("flume-out")).unwrap().flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            // The last line may still be written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                *seen.entry(line.to_owned()).or_default() += 1;
                by_flume += 1;
            }
        }
        (seen, by_flume)
    };
    eventually("everything is delivered", || delivered(json_events_so_far).0.len() >= 3 * EACH);
    for agent in agents {
        assert!(agent.stop().success());
    }
    drop(flume);
    let (seen, by_flume) = delivered(json_events);
    let expected: Vec<String> = ["flume", "one", "two"]
        .iter()
        .flat_map(|name| (0..EACH).map(move |number| format!("{name} {number}")))
        .collect();
    let mut found: Vec<&String> = seen.keys().collect();
    found.sort_by_key(|body| {
        let (name, number) = body.split_once(' ').unwrap();
        (name.to_owned(), number.parse::<usize>().unwrap())
    });
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    let by = ["one", "two"].map(|name| json_events(&folder.join(format!("{name}-out"))).len());
    assert!(
        by_flume > 0 && by.iter().all(|taken| *taken > 0),
        "taken by Flume {by_flume}, by the others {by:?}"
    );
    let repeated = seen.values().sum::<usize>() - seen.len();
    eprintln!(
        "{} events, {by_flume} through Flume, {by:?} through the others, {repeated} repeated",
        seen.len()
    );
}
