//! What tests do to a broker: make topics, write records, read everything there is.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::KafkaBroker;

const DEADLINE: Duration = Duration::from_secs(120);

/// A record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it is; where it shall go, or -1.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its time.
    pub timestamp: Option<i64>,
}

impl Record {
    /// A value for a partition.
    pub fn new(partition: i32, value: impl Into<Vec<u8>>) -> Self {
        Self { partition, value: value.into(), ..Self::default() }
    }

    /// The value as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }
}

impl KafkaBroker {
    /// Lets a user do everything with one topic and one group.
    ///
    /// # Panics
    /// The broker refuses.
    pub fn allow(&self, user: &str, topic: &str, group: &str) {
        let output =
            crate::peers::kafka().command("Allow").args([&self.address(), user, topic, group]).output();
        assert!(
            output.as_ref().is_ok_and(|output| output.status.success()),
            "no rights for {user}: {output:?}"
        );
    }

    fn admin(&self) -> rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> {
        match self.client().create() {
            Ok(admin) => admin,
            Err(error) => unreachable!("no client: {error}"),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// The broker refuses.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin = self.admin();
        let made = block_on(admin.create_topics([&topic], &AdminOptions::new()));
        assert!(made.as_ref().is_ok_and(|made| made.iter().all(Result::is_ok)), "topic {name}: {made:?}");
        // Known to the controller is not yet known to the broker.
        let begun = Instant::now();
        while self.partitions(name) != partitions {
            assert!(begun.elapsed() < DEADLINE, "topic {name} does not appear:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many partitions a topic has; 0 for one that is not there.
    pub fn partitions(&self, topic: &str) -> i32 {
        let consumer: Result<BaseConsumer, _> = self.client().create();
        let Ok(consumer) = consumer else { return 0 };
        let Ok(metadata) = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)) else { return 0 };
        let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// Writes records and waits until the broker has them.
    ///
    /// # Panics
    /// It refuses one.
    pub fn produce(&self, topic: &str, records: impl IntoIterator<Item = Record>) {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("message.max.bytes", "8000000");
        let producer: Result<BaseProducer, _> = config.create();
        let Ok(producer) = producer else { unreachable!("no producer: {:?}", producer.err()) };
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (name, value) in &record.headers {
                headers = headers.insert(Header { key: name, value: Some(value) });
            }
            loop {
                let mut base = BaseRecord::<[u8], [u8]>::to(topic).payload(&record.value);
                base.partition = (record.partition >= 0).then_some(record.partition);
                base.key = record.key.as_deref();
                base.timestamp = record.timestamp;
                base.headers = (!record.headers.is_empty()).then(|| headers.clone());
                match producer.send(base) {
                    Ok(()) => break,
                    Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                        producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => unreachable!("{topic}: {error}"),
                }
            }
        }
        let flushed = producer.flush(DEADLINE);
        assert!(flushed.is_ok(), "{topic}: {flushed:?}");
    }

    /// Every record of a topic now, partition by partition, in order; of transactions only what is committed.
    ///
    /// # Panics
    /// They cannot be read.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let mut config = self.client();
        config
            .set("group.id", format!("reads {topic}"))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed");
        let consumer: Result<BaseConsumer, _> = config.create();
        let Ok(consumer) = consumer else { unreachable!("no consumer: {:?}", consumer.err()) };
        let mut list = TopicPartitionList::new();
        let partitions = self.partitions(topic);
        for partition in 0..partitions {
            drop(list.add_partition_offset(topic, partition, Offset::Beginning));
        }
        assert!(consumer.assign(&list).is_ok(), "{topic} cannot be read");
        let (mut all, mut ended) = (BTreeMap::<i32, Vec<Record>>::new(), 0);
        let begun = Instant::now();
        while ended < partitions {
            assert!(begun.elapsed() < DEADLINE, "{topic} cannot be read to its end");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(record)) => all.entry(record.partition()).or_default().push(owned(&record)),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
                _ => {}
            }
        }
        all.into_values().flatten().collect()
    }

    /// How many records were ever written to a topic.
    pub fn count(&self, topic: &str) -> i64 {
        let consumer: Result<BaseConsumer, _> = self.client().create();
        let Ok(consumer) = consumer else { return 0 };
        let ends = (0..self.partitions(topic)).map(|partition| {
            let ends = consumer.fetch_watermarks(topic, partition, Duration::from_secs(10));
            ends.map_or(0, |(_, end)| end)
        });
        ends.sum()
    }

    /// The offset that a group has committed in each partition of a topic; None where there is none.
    ///
    /// # Panics
    /// The broker does not answer.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<Option<i64>> {
        let mut config = self.client();
        config.set("group.id", group).set("enable.auto.commit", "false");
        let consumer: Result<BaseConsumer, _> = config.create();
        let Ok(consumer) = consumer else { unreachable!("no consumer: {:?}", consumer.err()) };
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, self.partitions(topic) - 1);
        let Ok(list) = consumer.committed_offsets(list, Duration::from_secs(30)) else {
            unreachable!("no offsets of {group}:\n{}", self.log_tail())
        };
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        list.elements().iter().map(|element| offset(element.offset())).collect()
    }
}

fn owned(record: &impl Message<Headers = rdkafka::message::BorrowedHeaders>) -> Record {
    let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        partition: record.partition(),
        offset: record.offset(),
        key: record.key().map(<[u8]>::to_vec),
        value: record.payload().unwrap_or_default().to_vec(),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect(),
        timestamp: record.timestamp().to_millis(),
    }
}

/// Admin calls are futures that need no runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
