//! The options of the source, checked and typed.

use std::{collections::HashMap, time::Duration};

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::BuildContext;
use rdkafka::ClientConfig;

use crate::{
    connection::{BOOTSTRAP_SERVERS, PROPERTIES, SASL, SECURITY_PROTOCOL, TLS, client_config, finish_config},
    consumer::group_settings,
    record::{RecordHeaders, RecordRule},
};

/// The options of the source.
pub(super) const OPTIONS: &[OptionSpec] = &[
    BOOTSTRAP_SERVERS,
    OptionSpec::optional("topics", OptionKind::Texts, "Topics to read"),
    OptionSpec::optional(
        "topics-pattern",
        OptionKind::Regex,
        "Reads every topic whose name this expression matches, from its first character on; new ones too",
    ),
    OptionSpec::with_default("group", OptionKind::Text, "millrace", "The consumer group to be a member of"),
    OptionSpec::with_default(
        "start",
        OptionKind::Choice(&["earliest", "latest", "error"]),
        "earliest",
        "Where reading begins in a partition of which the group has no offset, or one that is gone",
    ),
    OptionSpec::with_default(
        "isolation",
        OptionKind::Choice(&["read-committed", "read-uncommitted"]),
        "read-committed",
        "Whether records of transactions that are open or were aborted are read",
    ),
    OptionSpec::with_default(
        "offsets",
        OptionKind::Choice(&["source", "sink"]),
        "source",
        "Who commits offsets: the source, when the channels have the events (at least once), or the `kafka` sink whose \
         `offsets-of` names this source, in its transactions (exactly once)",
    ),
    OptionSpec::with_default(
        "assignment",
        OptionKind::Choice(&["cooperative-sticky", "range", "roundrobin"]),
        "cooperative-sticky",
        "How the group shares partitions out; all members have to agree, and `cooperative-sticky` does not mix with the \
         others",
    ),
    OptionSpec::with_default(
        "revoke-wait",
        OptionKind::Duration,
        "10s",
        "How long a partition that goes to another member waits for the batch under way, which would be read twice",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Bounds the events of one batch",
    ),
    OptionSpec::with_default("batch-bytes", OptionKind::Size, "1MiB", "Bounds the bytes of one batch"),
    OptionSpec::with_default(
        "batch-wait",
        OptionKind::Duration,
        "100ms",
        "How long a batch that is not full waits for more records",
    ),
    OptionSpec::with_default(
        "parse-as-flume-event",
        OptionKind::Boolean,
        "#false",
        "Takes values for Flume events in Avro, headers and all; others go to the dead-letter channel",
    ),
    OptionSpec::with_default(
        "set-topic-header",
        OptionKind::Boolean,
        "#true",
        "Whether events get a header with their topic",
    ),
    OptionSpec::with_default("topic-header", OptionKind::Text, "topic", "The name of that header"),
    OptionSpec::with_default(
        "position-headers",
        OptionKind::Boolean,
        "#true",
        "Whether events get headers `timestamp`, `partition` and `offset`; without them neighbours share their headers, \
         which is faster",
    ),
    OptionSpec::with_default(
        "record-headers",
        OptionKind::Choice(&["all", "none"]),
        "all",
        "Whether headers of records become headers of events",
    ),
    OptionSpec::with_default(
        "header-names",
        OptionKind::Map,
        "",
        "Takes only these headers of records: `header-names { event-header \"record-header\" }`",
    ),
    SECURITY_PROTOCOL,
    SASL,
    TLS,
    PROPERTIES,
];

/// Everything the options say.
pub(super) struct Settings {
    pub(super) config: ClientConfig,
    pub(super) topics: Vec<String>,
    pub(super) group: String,
    pub(super) rule: RecordRule,
    pub(super) batch_events_max: usize,
    pub(super) batch_bytes_max: usize,
    pub(super) batch_wait: Duration,
    pub(super) revoke_wait: Duration,
}

