//! The options of the sink, checked and typed.

use millrace_components::escape::{
    MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, Target, Template, TimeRule, USE_LOCAL_TIME_STAMP,
    time_rule,
};
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::BuildContext;
use rdkafka::ClientConfig;

use crate::connection::{
    BOOTSTRAP_SERVERS, PROPERTIES, SASL, SECURITY_PROTOCOL, TLS, client_config, finish_config,
};

/// The options of the sink.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVERS,
    OptionSpec::required("topic", OptionKind::Text, "The topic; may hold escapes such as `logs-%{app}`"),
    OptionSpec::optional(
        "topic-header",
        OptionKind::Text,
        "A header that chooses the topic where an event has it; whoever writes the header chooses",
    ),
    OptionSpec::with_default(
        "key-header",
        OptionKind::Text,
        "key",
        "The header that is the key of a record; events without it have none",
    ),
    OptionSpec::optional(
        "key",
        OptionKind::Text,
        "The key as a text with escapes, instead of a header; an empty one is none",
    ),
    OptionSpec::optional(
        "partition",
        OptionKind::Integer { min: 0, max: i32::MAX as i64 },
        "The partition of every record; without it the key decides",
    ),
    OptionSpec::optional(
        "partition-header",
        OptionKind::Text,
        "A header that chooses the partition where an event has it",
    ),
    OptionSpec::optional(
        "timestamp-header",
        OptionKind::Text,
        "A header with the time of the record, in milliseconds since 1970; without it, or where it is no number, the time \
         of sending",
    ),
    OptionSpec::with_default(
        "use-as-flume-event",
        OptionKind::Boolean,
        "#false",
        "Sends events with their headers as Flume events in Avro",
    ),
    OptionSpec::with_default(
        "record-headers",
        OptionKind::Choice(&["none", "all"]),
        "none",
        "Whether headers of events become headers of records",
    ),
    OptionSpec::with_default(
        "header-names",
        OptionKind::Map,
        "",
        "Sends only these headers of events: `header-names { event-header \"record-header\" }`",
    ),
    OptionSpec::with_default(
        "acks",
        OptionKind::Choice(&["all", "1", "0"]),
        "all",
        "How many copies there have to be: on all replicas in step, on the leader, or none that anybody waits for",
    ),
    OptionSpec::with_default(
        "idempotence",
        OptionKind::Boolean,
        "#true",
        "Whether the client's own repetitions neither double nor reorder records; needs `acks \"all\"`",
    ),
    OptionSpec::optional(
        "transactional-id",
        OptionKind::Text,
        "Makes each batch a transaction under this id, which nobody else may use; lane numbers are added to it",
    ),
    OptionSpec::optional(
        "offsets-of",
        OptionKind::Texts,
        "Commits the offsets of these `kafka` sources, which have `offsets \"sink\"` and the same memory channel, in the \
         transaction that holds their events: exactly once for readers of what is committed; needs `transactional-id`",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]),
        "none",
        "Compression of what is sent",
    ),
    OptionSpec::with_default(
        "linger",
        OptionKind::Duration,
        "1ms",
        "How long the client waits for more records before it sends a request",
    ),
    OptionSpec::with_default(
        "delivery-timeout",
        OptionKind::Duration,
        "30s",
        "How long the client tries to deliver a record before the sink backs off and tries again",
    ),
    OptionSpec::with_default(
        "record-bytes",
        OptionKind::Size,
        "1MB",
        "Largest record, key and headers included; larger ones go to the dead-letter channel. Brokers and topics have a limit \
         of their own",
    ),
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
    SECURITY_PROTOCOL,
    SASL,
    TLS,
    PROPERTIES,
];

/// Which headers of an event a record gets.
pub(crate) enum SinkHeaders {
    None,
    All,
    /// These: by the name in the event, the name in the record.
    Some(Vec<(String, String)>),
}

/// Everything the options say.
pub(crate) struct Settings {
    pub(crate) config: ClientConfig,
    pub(crate) topic: Template,
    pub(crate) topic_header: Option<String>,
    pub(crate) key_header: String,
    pub(crate) key: Option<Template>,
    pub(crate) partition: Option<i32>,
    pub(crate) partition_header: Option<String>,
    pub(crate) timestamp_header: Option<String>,
    pub(crate) is_flume_event: bool,
    pub(crate) headers: SinkHeaders,
    pub(crate) transactional_id: Option<String>,
    pub(crate) record_bytes_max: usize,
    pub(crate) time_rule: TimeRule,
}

