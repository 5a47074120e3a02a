use std::{path::Path, time::Duration};

use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, eventually, section};
use tokio::time::Instant;

use super::FACTORY;

fn start(options: &str) -> SourceRig {
    start_with(options, RecordingChannel::default())
}

fn start_with(options: &str, channel: RecordingChannel) -> SourceRig {
    SourceRig::start(&FACTORY, &format!("exec \"e\" {{ {options} }}"), channel, Path::new("unused"))
}

async fn run(options: &str) -> RecordingChannel {
    let (channel, result) = start(options).finished().await;
    result.unwrap();
    channel
}

#[tokio::test]
async fn every_line_is_an_event_and_the_last_needs_no_line_feed() {
    let channel = run(r#"command "printf" "one\\n\\ntwo\\r\\n\\377\\nlast""#).await;
    let bodies: Vec<Vec<u8>> = channel.events().iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(bodies, [&b"one"[..], b"", b"two", b"\xff", b"last"]);
    assert!(channel.events().iter().all(|event| event.headers.is_empty()));
}

#[tokio::test]
async fn a_command_is_split_or_given_to_a_shell_or_taken_word_by_word() {
    assert_eq!(run(r#"command "echo 'a  b' c\\ d""#).await.bodies(), ["a  b c d"]);
    assert_eq!(run(r#"command "echo" "a  b" "$HOME""#).await.bodies(), ["a  b $HOME"]);
    let shell = r#"shell "/bin/sh -c"; command "for x in 1 2; do echo \"n $x\"; done | tac""#;
    assert_eq!(run(shell).await.bodies(), ["n 2", "n 1"]);
}

#[tokio::test]
async fn batches_have_their_size_and_keep_order_through_a_full_channel() {
    let channel = RecordingChannel::default();
    channel.refuse_next(3);
    let rig = start_with("command \"seq 1 100000\"; batch-size 300", channel);
    let (channel, result) = rig.finished().await;
    result.unwrap();
    let numbers: Vec<String> = (1..=100_000).map(|number| number.to_string()).collect();
    assert_eq!(channel.bodies(), numbers);
    assert!(channel.batches()[..333].iter().all(|batch| batch.len() == 300));
}

#[tokio::test]
async fn a_batch_that_does_not_fill_goes_after_its_time() {
    let rig = start("shell \"/bin/sh -c\"; command \"echo one; exec sleep 1000\"; batch-timeout \"50ms\"");
    rig.channel.wait_for_events(1).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(channel.bodies(), ["one"]);
}

#[tokio::test]
async fn a_full_channel_holds_the_command_back() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let command = format!("seq 1 200000; touch {}", done.display());
    let channel = RecordingChannel::default();
    channel.refuse_next(usize::MAX);
    let rig = start_with(&format!("shell \"/bin/sh -c\"; command \"{command}\""), channel);
    eventually("several attempts", || rig.channel.refusals_left() < usize::MAX - 3).await;
    assert!(!done.exists());
    rig.channel.refuse_next(0);
    let (channel, result) = rig.finished().await;
    result.unwrap();
    assert!(done.exists());
    assert_eq!(channel.bodies(), (1..=200_000).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_is_started_again_whatever_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let command = format!("echo run >> {0}; wc -l < {0}; exit 3", count.display());
    let rig =
        start(&format!("shell \"/bin/sh -c\"; command \"{command}\"; restart; restart-throttle \"10ms\""));
    rig.channel.wait_for_events(3).await;
    let health = rig.health.clone();
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(channel.bodies()[..3], ["1", "2", "3"]);
    assert_eq!(&*health.last_error().unwrap().1, "command ended with exit status: 3");
}

#[tokio::test]
async fn the_throttle_is_kept_and_a_stop_does_not_wait_for_it() {
    let begun = Instant::now();
    let rig = start("command \"echo x\"; restart; restart-throttle \"200ms\"");
    rig.channel.wait_for_events(2).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    rig.stop().await.1.unwrap();
    let rig = start("command \"echo x\"; restart; restart-throttle \"1d\"");
    rig.channel.wait_for_events(1).await;
    rig.stop().await.1.unwrap();
}

#[tokio::test]
async fn a_failure_without_restart_ends_the_source_and_is_told() {
    let rig = start("shell \"/bin/sh -c\"; command \"echo last words; kill -9 $$\"");
    let health = rig.health.clone();
    let (channel, result) = rig.finished().await;
    result.unwrap();
    assert_eq!(channel.bodies(), ["last words"]);
    assert_eq!(&*health.last_error().unwrap().1, "command ended with signal: 9 (SIGKILL)");
    let (_, result) = start("command \"/no/such/program\"").finished().await;
    assert!(result.unwrap_err().to_string().contains("cannot start `/no/such/program`"));
}

#[tokio::test]
async fn a_program_that_is_missing_is_tried_again_with_restart() {
    let rig = start("command \"/no/such/program\"; restart; restart-throttle \"5ms\"");
    eventually("the error", || rig.health.last_error().is_some()).await;
    rig.stop().await.1.unwrap();
}

#[tokio::test]
async fn errors_are_discarded_or_become_events() {
    let command = "shell \"/bin/sh -c\"; command \"echo out; echo err >&2\"";
    assert_eq!(run(command).await.bodies(), ["out"]);
    assert_eq!(run(&format!("{command}; stderr \"log\"")).await.bodies(), ["out"]);
    let channel = run(&format!("{command}; stderr \"events\"")).await;
    let mut both: Vec<(String, String)> = channel
        .events()
        .iter()
        .map(|event| {
            (String::from_utf8(event.body.to_vec()).unwrap(), event.header("stream").unwrap().to_string())
        })
        .collect();
    both.sort_unstable();
    assert_eq!(both, [("err".into(), "stderr".into()), ("out".into(), "stdout".into())]);
}

fn is_alive(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

const FAMILY: &str = "shell \"/bin/sh -c\"; batch-size 1; command \"trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do sleep 0.05; done\"";

#[tokio::test]
async fn a_stop_ends_the_whole_group_even_one_that_ignores_it() {
    let rig = start(FAMILY);
    let events = rig.channel.wait_for_events(2).await;
    let ids: Vec<String> =
        events.iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()).collect();
    assert!(ids.iter().all(|id| is_alive(id)));
    rig.stop().await.1.unwrap();
    eventually("the end of the group", || !ids.iter().any(|id| is_alive(id))).await;
}

#[tokio::test]
async fn a_source_that_is_cut_off_takes_the_group_with_it() {
    let rig = start(FAMILY);
    let events = rig.channel.wait_for_events(2).await;
    let ids: Vec<String> =
        events.iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()).collect();
    rig.kill().await;
    eventually("the end of the group", || !ids.iter().any(|id| is_alive(id))).await;
}

#[tokio::test]
async fn what_a_stopping_command_still_says_is_taken() {
    let command = "trap 'echo bye; exit' TERM; echo hello; while :; do sleep 0.02; done";
    let rig = start(&format!("shell \"/bin/sh -c\"; batch-timeout \"10ms\"; command \"{command}\""));
    rig.channel.wait_for_events(1).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(channel.bodies(), ["hello", "bye"]);
}

#[tokio::test]
async fn what_finds_no_room_at_a_stop_is_counted() {
    let channel = RecordingChannel::default();
    channel.refuse_next(usize::MAX);
    let rig = start_with("command \"seq 1 5\"; batch-size 5", channel);
    eventually("an attempt", || rig.channel.refusals_left() < usize::MAX - 1).await;
    let metrics = rig.context.metrics.source("test");
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert!(channel.bodies().is_empty());
    assert_eq!(metrics.events_dropped.get(), 5);
}

#[tokio::test]
async fn long_lines_are_cut_and_other_character_sets_become_utf8() {
    let channel =
        run("command \"printf\" \"0123456789\\\\n\\\\344\\\\n\"; line-max \"4B\"; charset \"iso-8859-1\"")
            .await;
    assert_eq!(channel.bodies(), ["0123", "4567", "89", "ä"]);
}

#[test]
fn mistakes_in_the_command_are_found_before_it_runs() {
    for (options, reason) in [
        ("command \"\"", "the command is empty"),
        ("command \"echo 'x\"", "the command has a quote ' that is not closed"),
        ("command \"x\"; charset \"klingon\"", "`klingon` is not a known character set"),
    ] {
        let cx = build_context(Path::new("unused"), std::sync::Arc::new(TestClock::default()));
        let found = (FACTORY.build)(&section(FACTORY.options, &format!("exec \"e\" {{ {options} }}")), &cx);
        assert_eq!(found.err().unwrap().iter().next().unwrap().reason, reason);
    }
}
