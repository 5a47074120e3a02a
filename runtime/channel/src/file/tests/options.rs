//! Options as they are written, and changing them while the channel is open.

use std::{path::Path, sync::Arc, time::Duration};

use millrace_core::{Channel, Reconfigured};
use millrace_storage::SystemDisk;
use millrace_testkit::{
    TestClock, build_context,
    channel_suite::{batch, drain, numbers, ok, put},
    section,
};

use super::suite::{channel, options};
use crate::{
    Compression, EncryptionOptions, FileOptions, KeySource, Sync, file::FACTORY, file::options::OPTIONS,
};

#[test]
fn the_defaults_of_the_table_are_those_of_the_options() {
    let section = section(OPTIONS, r#"file "a""#);
    assert_eq!(FileOptions::from_section(&section, "/data".into()), Ok(FileOptions::new("/data")));
    let all = r#"file "a" { directory "/d"; capacity 5; bytes "1MiB"; keep-alive "1s"; cache "2MiB"
        segment-size "1MiB"; minimum-free-space "3MiB"; compression "lz4"; sync "interval" every="2s"
        encryption active="b" { key "a" env="OLD"; key "b" file="/keys/b" } }"#;
    let expected = FileOptions {
        directory: "/d".into(),
        events_max: 5,
        bytes_max: 1 << 20,
        keep_alive: Duration::from_secs(1),
        cache_bytes_max: 2 << 20,
        segment_bytes: 1 << 20,
        free_bytes_min: 3 << 20,
        compression: Compression::Lz4,
        sync: Sync::Interval(Duration::from_secs(2)),
        encryption: EncryptionOptions {
            active: Some("b".into()),
            keys: vec![
                ("a".into(), KeySource::Variable("OLD".into())),
                ("b".into(), KeySource::File("/keys/b".into())),
            ],
        },
    };
    let section = millrace_testkit::section(OPTIONS, all);
    assert_eq!(FileOptions::from_section(&section, "/data".into()), Ok(expected));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    for (options, reason) in [
        (r#"sync "interval""#, "`sync \"interval\"` does not say how long commits may stay unsynced"),
        (r#"sync "interval" every="0s""#, "`every` is shorter than a millisecond"),
        (r#"sync "commit" every="1s""#, "`sync \"commit\"` syncs each commit and takes no `every`"),
        (r#"sync "often""#, "`sync` is \"commit\" or \"interval\""),
        (r#"sync "commit"; sync "commit""#, "`sync` is given twice"),
        (r#"encryption active="a""#, "the active key \"a\" is not among the keys"),
        (r#"encryption active="a" { key "a" }"#, "key \"a\" comes either from a `file` or from `env`"),
        (r#"encryption active="a" { key "a" file="f" env="E" }"#, "key \"a\" comes either from a `file`"),
        (r#"encryption active="a" { key "a" file="f"; key "a" env="E" }"#, "key \"a\" is given twice"),
        (r#"encryption active="none" { key file="f" }"#, "a key needs an id of 1 to 63 bytes"),
        (r#"encryption active="none" { key "none" file="f" }"#, "that is not \"none\""),
    ] {
        let section = section(OPTIONS, &format!("file \"a\" {{ {options} }}"));
        let findings = FileOptions::from_section(&section, "/data".into()).unwrap_err();
        let first = findings.iter().next().map(|finding| finding.reason.clone()).unwrap_or_default();
        assert!(first.contains(reason), "{options}: {first}");
    }
    let open = section(OPTIONS, r#"file "a" { encryption active="none" { key "a" env="E" } }"#);
    let options = FileOptions::from_section(&open, "/data".into()).unwrap();
    assert_eq!((options.encryption.active, options.encryption.keys.len()), (None, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_built_from_its_factory_survives_closing_and_opening() {
    let directory = ok(tempfile::tempdir());
    let cx = build_context(&directory.path().join("deep/folder"), Arc::new(TestClock::at(5)));
    let section = section(FACTORY.options, r#"file "a" { minimum-free-space 0 }"#);
    for round in 0..3 {
        let Ok(channel) = (FACTORY.build)(&section, &cx) else { unreachable!("the options are good") };
        assert!(channel.begin_put().await.is_err());
        ok(channel.open().await);
        assert_eq!(channel.stats().events, round * 10);
        ok(put(&*channel, batch(round * 10..round * 10 + 10)).await);
        ok(channel.close().await);
    }
    let Ok(channel) = (FACTORY.build)(&section, &cx) else { unreachable!("the options are good") };
    ok(channel.open().await);
    assert_eq!(drain(&*channel, 30).await, numbers(0..30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_change_while_open_and_the_rest_is_refused_with_a_reason() {
    let directory = ok(tempfile::tempdir());
    let old = FileOptions { keep_alive: Duration::ZERO, ..options(directory.path()) };
    let channel = channel(&old, Arc::new(SystemDisk));
    ok(channel.open().await);
    ok(put(&channel, batch(0..10)).await);
    assert_eq!(channel.apply(FileOptions { events_max: 5, ..old.clone() }), Reconfigured::Applied);
    assert!(put(&channel, batch(["x"])).await.is_err());
    assert_eq!(channel.stats().events_max, 5);
    assert_eq!(channel.apply(old.clone()), Reconfigured::Applied);
    ok(put(&channel, batch(10..20)).await);
    let refused = channel.apply(FileOptions { segment_bytes: 1 << 20, ..old.clone() });
    let reason = "segment-size cannot change from 65536 to 1048576 bytes while the channel is open";
    assert_eq!(refused, Reconfigured::Refused(reason.into()));
    let moved = channel.apply(FileOptions { directory: Path::new("/elsewhere").into(), ..old });
    assert!(matches!(moved, Reconfigured::Refused(_)));
}
