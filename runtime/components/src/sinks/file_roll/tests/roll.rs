use std::{io::Read, process::Command, time::Duration};

use super::rig::{Rig, expected, plain, with};

#[tokio::test]
async fn a_file_gets_its_name_when_its_time_is_over_and_not_before() {
    let mut rig = Rig::new("");
    rig.deliver(&["a", "b"]).await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1.tmp", "a\nb\n")]));
    rig.clock.advance(Duration::from_millis(29_999));
    rig.idle().await.unwrap();
    rig.deliver(&["c"]).await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1.tmp", "a\nb\nc\n")]));
    rig.clock.advance(Duration::from_millis(1));
    rig.idle().await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\nc\n")]));
    rig.deliver(&["d"]).await;
    rig.clock.advance(Duration::from_secs(30));
    rig.deliver(&["e"]).await;
    rig.close().await;
    assert_eq!(
        rig.texts(),
        expected(&[("1700000000000-1", "a\nb\nc\n"), ("1700000000000-2", "d\n"), ("1700000000000-3", "e\n")])
    );
    assert_eq!(rig.journals(), 0);
}

#[tokio::test]
async fn an_idle_sink_never_makes_a_file() {
    let mut rig = Rig::new("");
    for _ in 0..3 {
        rig.clock.advance(Duration::from_secs(60));
        rig.idle().await.unwrap();
    }
    rig.try_deliver(Vec::new()).await.unwrap();
    rig.close().await;
    assert!(rig.files().is_empty());
}

#[tokio::test]
async fn a_count_is_exact_within_and_across_batches() {
    let mut rig = Rig::new("roll count=3");
    rig.deliver(&["1", "2"]).await;
    rig.deliver(&["3", "4", "5", "6", "7"]).await;
    assert_eq!(
        rig.texts(),
        expected(&[
            ("1700000000000-1", "1\n2\n3\n"),
            ("1700000000000-2", "4\n5\n6\n"),
            ("1700000000000-3.tmp", "7\n")
        ])
    );
    rig.deliver(&["8", "9"]).await;
    assert_eq!(rig.names()[2], "1700000000000-3", "a full file does not wait for the next event");
}

#[tokio::test]
async fn a_size_is_not_exceeded_unless_one_event_is_larger() {
    let mut rig = Rig::new("roll size=10");
    rig.deliver(&["1234", "5678", "9", "a much too long event", "x", "12345678"]).await;
    rig.close().await;
    assert_eq!(
        rig.texts(),
        expected(&[
            ("1700000000000-1", "1234\n5678\n"),
            ("1700000000000-2", "9\n"),
            ("1700000000000-3", "a much too long event\n"),
            ("1700000000000-4", "x\n"),
            ("1700000000000-5", "12345678\n")
        ])
    );
}

#[tokio::test]
async fn rules_of_time_can_be_switched_off_and_an_idle_file_is_finished() {
    let mut rig = Rig::new("roll interval=\"0s\" idle=\"10s\"");
    rig.deliver(&["a"]).await;
    for _ in 0..5 {
        rig.clock.advance(Duration::from_secs(9));
        rig.deliver(&["b"]).await;
    }
    assert_eq!(rig.names(), ["1700000000000-1.tmp"]);
    rig.clock.advance(Duration::from_secs(10));
    rig.idle().await.unwrap();
    assert_eq!(rig.names(), ["1700000000000-1"]);
}

#[tokio::test]
async fn a_clock_that_goes_back_finishes_nothing_early() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.clock.set(1_600_000_000_000);
    rig.deliver(&["b"]).await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1.tmp", "a\nb\n")]));
}

#[tokio::test]
async fn events_are_sorted_into_folders_by_header_and_time_each_in_order() {
    let mut rig = Rig::in_place("/%{host}/%Y-%m-%d", "prefix \"%{app}.\"; extension \"log\"");
    let day = "1706951107123";
    let next = "1707037507123";
    rig.try_deliver(vec![
        with(&[("host", "a"), ("app", "x"), ("timestamp", day)], "1"),
        with(&[("host", "b"), ("app", "x"), ("timestamp", day)], "2"),
        with(&[("host", "a"), ("app", "x"), ("timestamp", next)], "3"),
        with(&[("host", "a"), ("app", "x"), ("timestamp", day)], "4"),
        with(&[("host", "b"), ("app", "y"), ("timestamp", day)], "5"),
        with(&[("host", "b"), ("app", "x"), ("timestamp", day)], "6"),
    ])
    .await
    .unwrap();
    rig.close().await;
    assert_eq!(
        rig.texts(),
        expected(&[
            ("a/2024-02-03/x.1700000000000-1.log", "1\n4\n"),
            ("a/2024-02-04/x.1700000000000-3.log", "3\n"),
            ("b/2024-02-03/x.1700000000000-2.log", "2\n6\n"),
            ("b/2024-02-03/y.1700000000000-4.log", "5\n"),
        ])
    );
}

#[tokio::test]
async fn only_the_events_without_a_time_are_refused() {
    let mut rig = Rig::in_place("/%Y", "");
    let error = rig
        .try_deliver(vec![
            with(&[("timestamp", "1706951107123")], "1"),
            with(&[], "2"),
            with(&[("timestamp", "1706951107999")], "3"),
            with(&[("timestamp", "soon")], "4"),
        ])
        .await
        .unwrap_err();
    let millrace_core::SinkError::Partial { refusals, .. } = error else { panic!("{error}") };
    assert_eq!(refusals.iter().map(|refusal| refusal.row).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(refusals[0].reason, "no header timestamp, which the time escapes need");
    assert_eq!(rig.everything(), "1\n3\n");
}

#[tokio::test]
async fn the_file_unused_for_longest_makes_room() {
    let mut rig = Rig::in_place("/%{h}", "max-open-files 2");
    for (host, body) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("a", "5")] {
        rig.try_deliver(vec![with(&[("h", host)], body)]).await.unwrap();
    }
    assert_eq!(
        rig.texts(),
        expected(&[
            ("a/1700000000000-1.tmp", "1\n3\n5\n"),
            ("b/1700000000000-2", "2\n"),
            ("c/1700000000000-3.tmp", "4\n")
        ])
    );
}

