use std::time::Duration;

use millrace_testkit::{RecordingChannel, SourceRig, eventually, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::FACTORY;

fn start(options: &str) -> SourceRig {
    start_with(options, RecordingChannel::default())
}

fn start_with(options: &str, channel: RecordingChannel) -> SourceRig {
    let kdl = format!("netcat \"n\" {{ listen \"127.0.0.1:0\"; {options} }}");
    SourceRig::start(&FACTORY, &kdl, channel, std::path::Path::new("unused"))
}

async fn connect(rig: &SourceRig) -> TcpStream {
    TcpStream::connect(rig.addresses[0]).await.unwrap()
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let _ = within("the end of the connection", stream.read_to_string(&mut answer)).await;
    answer
}

/// Sends bytes, closes, and returns all answers.
async fn talk(rig: &SourceRig, bytes: &[u8]) -> String {
    let mut stream = connect(rig).await;
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    rest(&mut stream).await
}

#[tokio::test]
async fn every_line_is_an_event_and_gets_its_answer() {
    let rig = start("");
    assert_eq!(talk(&rig, b"one\n\ntwo\r\n\xff\xfe\0\nlast").await, "OK\n".repeat(5));
    let (channel, result) = rig.stop().await;
    result.unwrap();
    let bodies: Vec<Vec<u8>> = channel.events().iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(bodies, [&b"one"[..], b"", b"two\r", b"\xff\xfe\0", b"last"]);
    assert!(channel.events().iter().all(|event| event.headers.is_empty()));
}

#[tokio::test]
async fn without_acknowledgements_there_are_no_answers() {
    let rig = start("ack-every-event #false");
    assert_eq!(talk(&rig, b"one\ntwo\n").await, "");
    assert_eq!(rig.channel.bodies(), ["one", "two"]);
}

#[tokio::test]
async fn a_client_waits_for_a_full_channel_and_nothing_is_dropped() {
    let channel = RecordingChannel::default();
    channel.refuse_next(3);
    let rig = start_with("", channel);
    assert_eq!(talk(&rig, b"a\nb\nc\n").await, "OK\n".repeat(3));
    assert_eq!(rig.channel.bodies(), ["a", "b", "c"]);
    assert_eq!(rig.channel.refusals_left(), 0);
}

#[tokio::test]
async fn no_answer_comes_before_the_commit() {
    let channel = RecordingChannel::default();
    channel.refuse_next(usize::MAX);
    let rig = start_with("", channel);
    let mut stream = connect(&rig).await;
    stream.write_all(b"a\n").await.unwrap();
    let before = rig.channel.refusals_left();
    eventually("a further attempt", || rig.channel.refusals_left() < before - 2).await;
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    rig.channel.refuse_next(0);
    let mut answer = [0; 3];
    within("the answer", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!((&answer, rig.channel.bodies().len()), (b"OK\n", 1));
}

#[tokio::test]
async fn a_line_of_the_longest_length_passes_and_one_more_closes() {
    let rig = start("max-line-length 10");
    let answer = "FAILED: Event exceeds the maximum length (10 chars, including newline)\n";
    assert_eq!(talk(&rig, b"123456789\n").await, "OK\n");
    assert_eq!(talk(&rig, b"ok\n1234567890\nnever\n").await, format!("OK\n{answer}"));
    // Without a line feed the length is known as soon as there is no room for it.
    let mut stream = connect(&rig).await;
    stream.write_all(b"1234567890").await.unwrap();
    assert_eq!(rest(&mut stream).await, answer);
    assert_eq!(talk(&rig, "ääääääää€\n".as_bytes()).await, "OK\n");
    assert_eq!(talk(&rig, "😀😀😀😀x\n".as_bytes()).await, "OK\n");
    assert_eq!(talk(&rig, "😀😀😀😀xx\n".as_bytes()).await, answer);
    assert_eq!(talk(&rig, &[0x80; 40]).await, answer);
    assert_eq!(rig.channel.bodies(), ["123456789", "ok", "ääääääää€", "😀😀😀😀x"]);
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 4);
}

#[tokio::test]
async fn a_huge_line_passes_where_it_is_allowed() {
    let rig = start("max-line-length 2000000");
    let line = "x".repeat(1_999_999);
    assert_eq!(talk(&rig, format!("{line}\nshort\n").as_bytes()).await, "OK\nOK\n");
    assert_eq!(rig.channel.bodies(), [line.as_str(), "short"]);
}

#[tokio::test]
async fn half_a_line_waits_for_its_other_half() {
    let rig = start("");
    let mut stream = connect(&rig).await;
    for part in ["ha", "lf", "\nne", "xt\n"] {
        stream.write_all(part.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.channel.wait_for_events(2).await.len(), 2);
    drop(stream);
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(channel.bodies(), ["half", "next"]);
}

#[tokio::test]
async fn other_encodings_become_utf8_even_when_characters_are_split() {
    for (encoding, bytes, expected) in [
        ("iso-8859-1", b"gr\xfcn\n".to_vec(), "grün"),
        ("utf-16", "\u{feff}grün €\n".encode_utf16().flat_map(u16::to_be_bytes).collect(), "grün €"),
        ("utf-16le", "grün €\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), "grün €"),
        ("shift_jis", b"\x93\xfa\x96\x7b\n".to_vec(), "日本"),
    ] {
        let rig = start(&format!("encoding \"{encoding}\""));
        let mut stream = connect(&rig).await;
        for byte in &bytes {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, "OK\n", "{encoding}");
        assert_eq!(rig.channel.bodies(), [expected], "{encoding}");
    }
}

#[tokio::test]
async fn two_hundred_clients_lose_nothing_and_each_keeps_its_order() {
    let rig = start("connections-max 50");
    let address = rig.addresses[0];
    let clients: Vec<_> = (0..200)
        .map(|client| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for line in 0..100 {
                    stream.write_all(format!("{client} {line}\n").as_bytes()).await.unwrap();
                }
                stream.shutdown().await.unwrap();
                let mut answers = String::new();
                stream.read_to_string(&mut answers).await.unwrap();
                answers
            })
        })
        .collect();
    for client in clients {
        assert_eq!(within("a client", client).await.unwrap(), "OK\n".repeat(100));
    }
    let bodies = rig.channel.bodies();
    assert_eq!(bodies.len(), 20_000);
    for client in 0..200 {
        let prefix = format!("{client} ");
        let own: Vec<&str> = bodies.iter().filter_map(|body| body.strip_prefix(&prefix)).collect();
        assert_eq!(own, (0..100).map(|line| line.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn batches_are_bounded_and_full_blocks_make_large_ones() {
    let rig = start("batch-size 100; ack-every-event #false");
    let lines: Vec<String> = (0..10_000).map(|line| line.to_string()).collect();
    let mut stream = connect(&rig).await;
    stream.write_all((lines.join("\n") + "\n").as_bytes()).await.unwrap();
    rig.channel.wait_for_events(10_000).await;
    assert_eq!(rig.channel.bodies(), lines);
    let sizes: Vec<usize> = rig.channel.batches().iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
}

#[tokio::test]
async fn an_idle_client_is_cut_off_and_its_half_line_is_no_event() {
    let rig = start("idle-timeout \"50ms\"");
    let mut stream = connect(&rig).await;
    stream.write_all(b"whole\nhalf").await.unwrap();
    assert_eq!(rest(&mut stream).await, "OK\n");
    assert_eq!(rig.channel.bodies(), ["whole"]);
}

#[tokio::test]
async fn a_stop_answers_whole_lines_and_leaves_half_ones_to_the_client() {
    let rig = start("");
    let mut stream = connect(&rig).await;
    stream.write_all(b"one\ntwo\nhal").await.unwrap();
    rig.channel.wait_for_events(2).await;
    stream.write_all(b"f\nthree\nx").await.unwrap();
    // The bytes are in the receiving socket before the stop: loopback delivers while writing.
    let (channel, result) = rig.stop().await;
    result.unwrap();
    let answers = rest(&mut stream).await;
    assert_eq!(channel.bodies(), ["one", "two", "half", "three"]);
    assert_eq!(answers, "OK\n".repeat(4));
}

#[tokio::test]
async fn lines_that_a_stopping_agent_cannot_commit_are_answered_so() {
    let channel = RecordingChannel::default();
    let rig = start_with("", channel);
    rig.channel.refuse_next(usize::MAX);
    let mut stream = connect(&rig).await;
    stream.write_all(b"one\ntwo\n").await.unwrap();
    let before = usize::MAX - 1;
    eventually("an attempt", || rig.channel.refusals_left() < before).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(rest(&mut stream).await, "FAILED: shutting down\n".repeat(2));
    assert!(channel.bodies().is_empty());
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_does_not_hold_up_a_stop() {
    let rig = start("idle-timeout \"200ms\"");
    let mut stream = connect(&rig).await;
    let lines = "\n".repeat(100_000);
    let send = async { while stream.write_all(lines.as_bytes()).await.is_ok() {} };
    // The connection is cut once its answers have no room: then the writing ends.
    within("the connection to be cut", send).await;
    let (_, result) = rig.stop().await;
    result.unwrap();
}

#[tokio::test]
async fn above_the_limit_clients_wait_for_their_turn() {
    let rig = start("connections-max 1");
    let mut first = connect(&rig).await;
    first.write_all(b"first\n").await.unwrap();
    rig.channel.wait_for_events(1).await;
    let mut second = connect(&rig).await;
    second.write_all(b"second\n").await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(waited.is_err());
    drop(first);
    rig.channel.wait_for_events(2).await;
    assert_eq!(rig.channel.bodies(), ["first", "second"]);
}