impl Settings {
    pub(crate) fn new(section: &Section, cx: &BuildContext) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let topic = template(section, "topic", &mut findings);
        let key = section.has("key").then(|| template(section, "key", &mut findings));
        let mut config = client_config(section, cx, &mut findings);
        let transactional_id =
            section.optional_text("transactional-id").map(|id| format!("{id}-{}", cx.lane));
        producer_settings(section, transactional_id.as_deref(), &mut config, &mut findings);
        finish_config(section, &mut config, &mut findings);
        if section.has("offsets-of") && transactional_id.is_none() {
            let reason = "`offsets-of` needs `transactional-id`: offsets are committed in transactions";
            findings.push(
                Diagnostic::error("kafka::exactly-once", section.span_of("offsets-of"), reason).help(
                    format!(
                        "write `transactional-id \"{}-{}\"`, another one in each agent",
                        cx.agent, cx.component
                    ),
                ),
            );
        }
        let time_rule = time_rule(section).unwrap_or_else(|found| {
            findings.extend(found);
            TimeRule::default()
        });
        if !findings.is_empty() {
            return Err(findings);
        }
        let names = section.map("header-names");
        let headers = match (names.is_empty(), section.text("record-headers")) {
            (false, _) => SinkHeaders::Some(names.to_vec()),
            (true, "all") => SinkHeaders::All,
            (true, _) => SinkHeaders::None,
        };
        let owned = |option| section.optional_text(option).map(str::to_owned);
        Ok(Self {
            config,
            topic,
            topic_header: owned("topic-header"),
            key_header: section.text("key-header").to_owned(),
            key,
            partition: section.optional_integer("partition").and_then(|number| i32::try_from(number).ok()),
            partition_header: owned("partition-header"),
            timestamp_header: owned("timestamp-header"),
            is_flume_event: section.boolean("use-as-flume-event"),
            headers,
            transactional_id,
            record_bytes_max: usize::try_from(section.size("record-bytes")).unwrap_or(usize::MAX),
            time_rule,
        })
    }

    /// What is expanded for an event: the topic, then the key where it is a text with escapes.
    pub(crate) fn templates(&self) -> Vec<Template> {
        std::iter::once(&self.topic).chain(&self.key).cloned().collect()
    }
}

fn template(section: &Section, option: &str, findings: &mut Diagnostics) -> Template {
    Template::parse(section.optional_text(option).unwrap_or_default(), Target::Text).unwrap_or_else(
        |mistakes| {
            let span = section.span_of(option);
            findings.push(Diagnostic::error("kafka::invalid-escape", span, mistakes.join("; ")));
            Template::literal("")
        },
    )
}

/// What a producer adds to the settings of a client.
pub(crate) fn producer_settings(
    section: &Section,
    transactional_id: Option<&str>,
    config: &mut ClientConfig,
    findings: &mut Diagnostics,
) {
    let acks = section.text("acks");
    let idempotence = section.boolean("idempotence") && acks == "all";
    if acks != "all" && transactional_id.is_some() {
        let reason = format!("transactions need acks \"all\", not {acks:?}");
        findings.push(Diagnostic::error("kafka::weak-acks", section.span_of("acks"), reason));
    }
    let millis = |option: &str| section.duration(option).as_millis().to_string();
    config
        .set("acks", acks)
        .set("enable.idempotence", idempotence.to_string())
        .set("compression.type", section.text("compression"))
        .set("linger.ms", millis("linger"))
        .set("message.timeout.ms", millis("delivery-timeout"))
        .set("message.max.bytes", section.size("record-bytes").to_string())
        // As the Java client does it, so that keys of both land in the same partitions.
        .set("partitioner", "murmur2_random");
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
        // A record may not be tried for longer than its transaction lasts.
        let timeout = section.duration("delivery-timeout").as_millis().max(60_000);
        config.set("transaction.timeout.ms", timeout.to_string());
    }
}
