//! What has to hold between a source, its channel and the sink that commits its offsets.
//!
//! A ledger follows events through one channel that keeps their order and forgets them with the process, to one worker of one
//! sink. Everything else is refused, with the way out.

use millrace_config::{Diagnostic, Diagnostics, Section};
use millrace_core::{WiredSink, WiredSource, Wiring};

const KIND: &str = "kafka";
const CODE: &str = "kafka::exactly-once";

/// Checks all sources that leave their offsets to a sink, and all sinks that commit some.
pub(crate) fn check(wiring: &Wiring<'_>) -> Diagnostics {
    let mut findings = Diagnostics::default();
    for source in wiring.sources.iter().filter(|source| leaves_offsets(source)) {
        check_source(source, wiring, &mut findings);
    }
    for sink in wiring.sinks.iter().filter(|sink| !committed_by(sink).is_empty()) {
        check_names(sink, wiring, &mut findings);
        check_sink(sink, wiring, &mut findings);
    }
    findings
}

fn leaves_offsets(source: &WiredSource<'_>) -> bool {
    source.kind == KIND && source.section.text("offsets") == "sink"
}

/// The sources whose offsets a sink commits.
fn committed_by(sink: &WiredSink<'_>) -> Vec<String> {
    if sink.kind != KIND {
        return Vec::new();
    }
    sink.section.texts("offsets-of").iter().map(|name| name.value.clone()).collect()
}

fn names(sink: &WiredSink<'_>, source: &WiredSource<'_>) -> bool {
    committed_by(sink).iter().any(|name| name == source.name)
}

fn error(section: &Section, option: &str, reason: String, help: impl Into<String>) -> Diagnostic {
    Diagnostic::error(CODE, section.span_of(option), reason).help(help)
}

/// One memory channel for everything, emptied by the one sink that names the source.
fn check_source(source: &WiredSource<'_>, wiring: &Wiring<'_>, findings: &mut Diagnostics) {
    let (name, section) = (source.name, source.section);
    let [way] = source.ways else {
        let ways: Vec<_> = source.ways.iter().map(|way| format!("`{}`", way.channel)).collect();
        let reason = format!(
            "source `{name}` leaves its offsets to a sink and writes to {} channels: {}",
            ways.len(),
            ways.join(", ")
        );
        let help = "give it one memory channel, or write `offsets \"source\"`: at least once";
        return findings.push(error(section, "offsets", reason, help));
    };
    if way.when.is_some() {
        let reason = format!(
            "source `{name}` leaves its offsets to a sink, and its selector sends some events nowhere"
        );
        findings.push(error(
            section,
            "offsets",
            reason,
            "leave the selector out, and filter with an interceptor",
        ));
    }
    let channel = wiring.channels.iter().find(|channel| channel.name == way.channel);
    if let Some(channel) = channel.filter(|channel| channel.kind != "memory") {
        let reason = format!(
            "source `{name}` leaves its offsets to a sink, but channel `{}` ({}) keeps events over a restart, which would \
             repeat them",
            channel.name, channel.kind
        );
        let help =
            "give it a memory channel: what is lost with that is read again; or write `offsets \"source\"`";
        findings.push(error(section, "offsets", reason, help));
    }
    let naming: Vec<_> = wiring.sinks.iter().filter(|sink| names(sink, source)).collect();
    match naming.as_slice() {
        [] => {
            let reason = format!("source `{name}` leaves its offsets to a sink, but no sink commits them");
            let help =
                format!("write `offsets-of \"{name}\"` in the kafka sink of channel `{}`", way.channel);
            findings.push(error(section, "offsets", reason, help));
        }
        [sink] if sink.channel != way.channel => {
            let reason = format!(
                "sink `{}` commits the offsets of `{name}`, but takes from `{}` and not from `{}`",
                sink.name, sink.channel, way.channel
            );
            findings.push(error(sink.section, "offsets-of", reason, "give both the same memory channel"));
        }
        [sink] => check_clusters(source, sink, findings),
        [_, second, ..] => {
            let reason = format!("the offsets of `{name}` are committed by {} sinks", naming.len());
            findings.push(error(second.section, "offsets-of", reason, "name the source in one of them"));
        }
    }
}

