//! How a client reaches its brokers, and the settings of librdkafka that are passed through.
//!
//! Everything is checked without a broker: librdkafka itself is asked whether it knows each setting and takes its value.

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::BuildContext;
use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};

/// `bootstrap-servers "kafka-1:9092" "kafka-2:9092"`.
pub(crate) const BOOTSTRAP_SERVERS: OptionSpec = OptionSpec::required(
    "bootstrap-servers",
    OptionKind::Addresses,
    "Brokers to ask for the cluster first; others are found through them",
);

/// `security-protocol "sasl-ssl"`.
pub(crate) const SECURITY_PROTOCOL: OptionSpec = OptionSpec::with_default(
    "security-protocol",
    OptionKind::Choice(&["plaintext", "ssl", "sasl-plaintext", "sasl-ssl"]),
    "plaintext",
    "How brokers are spoken to: with TLS or without, with credentials or without",
);

const SASL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "mechanism",
        OptionKind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
        "PLAIN",
        "How the client proves who it is",
    ),
    OptionSpec::optional("username", OptionKind::Text, "The user name"),
    OptionSpec::optional(
        "password",
        OptionKind::Text,
        "The password; write `${env:NAME}` or `${file:/path}` to keep it out of the configuration",
    ),
];

/// `sasl mechanism="SCRAM-SHA-512" username="agent" password="${env:KAFKA_PASSWORD}"`.
pub(crate) const SASL: OptionSpec = OptionSpec::with_default(
    "sasl",
    OptionKind::Block(SASL_OPTIONS),
    "",
    "Credentials, where `security-protocol` has SASL in it",
);

const TLS_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "ca",
        OptionKind::Path,
        "A PEM file of certificate authorities to trust; without it those of the system",
    ),
    OptionSpec::optional("certificate", OptionKind::Path, "A PEM file with the client's own certificate"),
    OptionSpec::optional("key", OptionKind::Path, "A PEM file with the key of that certificate"),
    OptionSpec::optional("key-password", OptionKind::Text, "The password of the key"),
    OptionSpec::with_default(
        "verify-host",
        OptionKind::Boolean,
        "#true",
        "Whether the name of a broker has to be in its certificate",
    ),
];

/// `tls { ca "/etc/kafka/ca.pem" }`.
pub(crate) const TLS: OptionSpec = OptionSpec::with_default(
    "tls",
    OptionKind::Block(TLS_OPTIONS),
    "",
    "Trust and the client's certificate, where `security-protocol` has SSL in it",
);

/// `properties { "fetch.min.bytes" "65536" }`.
pub(crate) const PROPERTIES: OptionSpec = OptionSpec::with_default(
    "properties",
    OptionKind::Map,
    "",
    "Further settings of librdkafka by their own names, such as `\"socket.keepalive.enable\" \"true\"`",
);

/// Settings that options stand for, or that guarantees rest on, with what to write instead.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "option `bootstrap-servers` names the brokers"),
    ("metadata.broker.list", "option `bootstrap-servers` names the brokers"),
    ("security.protocol", "option `security-protocol` stands for it"),
    ("sasl.mechanism", "option `sasl` holds the credentials"),
    ("sasl.mechanisms", "option `sasl` holds the credentials"),
    ("sasl.username", "option `sasl` holds the credentials"),
    ("sasl.password", "option `sasl` holds the credentials"),
    ("ssl.ca.location", "option `tls` holds the certificates"),
    ("ssl.certificate.location", "option `tls` holds the certificates"),
    ("ssl.key.location", "option `tls` holds the certificates"),
    ("ssl.key.password", "option `tls` holds the certificates"),
    ("ssl.endpoint.identification.algorithm", "option `tls` has `verify-host`"),
    ("group.id", "option `group` names the consumer group"),
    ("enable.auto.commit", "offsets are committed after the events they stand for"),
    ("auto.commit.interval.ms", "offsets are committed after the events they stand for"),
    ("enable.auto.offset.store", "offsets are committed after the events they stand for"),
    ("offset.store.method", "offsets are kept by the brokers"),
    ("auto.offset.reset", "option `start` stands for it"),
    ("isolation.level", "option `isolation` stands for it"),
    ("partition.assignment.strategy", "option `assignment` stands for it"),
    ("enable.partition.eof", "nothing here looks at it"),
    ("transactional.id", "option `transactional-id` stands for it"),
    ("enable.idempotence", "option `idempotence` stands for it"),
    ("acks", "option `acks` stands for it"),
    ("request.required.acks", "option `acks` stands for it"),
    ("compression.codec", "option `compression` stands for it"),
    ("compression.type", "option `compression` stands for it"),
    ("linger.ms", "option `linger` stands for it"),
    ("queue.buffering.max.ms", "option `linger` stands for it"),
    ("message.timeout.ms", "option `delivery-timeout` stands for it"),
    ("delivery.timeout.ms", "option `delivery-timeout` stands for it"),
    ("message.max.bytes", "option `record-bytes` stands for it"),
    ("delivery.report.only.error", "every delivery is waited for"),
    ("log.queue", "the log is the agent's own"),
    ("log_level", "`millrace log-level` changes it"),
    ("plugin.library.paths", "no foreign code is loaded"),
];

