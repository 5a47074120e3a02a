//! The source over loopback: with the real sink in front, and with clients that misbehave.

use std::path::Path;

use bytes::{BufMut, BytesMut};
use millrace_core::{Batch, Event, Sink, SinkError};
use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, eventually, section, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::FACTORY;
use crate::{
    avro_rpc::{
        Compression, Frame, FrameLimits, FrameReader, FrameWriter, HandshakeRequest, HandshakeResponse, MD5,
        Match, Reader, Response, Status, TEXT, begin_frame, encode_append_batch, finish_frame, md5,
        read_response,
    },
    sinks::avro,
};

fn start(options: &str, channel: &RecordingChannel, dir: &Path) -> SourceRig {
    let kdl = format!(r#"avro "in" {{ listen "127.0.0.1:0"; {options} }}"#);
    SourceRig::start(&FACTORY, &kdl, channel.clone(), dir)
}

fn sink(rig: &SourceRig, options: &str, dir: &Path) -> Box<dyn Sink> {
    let kdl = format!(r#"avro "out" {{ connect "{}"; {options} }}"#, rig.addresses[0]);
    let context = build_context(dir, std::sync::Arc::new(TestClock::at(0)));
    let factory = &avro::FACTORY;
    (factory.build)(&section(factory.options, &kdl), &context).unwrap()
}

fn events(numbers: std::ops::Range<usize>) -> Vec<Event> {
    let make = |number: usize| {
        let headers = [("host", format!("höst-{}", number % 3)), ("n", number.to_string())];
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let body: Vec<u8> =
            (0..number % 97).map(|at| u8::try_from((at * 7 + number) % 256).unwrap()).collect();
        Event::with_headers(headers, body)
    };
    numbers.map(make).collect()
}

/// Speaks the protocol by hand.
struct Client {
    reader: FrameReader<tokio::net::tcp::OwnedReadHalf>,
    writer: FrameWriter<tokio::net::tcp::OwnedWriteHalf>,
}

impl Client {
    async fn connect(rig: &SourceRig) -> Self {
        let (read, write) = TcpStream::connect(rig.addresses[0]).await.unwrap().into_split();
        let limits = FrameLimits { frame_bytes_max: 1 << 20 };
        Self {
            reader: FrameReader::new(read, Compression::None, limits),
            writer: FrameWriter::new(write, Compression::None),
        }
    }

    async fn send(&mut self, serial: i32, content: &[u8]) {
        let mut frame = BytesMut::new();
        begin_frame(&mut frame, serial);
        frame.put_slice(content);
        finish_frame(&mut frame, 0).unwrap();
        self.writer.send(&frame).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Frame> {
        within("an answer", self.reader.next()).await.unwrap_or(None)
    }
}

fn handshake(client_hash: [u8; 16], text: Option<&str>, server_hash: [u8; 16]) -> BytesMut {
    let mut out = BytesMut::new();
    let client_protocol = text.map(|text| text.to_owned().into());
    HandshakeRequest { client_hash, client_protocol, server_hash }.put(&mut out);
    out
}

fn append(events: &[Event]) -> BytesMut {
    let mut out = BytesMut::new();
    encode_append_batch(&mut out, events);
    out
}

#[tokio::test]
async fn a_hundred_thousand_events_arrive_in_order_and_exact_plain_and_compressed() {
    for compression in ["none", "deflate"] {
        let dir = tempfile::tempdir().unwrap();
        let channel = RecordingChannel::default();
        let rig = start(&format!(r#"compression "{compression}""#), &channel, dir.path());
        let mut sink = sink(&rig, &format!(r#"compression "{compression}""#), dir.path());
        let sent = events(0..100_000);
        for batch in sent.chunks(1000) {
            sink.deliver(&Batch::new(batch.to_vec())).await.unwrap();
        }
        sink.close().await.unwrap();
        let (channel, result) = rig.stop().await;
        result.unwrap();
        assert!(channel.events() == sent, "{compression}: content differs");
        assert_eq!(channel.batches().len(), 100);
    }
}

#[tokio::test]
async fn empty_and_large_bodies_and_events_without_headers_arrive_exact() {
    let dir = tempfile::tempdir().unwrap();
    let channel = RecordingChannel::default();
    let rig = start("", &channel, dir.path());
    let mut sink = sink(&rig, "", dir.path());
    let large: Vec<u8> = (0..1 << 20).map(|at: usize| u8::try_from(at * 31 % 251).unwrap()).collect();
    let mut with_headers = Event::new("");
    with_headers.headers.set("".into(), "".into());
    let sent = vec![Event::new(""), Event::new(large), with_headers, Event::new(&b"\xff\x00"[..])];
    sink.deliver(&Batch::new(sent.clone())).await.unwrap();
    sink.deliver(&Batch::default()).await.unwrap();
    assert_eq!(channel.events(), sent);
    rig.stop().await.1.unwrap();
}

#[tokio::test]
async fn ok_is_said_only_after_the_commit_and_a_full_channel_means_failed() {
    let dir = tempfile::tempdir().unwrap();
    let channel = RecordingChannel::default();
    let rig = start("", &channel, dir.path());
    let mut sink = sink(&rig, "", dir.path());
    channel.refuse_next(1);
    let error = sink.deliver(&Batch::new(events(0..3))).await.unwrap_err();
    assert!(matches!(&error, SinkError::Retryable { .. }) && error.to_string().contains("Failed"), "{error}");
    assert_eq!(channel.events(), []);
    sink.deliver(&Batch::new(events(0..3))).await.unwrap();
    assert_eq!(channel.events(), events(0..3));
    rig.stop().await.1.unwrap();
}

#[tokio::test]
async fn requests_in_flight_together_are_each_answered_by_their_serial() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("", &RecordingChannel::default(), dir.path());
    let mut client = Client::connect(&rig).await;
    let mut first = handshake(MD5, None, MD5);
    first.extend_from_slice(&append(&events(0..1)));
    client.send(100, &first).await;
    for serial in 101..200 {
        client.send(serial, &append(&events(0..1))).await;
    }
    let mut serials = Vec::new();
    for _ in 0..100 {
        let frame = client.receive().await.unwrap();
        let mut reader = Reader::new(frame.content);
        if frame.serial == 100 {
            assert_eq!(HandshakeResponse::read(&mut reader).unwrap().result, Match::Both);
        }
        assert_eq!(read_response(&mut reader), Ok(Response::Status(Status::Ok)));
        serials.push(frame.serial);
    }
    serials.sort_unstable();
    assert_eq!(serials, (100..200).collect::<Vec<_>>());
    assert_eq!(rig.stop().await.0.events().len(), 100);
}

#[tokio::test]
async fn an_unknown_protocol_is_asked_for_its_text_once_and_known_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("", &RecordingChannel::default(), dir.path());
    let text = TEXT.replace("Licensed", "Written");
    for round in 0..2 {
        let mut client = Client::connect(&rig).await;
        let mut request = handshake(md5(&text), None, [1; 16]);
        request.extend_from_slice(&append(&events(0..1)));
        client.send(1, &request).await;
        let mut answer = Reader::new(client.receive().await.unwrap().content);
        let mut response = HandshakeResponse::read(&mut answer).unwrap();
        if round == 0 {
            assert_eq!((response.result, response.server_hash), (Match::None, Some(MD5)));
            assert!(answer.rest().is_empty());
            let mut request = handshake(md5(&text), Some(&text), MD5);
            request.extend_from_slice(&append(&events(0..1)));
            client.send(2, &request).await;
            answer = Reader::new(client.receive().await.unwrap().content);
            response = HandshakeResponse::read(&mut answer).unwrap();
            assert_eq!(response.result, Match::Both);
        } else {
            assert_eq!(response.result, Match::Client);
            assert_eq!(response.server_protocol.as_deref(), Some(TEXT));
        }
        assert_eq!(read_response(&mut answer), Ok(Response::Status(Status::Ok)));
    }
    assert_eq!(rig.stop().await.0.events().len(), 2);
}

#[tokio::test]
async fn a_handshake_alone_is_answered_and_calls_follow_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("", &RecordingChannel::default(), dir.path());
    let mut client = Client::connect(&rig).await;
    let mut ping = handshake(MD5, None, MD5);
    ping.extend_from_slice(&[0, 0]);
    client.send(1, &ping).await;
    let mut answer = Reader::new(client.receive().await.unwrap().content);
    assert_eq!(HandshakeResponse::read(&mut answer).unwrap().result, Match::Both);
    assert_eq!(answer.rest(), [0, 0]);
    client.send(2, &[0, 12, b'd', b'e', b'l', b'e', b't', b'e']).await;
    let answer = read_response(&mut Reader::new(client.receive().await.unwrap().content)).unwrap();
    assert_eq!(answer, Response::Error(r#"no call "delete", only append and appendBatch"#.into()));
    // The connection is as good as before.
    client.send(3, &append(&events(0..2))).await;
    let answer = read_response(&mut Reader::new(client.receive().await.unwrap().content)).unwrap();
    assert_eq!(answer, Response::Status(Status::Ok));
    assert_eq!(rig.stop().await.0.events(), events(0..2));
}

#[tokio::test]
async fn damaged_parameters_are_answered_with_an_error_and_end_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("", &RecordingChannel::default(), dir.path());
    let mut client = Client::connect(&rig).await;
    let mut request = handshake(MD5, None, MD5);
    let call = append(&events(0..3));
    request.extend_from_slice(&call[..call.len() - 4]);
    client.send(1, &request).await;
    let mut answer = Reader::new(client.receive().await.unwrap().content);
    HandshakeResponse::read(&mut answer).unwrap();
    assert!(matches!(read_response(&mut answer), Ok(Response::Error(reason)) if reason.contains("cut off")));
    assert!(client.receive().await.is_none());
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 1);
    assert_eq!(rig.stop().await.0.events(), []);
}

#[tokio::test]
async fn a_protocol_that_means_something_else_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("", &RecordingChannel::default(), dir.path());
    let text = TEXT.replace(r#""type":"bytes""#, r#""type":"string""#);
    let mut client = Client::connect(&rig).await;
    client.send(1, &handshake(md5(&text), Some(&text), MD5)).await;
    let mut answer = Reader::new(client.receive().await.unwrap().content);
    assert_eq!(HandshakeResponse::read(&mut answer).unwrap().result, Match::None);
    assert!(client.receive().await.is_none());
    rig.stop().await.1.unwrap();
}

/// Each of these is one connection; the source serves the next one as if nothing had happened.
#[tokio::test]
async fn hostile_bytes_close_their_connection_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start(r#"frame-max "1MiB""#, &RecordingChannel::default(), dir.path());
    let attacks: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"x\x9c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3],
    ];
    for attack in attacks {
        let mut stream = TcpStream::connect(rig.addresses[0]).await.unwrap();
        stream.write_all(attack).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // A reset is as good an end as a close.
        let _ = within("close", stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"");
    }
    let counted = &rig.context.metrics.source("test").read_failures;
    eventually("all counted", || counted.get() == attacks.len() as u64).await;
    let mut sink = sink(&rig, "", dir.path());
    sink.deliver(&Batch::new(events(0..5))).await.unwrap();
    assert_eq!(rig.stop().await.0.events(), events(0..5));
}

#[tokio::test]
async fn a_source_that_stops_answers_what_it_has_begun() {
    let dir = tempfile::tempdir().unwrap();
    let channel = RecordingChannel::default();
    let rig = start("", &channel, dir.path());
    let mut client = Client::connect(&rig).await;
    let mut request = handshake(MD5, None, MD5);
    request.extend_from_slice(&append(&events(0..4)));
    client.send(9, &request).await;
    channel.wait_for_events(4).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert_eq!(client.receive().await.unwrap().serial, 9);
    assert!(client.receive().await.is_none());
    assert_eq!(channel.events(), events(0..4));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_become_free() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start("connections-max 1", &RecordingChannel::default(), dir.path());
    let mut first = sink(&rig, "", dir.path());
    first.deliver(&Batch::new(events(0..1))).await.unwrap();
    let mut second = sink(&rig, "", dir.path());
    assert!(second.deliver(&Batch::new(events(1..2))).await.is_err());
    first.close().await.unwrap();
    within("a free place", async {
        while second.deliver(&Batch::new(events(1..2))).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.stop().await.0.events(), events(0..2));
}

#[tokio::test]
async fn clients_that_are_silent_or_slow_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let options = r#"idle-timeout "50ms"; frame-timeout "100ms""#;
    let rig = start(options, &RecordingChannel::default(), dir.path());
    let mut silent = Client::connect(&rig).await;
    assert!(silent.receive().await.is_none());
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 0);
    let mut slow = TcpStream::connect(rig.addresses[0]).await.unwrap();
    slow.write_all(&[0, 0, 0, 1, 0]).await.unwrap();
    assert_eq!(within("close", slow.read(&mut [0])).await.unwrap_or(0), 0);
    let counted = &rig.context.metrics.source("test").read_failures;
    eventually("slow client counted", || counted.get() == 1).await;
    rig.stop().await.1.unwrap();
}

#[tokio::test]
async fn many_large_requests_share_a_small_budget_and_all_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let options = r#"frame-max "1MiB"; bytes-in-flight-max "2MiB""#;
    let rig = start(options, &RecordingChannel::default(), dir.path());
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8_u8 {
        let mut sink = sink(&rig, "", dir.path());
        senders.spawn(async move {
            for _ in 0..10 {
                sink.deliver(&Batch::new(vec![Event::new(vec![sender; 1_000_000])])).await.unwrap();
            }
        });
    }
    within("all sent", senders.join_all()).await;
    let events = rig.stop().await.0.events();
    for sender in 0..8_u8 {
        assert_eq!(events.iter().filter(|event| event.body == vec![sender; 1_000_000]).count(), 10);
    }
}

#[tokio::test]
async fn denied_clients_are_closed_before_they_say_anything() {
    let dir = tempfile::tempdir().unwrap();
    let rig = start(r#"ip-filter "deny:ip:127.0.0.0/8""#, &RecordingChannel::default(), dir.path());
    let mut sink = sink(&rig, "", dir.path());
    assert!(sink.deliver(&Batch::new(events(0..1))).await.is_err());
    assert_eq!(rig.stop().await.0.events(), []);
}

#[test]
fn mistakes_in_the_options_are_found_when_the_source_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let context = build_context(dir.path(), std::sync::Arc::new(TestClock::at(0)));
    let kdl = r#"avro "in" { listen "127.0.0.1:0"; ip-filter "allow:ip:x" "deny:ip:*"; bytes-in-flight-max "1MiB" }"#;
    let findings = (FACTORY.build)(&section(FACTORY.options, kdl), &context).err().unwrap();
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["avro::ip-filter", "avro::in-flight"]);
}
