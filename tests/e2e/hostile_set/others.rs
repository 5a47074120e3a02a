//! Hostile sources, sinks and codecs.

use super::case::{Amount, Case, Expect, PATIENT, Role, SHORT};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = sources();
    cases.extend(sinks());
    cases.extend(codecs());
    cases
}

/// Only loops meet their deadline.
fn limits(kind: &str) -> &'static str {
    if kind == "loops" { SHORT } else { PATIENT }
}

/// It gives the events before the one at which it breaks, each once, and is started again and again.
fn source(name: &'static str, kind: &str, events: u64) -> Case {
    Case::new(Role::Source, name, "source-breaks")
        .options(format!("kind {kind:?}; at {events}"))
        .plugin(limits(kind))
        .expect(Expect::CountsTo(events))
}

fn traps_in(name: &'static str, call: &str, expect: Expect) -> Case {
    Case::new(Role::Source, name, "source-traps")
        .options(format!("in {call:?}; at {}", if call == "open" { 0 } else { 5 }))
        .expect(expect)
        .expect(Expect::LastError("the plugin broke: trap: "))
        .faults("trap", 2)
}

fn sources() -> Vec<Case> {
    let broke = |case: Case, kind, reason| case.faults(kind, 2).expect(Expect::LastError(reason));
    vec![
        traps_in("trap-in-open", "open", Expect::CountsTo(0)),
        traps_in("trap-in-poll", "poll", Expect::CountsTo(5)),
        traps_in("trap-in-committed", "committed", Expect::Counts(6)),
        Case::new(Role::Source, "position-goes-back", "source-backwards")
            .expect(Expect::CountsTo(2))
            .expect(Expect::LastError("answer: the position went back to where it was 1 answers ago"))
            .faults("answer", 2),
        broke(source("poll-loops", "loops", 3), "deadline", "the call took longer than 75ms"),
        broke(source("poll-allocates", "allocates", 3), "memory", "bytes of memory allowed"),
        broke(source("poll-recurses", "recurses", 3), "stack", "the stack is used up"),
        broke(source("poll-floods", "too-many", 3), "answer", "at most 1000 were asked for"),
        broke(source("huge-position", "huge-position", 3), "answer", "at most 65536 are allowed"),
        source("poll-gives-up", "gives-up", 3)
            .expect(Expect::LastError("the plugin gave up in `poll`: asked to give up")),
        source("poll-later", "later", 3)
            .expect(Expect::LastError("the plugin asks to try again later"))
            .expect(Expect::CallsArePaced),
        source("poll-spins", "spins", 3).expect(Expect::CallsArePaced),
        source("source-stop", "stop", 3).faults("trap", 1),
    ]
}

/// One line of four breaks it: that one is set aside, the others are delivered.
fn sink(name: &'static str, kind: &str, fault: &str, reason: &'static str) -> Case {
    Case::new(Role::Sink, name, "sink-breaks")
        .options(format!("kind {kind:?}"))
        .plugin(limits(kind))
        .lines(&["a", "b", "poison", "c"])
        .letters(&["poison"], reason)
        .faults(fault, 2)
        .expect(Expect::Metric("sink_events_delivered_total", Amount::PerRound(3)))
}

fn sinks() -> Vec<Case> {
    let bad = |name, kind: &str| {
        Case::new(Role::Sink, name, "sink-breaks").options(format!("kind {kind:?}")).lines(&["poison"])
    };
    vec![
        sink("deliver-loops", "loops", "deadline", "the call took longer than 75ms"),
        sink("deliver-allocates", "allocates", "memory", "bytes of memory allowed"),
        sink("deliver-recurses", "recurses", "stack", "the stack is used up"),
        sink("deliver-out-of-range", "out-of-range", "answer", "is refused, the batch has"),
        Case {
            guest: "sink-traps",
            options: String::new(),
            plugin: r#"limits memory="16MiB" time="5s"; grant { http "http://granted.example" }"#.into(),
            ..sink("trap-in-deliver", "", "trap", "is poison")
        },
        bad("sink-rejects", "rejects").rejected(&["poison"], "asked to reject"),
        bad("sink-gives-up", "gives-up")
            .expect(Expect::LastError("the plugin gave up: asked to give up"))
            .expect(Expect::KeptPerRound(1)),
        bad("sink-later", "later")
            .expect(Expect::LastError("the plugin asks to try again later"))
            .expect(Expect::KeptPerRound(1)),
        bad("sink-stop", "stop")
            .faults("trap", 1)
            .expect(Expect::Metric("sink_events_delivered_total", Amount::PerRound(1))),
    ]
}

fn codec(role: Role, name: &'static str, call: &str, kind: &str, fault: &str) -> Case {
    let least = if call == "stop" { 1 } else { 2 };
    Case::new(role, name, "codec-breaks")
        .options(format!("in {call:?}; kind {kind:?}"))
        .plugin(limits(kind))
        .faults(fault, least)
}

/// The line is the stream's end: there is no telling what in it is wrong.
fn frame(name: &'static str, kind: &str, fault: &str) -> Case {
    let case = codec(Role::Decoder, name, "frame", kind, fault)
        .lines(&["poison"])
        .delivers(&[])
        .expect(Expect::Metric("source_read_failures_total", Amount::PerRound(1)));
    Case { connects_again: true, ..case }
}

fn codecs() -> Vec<Case> {
    let lines = &["a", "b", "poison", "c"];
    let decode = |name, kind, fault, reason| {
        codec(Role::Decoder, name, "decode", kind, fault)
            .lines(lines)
            .delivers(&["a", "b", "c"])
            .letters(&["poison\n"], reason)
    };
    let encode = |name, kind, fault, reason| {
        codec(Role::Encoder, name, "encode", kind, fault)
            .lines(lines)
            .delivers(&["a", "b", "c"])
            .letters(&["poison"], reason)
    };
    vec![
        frame("trap-in-frame", "traps", "trap"),
        frame("frame-loops", "loops", "deadline"),
        frame("frame-lies", "lies", "answer"),
        decode("trap-in-decode", "traps", "trap", "asked to panic in Decode"),
        decode("decode-loops", "loops", "deadline", "the call took longer than 75ms"),
        encode("trap-in-encode", "traps", "trap", "asked to panic in Encode"),
        encode("encode-loops", "loops", "deadline", "the call took longer than 75ms"),
        encode("encode-lies", "lies", "answer", "byte strings for"),
        codec(Role::Decoder, "codec-stop", "stop", "traps", "trap").lines(&["a"]).delivers(&["a"]),
    ]
}
