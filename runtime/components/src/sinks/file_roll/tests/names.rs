use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use millrace_testkit::{TestClock, build_context, section};

use super::rig::{Rig, expected};
use crate::sinks::file_roll::FACTORY;

#[tokio::test]
async fn names_follow_both_patterns_of_flume() {
    let mut start = Rig::new("prefix \"web-\"; extension \".log\"; roll count=1");
    start.deliver(&["a"]).await;
    start.clock.advance(Duration::from_secs(5));
    start.deliver(&["b"]).await;
    assert_eq!(start.names(), ["web-1700000000000-1.log", "web-1700000000000-2.log"]);
    let mut roll = Rig::new("prefix \"web-\"; extension \"log\"; roll count=1; name-time \"roll\"");
    roll.deliver(&["a"]).await;
    roll.clock.advance(Duration::from_secs(5));
    roll.deliver(&["b"]).await;
    assert_eq!(roll.names(), ["web-20231114221320-1.log", "web-20231114221325-2.log"]);
}

#[tokio::test]
async fn a_restart_at_the_same_time_overwrites_nothing() {
    let mut rig = Rig::new("roll count=1");
    rig.deliver(&["a", "b"]).await;
    rig.close().await;
    rig.start();
    rig.deliver(&["c"]).await;
    assert_eq!(
        rig.texts(),
        expected(&[("1700000000000-1", "a\n"), ("1700000000000-2", "b\n"), ("1700000000000-3", "c\n")])
    );
}

#[tokio::test]
async fn a_file_that_appears_under_the_name_in_the_meantime_is_kept() {
    let mut rig = Rig::new("extension \"log\"");
    rig.deliver(&["a"]).await;
    fs::write(rig.out().join("1700000000000-1.log"), "somebody else's").unwrap();
    rig.close().await;
    let mut texts = rig.texts();
    texts.sort();
    assert_eq!(
        texts,
        expected(&[("1700000000000-1.log", "somebody else's"), ("1700000000000-1_1.log", "a\n")])
    );
}

#[tokio::test]
async fn foreign_files_in_progress_are_not_touched() {
    let mut rig = Rig::new("");
    fs::create_dir_all(rig.out()).unwrap();
    fs::write(rig.out().join("1700000000000-1.tmp"), "of another program").unwrap();
    rig.deliver(&["a"]).await;
    rig.restart().await;
    assert_eq!(
        rig.texts(),
        expected(&[("1700000000000-1.tmp", "of another program"), ("1700000000000-2", "a\n")])
    );
}

#[test]
fn mistakes_in_the_options_are_found_all_at_once() {
    let kdl = r#"file-roll "x" {
        directory "/srv/%{a}/../%q"
        prefix "a/b"
        extension "tmp"
        compression "gzip"
        compression-level 12
        time-zone "Europe/Atlantis"
        round value=30 unit="hour"
    }"#;
    let cx = build_context(&PathBuf::from("/nowhere"), Arc::new(TestClock::at(0)));
    let Err(findings) = (FACTORY.build)(&section(FACTORY.options, kdl), &cx) else { panic!("accepted") };
    let reasons: Vec<&str> = findings.iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(reasons.len(), 7, "{reasons:#?}");
    for expected in [
        "%q is unknown",
        "`..` after an escape",
        "a prefix cannot hold a `/`",
        "`.tmp` marks files in progress",
        "gzip has levels up to 9, not 12",
        "there is no time zone \"Europe/Atlantis\"",
        "hours are rounded to at most 24, not 30",
    ] {
        assert!(reasons.iter().any(|reason| reason.starts_with(expected)), "{expected}: {reasons:#?}");
    }
}

#[test]
fn the_example_builds() {
    let kdl = FACTORY.example.replace(" channel=\"durable\"", "");
    let cx = build_context(&PathBuf::from("/nowhere"), Arc::new(TestClock::at(0)));
    assert!((FACTORY.build)(&section(FACTORY.options, &kdl), &cx).is_ok());
}