/// The settings that sources, sinks and channels share.
pub(crate) fn client_config(
    section: &Section,
    cx: &BuildContext,
    findings: &mut Diagnostics,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    let servers: Vec<&str> =
        section.texts(BOOTSTRAP_SERVERS.name).iter().map(|server| server.value.as_str()).collect();
    config
        .set("bootstrap.servers", servers.join(","))
        .set("client.id", format!("millrace-{}-{}", cx.agent, cx.component))
        .set("statistics.interval.ms", "5000")
        // The first attempts after a broker is back should not take seconds.
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Info);
    security(section, &mut config, findings);
    config
}

fn security(section: &Section, config: &mut ClientConfig, findings: &mut Diagnostics) {
    let protocol = section.text(SECURITY_PROTOCOL.name);
    config.set("security.protocol", protocol.replace('-', "_"));
    let (has_sasl, has_tls) = (protocol.starts_with("sasl"), protocol.ends_with("ssl"));
    if let Some(sasl) = section.block(SASL.name) {
        let (user, password) = (sasl.optional_text("username"), sasl.optional_text("password"));
        if has_sasl {
            config.set("sasl.mechanisms", sasl.text("mechanism"));
            let needs_user = sasl.text("mechanism") != "OAUTHBEARER";
            for (name, value) in [("username", user), ("password", password)] {
                match value {
                    Some(value) => _ = config.set(format!("sasl.{name}"), value),
                    None if needs_user => findings.push(
                        Diagnostic::error(
                            "kafka::no-credentials",
                            section.span_of(SECURITY_PROTOCOL.name),
                            format!("security-protocol {protocol:?} needs a {name}"),
                        )
                        .help("write `sasl username=\"agent\" password=\"${env:KAFKA_PASSWORD}\"`"),
                    ),
                    None => {}
                }
            }
        } else if user.is_some() || password.is_some() {
            findings.push(unused(section, SASL.name, protocol, "sasl-ssl"));
        }
    }
    let Some(tls) = section.block(TLS.name) else { return };
    let paths =
        [("ca", "ssl.ca.location"), ("certificate", "ssl.certificate.location"), ("key", "ssl.key.location")];
    for (option, setting) in paths {
        let Some(path) = tls.optional_path(option) else { continue };
        if !has_tls {
            findings.push(unused(section, TLS.name, protocol, "ssl"));
            return;
        }
        if let Err(error) = readable(path) {
            let reason = format!("cannot use {}: {error}", path.display());
            findings.push(Diagnostic::error("kafka::invalid-certificate", tls.span_of(option), reason));
        }
        config.set(setting, path.display().to_string());
    }
    if has_tls {
        if let Some(password) = tls.optional_text("key-password") {
            config.set("ssl.key.password", password);
        }
        let algorithm = if tls.boolean("verify-host") { "https" } else { "none" };
        config.set("ssl.endpoint.identification.algorithm", algorithm);
    }
}

#[expect(clippy::disallowed_methods, reason = "the user names a file of certificates")]
fn readable(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::File::open(path).map(drop)
}

fn unused(section: &Section, option: &str, protocol: &str, instead: &str) -> Diagnostic {
    Diagnostic::error(
        "kafka::unused",
        section.span_of(option),
        format!("`{option}` has no effect with security-protocol {protocol:?}"),
    )
    .help(format!("write `security-protocol {instead:?}`"))
}

/// Adds what is passed through, and asks librdkafka about all of it.
pub(crate) fn finish_config(section: &Section, config: &mut ClientConfig, findings: &mut Diagnostics) {
    let span = section.span_of(PROPERTIES.name);
    for (name, value) in section.map(PROPERTIES.name) {
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == name) {
            let reason = format!("`{name}` cannot be set here: {instead}");
            findings.push(Diagnostic::error("kafka::owned-property", span, reason));
            continue;
        }
        let mut alone = ClientConfig::new();
        if let Err(error) = alone.set(name, value).create_native_config() {
            let reason = match error {
                KafkaError::ClientConfig(_, reason, ..) => format!("`{name}` {value:?}: {reason}"),
                error => format!("`{name}` {value:?}: {error}"),
            };
            findings.push(
                Diagnostic::error("kafka::invalid-property", span, reason).help(
                    "the names are those of librdkafka's CONFIGURATION.md, not those of the Java client",
                ),
            );
            continue;
        }
        config.set(name, value);
    }
    if findings.is_empty()
        && let Err(error) = config.create_native_config()
    {
        let reason = format!("the client refuses these options: {error}");
        findings.push(Diagnostic::error("kafka::invalid-options", section.span(), reason));
    }
}

/// An error as people read it: librdkafka's sentence with its name behind it.
pub(crate) fn told(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    match text.split_once(" (") {
        Some((name, sentence)) => format!("{} ({name})", sentence.trim_end_matches(')')),
        None => text,
    }
}

/// The same for any error of the client.
pub(crate) fn told_error(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => format!("{} ({})", error.string(), error.name()),
        error => error.rdkafka_error_code().map_or_else(|| error.to_string(), told),
    }
}
