//! Options that cannot work are found without a broker, each with a reason.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{path::Path, sync::Arc};

use millrace_core::BuildContext;
use millrace_testkit::{TestClock, build_context, section};

fn context() -> BuildContext {
    build_context(Path::new("/nowhere"), Arc::new(TestClock::at(0)))
}

fn findings<T>(built: Result<T, millrace_config::Diagnostics>) -> Vec<(String, String)> {
    let found = built.err().unwrap_or_default();
    found.iter().map(|finding| (finding.code.to_string(), finding.reason.clone())).collect()
}

fn source(options: &str) -> Vec<(String, String)> {
    let factory = millrace_kafka::sources().remove(0);
    let kdl = format!("kafka \"in\" {{ bootstrap-servers \"localhost:9092\"; {options} }}");
    findings((factory.build)(&section(factory.options, &kdl), &context()))
}

fn sink(options: &str) -> Vec<(String, String)> {
    let factory = millrace_kafka::sinks().remove(0);
    let kdl = format!("kafka \"out\" {{ bootstrap-servers \"localhost:9092\"; {options} }}");
    findings((factory.build)(&section(factory.options, &kdl), &context()))
}

fn found(code: &str, reason: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), reason.to_owned())]
}

#[test]
fn what_is_right_is_found_to_be_right() {
    assert_eq!(source("topics \"a\" \"b\"; properties { \"fetch.min.bytes\" \"65536\" }"), []);
    assert_eq!(source("topics-pattern \"web-.*\""), []);
    assert_eq!(sink("topic \"logs-%{app}\"; transactional-id \"agent\"; compression \"zstd\""), []);
    let secure = "topic \"a\"; security-protocol \"sasl-ssl\"; sasl mechanism=\"SCRAM-SHA-512\" username=\"u\" password=\"p\"";
    assert_eq!(sink(secure), []);
}

#[test]
fn settings_that_options_stand_for_are_refused_with_the_option() {
    for (name, instead) in [
        ("group.id", "option `group` names the consumer group"),
        ("enable.auto.commit", "offsets are committed after the events they stand for"),
        ("plugin.library.paths", "no foreign code is loaded"),
        ("sasl.password", "option `sasl` holds the credentials"),
    ] {
        let options = format!("topics \"a\"; properties {{ {name:?} \"x\" }}");
        let reason = format!("`{name}` cannot be set here: {instead}");
        assert_eq!(source(&options), found("kafka::owned-property", &reason));
    }
}

#[test]
fn settings_that_the_client_does_not_know_are_refused_with_what_it_says() {
    let options = "topics \"a\"; properties { \"max.poll.records\" \"5\" }";
    let reason = "`max.poll.records` \"5\": No such configuration property: \"max.poll.records\"";
    assert_eq!(source(options), found("kafka::invalid-property", reason));
    let wrong = source("topics \"a\"; properties { \"fetch.min.bytes\" \"lots\" }");
    assert_eq!((wrong.len(), wrong[0].0.as_str()), (1, "kafka::invalid-property"));
}

#[test]
fn topics_credentials_and_certificates_that_cannot_work_are_found_all_at_once() {
    assert_eq!(source(""), found("kafka::no-topic", "either `topics` or `topics-pattern`"));
    assert_eq!(
        source("topics \"a\"; topics-pattern \"b\""),
        found("kafka::no-topic", "either `topics` or `topics-pattern`")
    );
    let all = sink("topic \"%Q\"; security-protocol \"sasl-plaintext\"; tls ca=\"/nowhere/ca.pem\"");
    let codes: Vec<&str> = all.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(
        codes,
        ["kafka::invalid-escape", "kafka::no-credentials", "kafka::no-credentials", "kafka::unused"]
    );
    let static_member = source("topics \"a\"; properties { \"group.instance.id\" \"x\" }");
    assert_eq!(static_member[0].0, "kafka::static-member");
    assert_eq!(source("topics \"a\"; assignment \"range\"; properties { \"group.instance.id\" \"x\" }"), []);
    let weak = sink("topic \"a\"; acks \"1\"; transactional-id \"x\"");
    assert_eq!(
        weak[0],
        ("kafka::weak-acks".to_owned(), "transactions need acks \"all\", not \"1\"".to_owned())
    );
}