/// A transaction spans one cluster.
fn check_clusters(source: &WiredSource<'_>, sink: &WiredSink<'_>, findings: &mut Diagnostics) {
    let servers = |section: &Section| -> Vec<String> {
        section.texts("bootstrap-servers").iter().map(|server| server.value.clone()).collect()
    };
    let (reads, writes) = (servers(source.section), servers(sink.section));
    if !reads.iter().any(|server| writes.contains(server)) {
        let reason = format!(
            "source `{}` reads from {} and sink `{}` writes to {}: a transaction spans one cluster",
            source.name,
            reads.join(", "),
            sink.name,
            writes.join(", ")
        );
        let help =
            "where both are one cluster, write the same `bootstrap-servers`; otherwise `offsets \"source\"`";
        findings.push(error(sink.section, "bootstrap-servers", reason, help));
    }
}

/// Names are those of sources that leave their offsets.
fn check_names(sink: &WiredSink<'_>, wiring: &Wiring<'_>, findings: &mut Diagnostics) {
    for name in committed_by(sink) {
        match wiring.sources.iter().find(|source| source.name == name) {
            Some(source) if leaves_offsets(source) => {}
            Some(source) if source.kind == KIND => {
                let reason = format!("source `{name}` commits its offsets itself");
                let help = format!("write `offsets \"sink\"` in source `{name}`");
                findings.push(error(sink.section, "offsets-of", reason, help));
            }
            Some(source) => {
                let reason = format!("source `{name}` ({}) has no offsets", source.kind);
                findings.push(error(sink.section, "offsets-of", reason, "name kafka sources only"));
            }
            None => {
                let known: Vec<_> = wiring
                    .sources
                    .iter()
                    .filter(|source| source.kind == KIND)
                    .map(|source| source.name)
                    .collect();
                let reason = format!("there is no source `{name}`");
                let help = format!("kafka sources: {}", known.join(", "));
                findings.push(error(sink.section, "offsets-of", reason, help));
            }
        }
    }
}

/// The sink is alone at its channel, works in order, and gets events as they are.
fn check_sink(sink: &WiredSink<'_>, wiring: &Wiring<'_>, findings: &mut Diagnostics) {
    let (name, channel) = (sink.name, sink.channel);
    let mut refuse =
        |reason: String, help: &str| findings.push(error(sink.section, "offsets-of", reason, help));
    if let Some(group) = sink.group {
        let reason = format!("sink `{name}` commits offsets and is in the group `{group}`");
        refuse(reason, "take it out of the group: offsets follow one sink");
    }
    let other = wiring.sinks.iter().find(|other| other.channel == channel && other.name != name);
    if let Some(other) = other.filter(|_| sink.group.is_none()) {
        let reason = format!(
            "sink `{name}` commits offsets, and sink `{}` takes from the same channel `{channel}`",
            other.name
        );
        refuse(reason, "give the other sink a channel of its own");
    }
    if sink.delivery.count("concurrency") > 1 {
        let reason = format!(
            "sink `{name}` commits offsets and has concurrency {}",
            sink.delivery.count("concurrency")
        );
        refuse(reason, "leave `concurrency` out; more agents in the group share the partitions");
    }
    if sink.delivery.block("codec").is_some() {
        let reason = format!(
            "sink `{name}` commits offsets and has a codec, behind which events cannot be told apart"
        );
        refuse(reason, "use an interceptor instead of the codec");
    }
    let strangers = wiring.sources.iter().filter(|source| !names(sink, source));
    for source in strangers.filter(|source| source.ways.iter().any(|way| way.channel == channel)) {
        let reason =
            format!("sink `{name}` commits offsets, and source `{}` writes to its channel too", source.name);
        refuse(reason, "give that source a channel of its own, or name it in `offsets-of`");
    }
    if wiring.dead_letter == Some(channel) {
        let reason =
            format!("sink `{name}` commits offsets, and its channel `{channel}` takes dead letters too");
        refuse(reason, "give dead letters a channel of their own");
    }
}
