//! The options of the channel, checked and typed.

use std::time::Duration;

use millrace_components::escape::{Template, TimeRule};
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::BuildContext;
use rdkafka::ClientConfig;

use crate::{
    connection::{BOOTSTRAP_SERVERS, PROPERTIES, SASL, SECURITY_PROTOCOL, TLS, client_config, finish_config},
    consumer::group_settings,
    record::{KEY, RecordHeaders, RecordRule},
    sink::settings::{Settings as SinkSettings, SinkHeaders, producer_settings},
};

/// The options of the channel.
pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVERS,
    OptionSpec::with_default("topic", OptionKind::Text, "flume-channel", "The topic"),
    OptionSpec::with_default(
        "group",
        OptionKind::Text,
        "flume",
        "The consumer group of all agents that take from this channel",
    ),
    OptionSpec::with_default(
        "parse-as-flume-event",
        OptionKind::Boolean,
        "#true",
        "Keeps events whole, as Flume events in Avro; without it records are bodies, and headers are lost",
    ),
    OptionSpec::with_default(
        "start",
        OptionKind::Choice(&["earliest", "latest", "error"]),
        "earliest",
        "Where taking begins in a partition of which the group has no offset, or one that is gone",
    ),
    OptionSpec::with_default(
        "assignment",
        OptionKind::Choice(&["range", "roundrobin", "cooperative-sticky"]),
        "range",
        "How the group shares partitions out; all members have to agree, and Flume's take `range`",
    ),
    OptionSpec::with_default(
        "revoke-wait",
        OptionKind::Duration,
        "10s",
        "How long a partition that goes to another agent waits for takes under way, which would be repeated",
    ),
    OptionSpec::with_default(
        "prefetch",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "5000",
        "Bounds the events that were read and wait to be taken",
    ),
    OptionSpec::with_default("prefetch-bytes", OptionKind::Size, "8MiB", "Bounds the bytes of those"),
    OptionSpec::optional(
        "partition",
        OptionKind::Integer { min: 0, max: i32::MAX as i64 },
        "The partition of every event; without it header `key` decides",
    ),
    OptionSpec::optional(
        "partition-header",
        OptionKind::Text,
        "A header that chooses the partition where an event has it",
    ),
    OptionSpec::with_default(
        "acks",
        OptionKind::Choice(&["all", "1", "0"]),
        "all",
        "How many copies there have to be before a put is committed",
    ),
    OptionSpec::with_default(
        "idempotence",
        OptionKind::Boolean,
        "#true",
        "Whether the client's own repetitions neither double nor reorder events; needs `acks \"all\"`",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]),
        "none",
        "Compression of what is put",
    ),
    OptionSpec::with_default(
        "linger",
        OptionKind::Duration,
        "1ms",
        "How long the client waits for more events before it sends a request",
    ),
    OptionSpec::with_default(
        "delivery-timeout",
        OptionKind::Duration,
        "30s",
        "How long a commit of a put may take",
    ),
    OptionSpec::with_default(
        "record-bytes",
        OptionKind::Size,
        "1MB",
        "Largest event with its headers; larger ones go to the dead-letter channel where a source can hold them",
    ),
    SECURITY_PROTOCOL,
    SASL,
    TLS,
    PROPERTIES,
];

/// Everything the options say.
pub(super) struct Settings {
    pub(super) producer: ClientConfig,
    pub(super) consumer: ClientConfig,
    pub(super) topic: String,
    /// How events become records: as a sink would do it.
    pub(super) records: SinkSettings,
    /// How records become events.
    pub(super) rule: RecordRule,
    pub(super) prefetch_events: usize,
    pub(super) prefetch_bytes: usize,
    pub(super) revoke_wait: Duration,
}

impl Settings {
    pub(super) fn new(section: &Section, cx: &BuildContext) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let client = client_config(section, cx, &mut findings);
        let mut producer = client.clone();
        producer_settings(section, None, &mut producer, &mut findings);
        finish_config(section, &mut producer, &mut findings);
        let mut consumer = client;
        group_settings(&mut consumer, section.text("group"), section.text("start"));
        consumer.set("partition.assignment.strategy", section.text("assignment"));
        if findings.is_empty() {
            finish_config(section, &mut consumer, &mut findings);
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let is_flume_event = section.boolean("parse-as-flume-event");
        let bytes = |option| usize::try_from(section.size(option)).unwrap_or(usize::MAX);
        Ok(Self {
            records: SinkSettings {
                config: producer.clone(),
                topic: Template::literal(section.text("topic")),
                topic_header: None,
                key_header: KEY.to_owned(),
                key: None,
                partition: section
                    .optional_integer("partition")
                    .and_then(|number| i32::try_from(number).ok()),
                partition_header: section.optional_text("partition-header").map(str::to_owned),
                timestamp_header: None,
                is_flume_event,
                headers: SinkHeaders::None,
                transactional_id: None,
                record_bytes_max: bytes("record-bytes"),
                time_rule: TimeRule::default(),
            },
            producer,
            consumer,
            topic: section.text("topic").to_owned(),
            rule: RecordRule {
                component: cx.component.clone(),
                is_flume_event,
                topic_header: None,
                has_position: false,
                has_place: false,
                record_headers: RecordHeaders::None,
            },
            prefetch_events: section.count("prefetch"),
            prefetch_bytes: bytes("prefetch-bytes"),
            revoke_wait: section.duration("revoke-wait"),
        })
    }
}