impl Settings {
    pub(super) fn new(section: &Section, cx: &BuildContext) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let topics = topics(section, &mut findings);
        let mut config = client_config(section, cx, &mut findings);
        group_settings(&mut config, section.text("group"), section.text("start"));
        config
            .set("isolation.level", section.text("isolation").replace('-', "_"))
            .set("partition.assignment.strategy", section.text("assignment"));
        finish_config(section, &mut config, &mut findings);
        if config.get("group.instance.id").is_some() && section.text("assignment") == "cooperative-sticky" {
            let reason = "a member with `group.instance.id` that restarts while partitions move can be left without any";
            findings.push(
                Diagnostic::error("kafka::static-member", section.span_of("properties"), reason)
                    .help("write `assignment \"range\"` beside it, for all members of the group"),
            );
        }
        let for_sink = section.text("offsets") == "sink";
        if for_sink {
            check_for_sink(section, &config, &mut findings);
        }
        if section.text("group").is_empty() {
            findings.push(Diagnostic::error(
                "kafka::no-group",
                section.span_of("group"),
                "a group has a name",
            ));
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let names: HashMap<_, _> = section
            .map("header-names")
            .iter()
            .map(|(event, record)| (record.clone(), event.as_str().into()))
            .collect();
        let record_headers = match (names.is_empty(), section.text("record-headers")) {
            (false, _) => RecordHeaders::Some(names),
            (true, "none") => RecordHeaders::None,
            (true, _) => RecordHeaders::All,
        };
        let topic_header = section.boolean("set-topic-header").then(|| section.text("topic-header").into());
        Ok(Self {
            config,
            topics,
            group: section.text("group").to_owned(),
            rule: RecordRule {
                component: cx.component.clone(),
                is_flume_event: section.boolean("parse-as-flume-event"),
                topic_header,
                has_position: section.boolean("position-headers"),
                record_headers,
                has_place: for_sink,
            },
            batch_events_max: section.count("batch-size"),
            batch_bytes_max: usize::try_from(section.size("batch-bytes")).unwrap_or(usize::MAX),
            batch_wait: section.duration("batch-wait"),
            revoke_wait: section.duration("revoke-wait"),
        })
    }
}

/// What the sink that commits the offsets relies on.
fn check_for_sink(section: &Section, config: &ClientConfig, findings: &mut Diagnostics) {
    if section.text("isolation") != "read-committed" {
        let reason = "`offsets \"sink\"` needs isolation \"read-committed\": otherwise offsets of open transactions are not \
                      waited for";
        findings.push(
            Diagnostic::error("kafka::exactly-once", section.span_of("isolation"), reason)
                .help("write `isolation \"read-committed\"`"),
        );
    }
    if config.get("group.protocol").is_some_and(|protocol| protocol != "classic") {
        let reason =
            "`offsets \"sink\"` needs `group.protocol` \"classic\", whose generations protect the offsets";
        findings.push(
            Diagnostic::error("kafka::exactly-once", section.span_of("properties"), reason)
                .help("leave `group.protocol` out"),
        );
    }
}

/// Names, or a pattern as librdkafka wants it: beginning with `^`.
fn topics(section: &Section, findings: &mut Diagnostics) -> Vec<String> {
    let named: Vec<String> = section.texts("topics").iter().map(|topic| topic.value.clone()).collect();
    let pattern = section.optional_text("topics-pattern");
    if named.is_empty() == pattern.is_none() {
        let at = if named.is_empty() { section.span() } else { section.span_of("topics-pattern") };
        findings.push(
            Diagnostic::error("kafka::no-topic", at, "either `topics` or `topics-pattern`")
                .help("write `topics \"web\" \"mail\"` or `topics-pattern \"web-.*\"`"),
        );
    }
    for topic in section.texts("topics") {
        let is_allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if topic.value.is_empty() || topic.value.len() > 249 || !topic.value.chars().all(is_allowed) {
            let reason = format!(
                "{:?} is no name of a topic: letters, digits, `.`, `_` and `-` are allowed",
                topic.value
            );
            findings.push(
                Diagnostic::error("kafka::invalid-topic", topic.span, reason)
                    .help("a pattern is written `topics-pattern \"web-.*\"`"),
            );
        }
    }
    match pattern {
        Some(pattern) if pattern.starts_with('^') => vec![pattern.to_owned()],
        Some(pattern) => vec![format!("^{pattern}")],
        None => named,
    }
}