#[tokio::test]
async fn one_batch_may_need_far_more_files_than_may_be_open() {
    let mut rig = Rig::in_place("/%{h}", "max-open-files 3");
    let hosts: Vec<String> = (0..100).map(|number| format!("h{number:03}")).collect();
    for _ in 0..2 {
        let batch = hosts.iter().map(|host| with(&[("h", host)], "x")).collect();
        rig.try_deliver(batch).await.unwrap();
        assert_eq!(rig.names().iter().filter(|name| name.ends_with(".tmp")).count(), 3);
    }
    rig.close().await;
    assert_eq!(rig.files().len(), 200);
    assert_eq!(rig.everything(), "x\n".repeat(200));
}

#[tokio::test]
async fn hostile_headers_stay_inside_the_directory() {
    let mut rig = Rig::in_place("/%{a}/%{b}", "prefix \"%{c}\"");
    let values = ["..", "../../../../tmp/evil", "/etc/cron.d", "\0", ".", "a/b", "\u{7f}\n", "", "%{a}"];
    let events = values
        .iter()
        .flat_map(|first| values.iter().map(|second| with(&[("a", first), ("b", second), ("c", first)], "x")))
        .collect();
    rig.try_deliver(events).await.unwrap();
    rig.close().await;
    assert_eq!(rig.everything().len(), 2 * values.len() * values.len());
    let around: Vec<_> =
        std::fs::read_dir(rig.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(around.len(), 2, "only `out` and `data`: {around:?}");
}

#[tokio::test]
async fn compressed_files_are_read_by_the_system_tools_after_every_batch() {
    for (compression, extension, tool) in [("gzip", "gz", "gzip"), ("zstd", "zst", "zstd")] {
        let mut rig = Rig::new(&format!("compression \"{compression}\"; roll count=5"));
        let mut plain_text = String::new();
        for bodies in [&["1", "2", "3"][..], &["4"], &["5", "6", "7", "8", "9", "10", "11"], &["12"]] {
            rig.deliver(bodies).await;
            bodies.iter().for_each(|body| plain_text.extend([body, "\n"]));
            let mut unpacked = String::new();
            for name in rig.names() {
                let path = rig.out().join(&name);
                let output = std::fs::File::open(path).unwrap();
                let run = Command::new(tool).arg("-dc").stdin(output).output();
                let text = match run {
                    Ok(run) if run.status.success() => String::from_utf8(run.stdout).unwrap(),
                    Ok(run) => panic!("{tool}: {}", String::from_utf8_lossy(&run.stderr)),
                    Err(_) => unpack(extension, &std::fs::read(rig.out().join(&name)).unwrap()),
                };
                unpacked.push_str(&text);
            }
            assert_eq!(unpacked, plain_text, "{compression}");
        }
        rig.close().await;
        assert_eq!(rig.names()[0], format!("1700000000000-1.{extension}"));
        assert_eq!(rig.names().len(), 3);
    }
}

pub fn unpack(extension: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    match extension {
        "gz" => flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap(),
        _ => zstd::Decoder::new(bytes).unwrap().read_to_string(&mut text).unwrap(),
    };
    text
}

#[tokio::test]
async fn avro_containers_stay_whole_across_batches_and_rolls() {
    let mut rig =
        Rig::new("serializer \"avro-event\"; extension \"avro\"; roll count=4; avro codec=\"deflate\"");
    rig.deliver(&["1", "2", "3"]).await;
    rig.deliver(&["4", "5", "6"]).await;
    rig.close().await;
    assert_eq!(rig.names(), ["1700000000000-1.avro", "1700000000000-2.avro"]);
    let counts: Vec<usize> = rig
        .files()
        .iter()
        .map(|(_, bytes)| apache_avro::Reader::new(bytes.as_slice()).unwrap().map(Result::unwrap).count())
        .collect();
    assert_eq!(counts, [4, 2]);
}

#[tokio::test]
async fn an_avro_container_does_not_exceed_its_size() {
    let mut rig = Rig::new("serializer \"avro-event\"; roll size=\"1KiB\"");
    for _ in 0..20 {
        rig.try_deliver(plain(&["0123456789012345678901234567890123456789"; 7])).await.unwrap();
    }
    rig.close().await;
    let mut events = 0;
    for (name, bytes) in rig.files() {
        assert!(bytes.len() <= 1024, "{name}: {}", bytes.len());
        events += apache_avro::Reader::new(bytes.as_slice()).unwrap().map(Result::unwrap).count();
    }
    assert_eq!(events, 140);
}

#[tokio::test]
async fn bodies_are_written_as_they_are() {
    let mut rig = Rig::new("append-newline #false");
    let body: &'static [u8] = Box::leak((0..=255).collect::<Vec<u8>>().into_boxed_slice());
    rig.try_deliver(vec![
        millrace_core::Event::new(body),
        millrace_core::Event::new(""),
        plain(&["x"]).remove(0),
    ])
    .await
    .unwrap();
    rig.close().await;
    assert_eq!(rig.files()[0].1, [body, b"x"].concat());
}
