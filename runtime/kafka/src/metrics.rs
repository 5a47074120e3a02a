//! What clients count: beside the counters that every source, sink and channel has.

use bytestring::ByteString;
use millrace_core::{Labels, Metrics};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use rdkafka::Statistics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    component: String,
    topic: String,
    partition: i32,
}

/// The families of all clients of an agent.
#[derive(Clone, Default)]
struct KafkaFamilies {
    lag: Family<PartitionLabels, Gauge>,
    partitions: Family<Labels, Gauge>,
    rebalances: Family<Labels, Counter>,
    offset_commits: Family<Labels, Counter>,
    offset_commit_failures: Family<Labels, Counter>,
    queued_records: Family<Labels, Gauge>,
    request_nanos: Family<Labels, Gauge>,
    transactions: Family<Labels, Counter>,
    transactions_aborted: Family<Labels, Counter>,
    events_given_back: Family<Labels, Counter>,
}

impl KafkaFamilies {
    fn register(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.register("kafka_lag", "Records of a partition that were not read yet", all.lag.clone());
        metrics.register(
            "kafka_partitions",
            "Partitions that are assigned to a consumer",
            all.partitions.clone(),
        );
        metrics.register(
            "kafka_rebalances",
            "Times that a consumer was given or lost partitions",
            all.rebalances.clone(),
        );
        metrics.register(
            "kafka_offset_commits",
            "Commits of offsets that succeeded",
            all.offset_commits.clone(),
        );
        metrics.register(
            "kafka_offset_commit_failures",
            "Commits of offsets that failed and are repeated; a crash before that repeats events",
            all.offset_commit_failures.clone(),
        );
        metrics.register(
            "kafka_queued_records",
            "Records in the queues of a producer",
            all.queued_records.clone(),
        );
        metrics.register(
            "kafka_request_nanos",
            "How long a broker took to answer of late, on average, the slowest broker",
            all.request_nanos.clone(),
        );
        metrics.register("kafka_transactions", "Transactions committed", all.transactions.clone());
        metrics.register(
            "kafka_transactions_aborted",
            "Transactions aborted",
            all.transactions_aborted.clone(),
        );
        metrics.register(
            "kafka_events_given_back",
            "Events that were not sent since their partition had gone to another member, who reads them again",
            all.events_given_back.clone(),
        );
        all
    }
}

/// The counters of one client.
#[derive(Clone)]
pub(crate) struct KafkaMetrics {
    component: String,
    lag: Family<PartitionLabels, Gauge>,
    pub(crate) partitions: Gauge,
    pub(crate) rebalances: Counter,
    pub(crate) offset_commits: Counter,
    pub(crate) offset_commit_failures: Counter,
    queued_records: Gauge,
    request_nanos: Gauge,
    pub(crate) transactions: Counter,
    pub(crate) transactions_aborted: Counter,
    pub(crate) events_given_back: Counter,
}

impl KafkaMetrics {
    pub(crate) fn new(metrics: &Metrics, component: &ByteString) -> Self {
        let all = metrics.once(KafkaFamilies::register);
        let labels = Labels { component: component.to_string() };
        Self {
            component: component.to_string(),
            partitions: all.partitions.get_or_create_owned(&labels),
            rebalances: all.rebalances.get_or_create_owned(&labels),
            offset_commits: all.offset_commits.get_or_create_owned(&labels),
            offset_commit_failures: all.offset_commit_failures.get_or_create_owned(&labels),
            queued_records: all.queued_records.get_or_create_owned(&labels),
            request_nanos: all.request_nanos.get_or_create_owned(&labels),
            transactions: all.transactions.get_or_create_owned(&labels),
            transactions_aborted: all.transactions_aborted.get_or_create_owned(&labels),
            events_given_back: all.events_given_back.get_or_create_owned(&labels),
            lag: all.lag,
        }
    }

    fn labels(&self, topic: &str, partition: i32) -> PartitionLabels {
        PartitionLabels { component: self.component.clone(), topic: topic.to_owned(), partition }
    }

    /// A partition that is somebody else's now has no lag here.
    pub(crate) fn forget(&self, topic: &str, partition: i32) {
        self.lag.remove(&self.labels(topic, partition));
    }

    /// Takes over what librdkafka has measured. Returns the records behind, over all partitions.
    pub(crate) fn take_over(&self, statistics: &Statistics) -> u64 {
        let rtt =
            statistics.brokers.values().filter_map(|broker| broker.rtt.as_ref()).map(|rtt| rtt.avg).max();
        // Measured in microseconds.
        self.request_nanos.set(rtt.unwrap_or_default().saturating_mul(1000));
        self.queued_records.set(statistics.msg_cnt.try_into().unwrap_or(i64::MAX));
        let mut behind = 0;
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|partition| partition.consumer_lag >= 0) {
                let lag = partition.consumer_lag;
                behind += lag.unsigned_abs();
                self.lag.get_or_create(&self.labels(&topic.topic, partition.partition)).set(lag);
            }
        }
        behind
    }
}
