//! Hostile interceptors: what they do with their time, their memory, their answers and what they were lent.

use super::case::{Amount, Case, Expect, Role, SHORT};

/// Limits of plugins that need much memory to be harmful.
const LARGE: &str = r#"limits memory="512MiB" time="5s""#;

fn case(name: &'static str, guest: &'static str) -> Case {
    Case::new(Role::Interceptor, name, guest)
}

/// One line of four breaks it: that one is set aside, the others go on.
fn poisoned(name: &'static str, guest: &'static str, kind: &'static str, reason: &'static str) -> Case {
    case(name, guest)
        .lines(&["a", "b", "poison", "c"])
        .delivers(&["a", "b", "c"])
        .letters(&["poison"], reason)
        .faults(kind, 2)
}

/// Every line breaks it, and there are few: each is set aside.
fn breaks_on_all(name: &'static str, guest: &'static str, kind: &'static str, reason: &'static str) -> Case {
    case(name, guest).lines(&["a"]).delivers(&[]).letters(&["a"], reason).faults(kind, 2)
}

/// Every call takes a good part of a second and much memory.
fn rarely(case: Case) -> Case {
    Case { every: 8, ..case.plugin(LARGE) }
}

/// An answer that breaks a rule.
fn bad_rows(name: &'static str, kind: &str, reason: &'static str) -> Case {
    breaks_on_all(name, "bad-rows", "edits", reason).options(format!("kind {kind:?}"))
}

/// The batch is held, and tried again and again.
fn held(name: &'static str, guest: &'static str, options: &str, reason: &'static str) -> Case {
    case(name, guest).options(options).delivers(&[]).expect(Expect::LastError(reason))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = faults();
    cases.extend(answers());
    cases.extend(failures());
    cases.extend(floods());
    cases
}

fn faults() -> Vec<Case> {
    vec![
        poisoned("loop", "loops-forever", "deadline", "the call took longer than 75ms").plugin(SHORT),
        poisoned(
            "allocation",
            "allocates-forever",
            "memory",
            "more than the 16777216 bytes of memory allowed",
        ),
        poisoned("recursion", "recurses-forever", "stack", "the stack is used up"),
        poisoned("trap-in-intercept", "traps-on-poison", "trap", "is poison"),
        breaks_on_all("reads-out-of-range", "reads-out-of-range", "trap", "is out of range"),
        held(
            "trap-on-all",
            "traps-everywhere",
            r#"in "intercept""#,
            "the plugin breaks on every event, last with trap",
        )
        .lines(&["a"; 20])
        .faults("trap", 2),
        // It takes the place of one that works, and has to give it back.
        Case {
            follows: Some("keeps-all"),
            ..case("trap-on-trial", "traps-everywhere")
                .options(r#"in "intercept""#)
                .lines(&["a"])
                .delivers(&["a"])
                .faults("trap", 3)
                .expect(Expect::Plugin("swaps_rolled_back_total", String::new(), Amount::Exactly(1)))
        },
        // What it was not asked for it does not get: it only traps where the agent would swap it.
        case("trap-in-save", "traps-everywhere")
            .options(r#"in "save""#)
            .lines(&["a"])
            .delivers(&["a [alive=yes]"])
            .faults("trap", 1),
        case("trap-in-stop", "traps-everywhere")
            .options(r#"in "stop""#)
            .lines(&["a"])
            .delivers(&["a [alive=yes]"])
            .faults("trap", 1),
        // Stands here to be followed by one that traps in `restore`.
        case("trap-in-restore", "traps-everywhere")
            .lines(&["a"])
            .delivers(&["a [alive=yes]"])
            .faults("trap", 1),
    ]
}

fn answers() -> Vec<Case> {
    vec![
        bad_rows("rows-out-of-range", "out-of-range", "is out of range, the batch has"),
        bad_rows("rows-descending", "descending", "comes after row"),
        bad_rows("rows-duplicate", "duplicate", "row 0 comes after row 0"),
        bad_rows("rows-gone", "gone", "row 0 was dropped, split or rejected by an earlier edit"),
        bad_rows("packed-split", "split", "2 bodies for 3 rows"),
        bad_rows("packed-values", "values", "3 values for 1 rows"),
        bad_rows("packed-ends", "ends", "the ends of bodies do not ascend to the 2 bytes there are"),
        breaks_on_all("bad-utf8", "bad-utf8", "edits", "header \"k\" is not UTF-8"),
        case("duplicate-edits", "duplicate-edits").lines(&["a"]).delivers(&["last [a=last b=last c=last]"]),
        case("channel-not-granted", "routes")
            .options(r#"channel "rejected""#)
            .lines(&["a", "!b"])
            .delivers(&["a"])
            .letters(&["!b"], "grant { channel \"rejected\" }")
            .faults("edits", 2),
        rarely(breaks_on_all("huge-list", "huge-return", "trap", "too much data").options("edits 1000000")),
        rarely(
            breaks_on_all("huge-body", "huge-return", "trap", "too much data")
                .options("body-bytes 200000000"),
        ),
        breaks_on_all("huge-memory", "huge-return", "memory", "bytes of memory allowed")
            .options("body-bytes 200000000"),
        breaks_on_all("amplification", "amplifies", "edits", "more than 100000 events out of splits")
            .options("copies 200000")
            .plugin(LARGE),
    ]
}

fn failures() -> Vec<Case> {
    let fail = &["fail"];
    vec![
        held("fails-retry", "fails", r#"kind "retry"; pause-ms 20"#, "the plugin asks to try again later")
            .lines(fail),
        held("fails-fatal", "fails", r#"kind "fatal""#, "the plugin gave up twice: asked to").lines(fail),
        case("fails-reject", "fails")
            .options(r#"kind "reject""#)
            .lines(fail)
            .delivers(&[])
            .rejected(fail, "asked to"),
    ]
}

fn floods() -> Vec<Case> {
    let quiet = |name, guest| case(name, guest).lines(&["a"]).delivers(&["a"]);
    vec![
        quiet("log-flood", "log-flood").options("lines 5000").expect(Expect::LogLinesPerCall(5000)),
        quiet("metric-flood", "metric-flood").options("names 1000").expect(Expect::Plugin(
            "metrics_undeclared_total",
            String::new(),
            Amount::PerCall(3000),
        )),
        quiet("label-flood", "metric-flood").options("names 0; values 1000").expect(Expect::Plugin(
            "metrics_refused_total",
            String::new(),
            Amount::AtLeast(800),
        )),
        case("state-flood", "state-flood")
            .options("bytes 100")
            .plugin(r#"limits memory="16MiB" time="5s" state="64KiB""#)
            .lines(&["a"])
            .delivers(&["a [*"])
            .expect(Expect::Plugin("state_refused_total", String::new(), Amount::PerCall(1)))
            .expect(Expect::Plugin("state_bytes", String::new(), Amount::AtMost(64 << 10))),
        held(
            "state-of-failed-calls",
            "state-flood",
            "keys 10; fail #true",
            "the plugin asks to try again later",
        )
        .lines(&["a"])
        .expect(Expect::Plugin("state_keys", String::new(), Amount::Exactly(0))),
    ]
}
