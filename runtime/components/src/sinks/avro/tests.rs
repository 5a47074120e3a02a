//! The sink against servers that misbehave.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, BytesMut};
use bytestring::ByteString;
use millrace_core::{Batch, Event, Sink, SinkError};
use millrace_testkit::{TestClock, build_context, eventually, section, within};
use tokio::net::{TcpListener, tcp::OwnedReadHalf, tcp::OwnedWriteHalf};

use super::{FACTORY, connection::Connection};
use crate::avro_rpc::{
    Call, Compression, EventLimits, Frame, FrameLimits, FrameReader, FrameWriter, HandshakeRequest,
    HandshakeResponse, MD5, Match, Reader, Status, TEXT, begin_frame, encode_error, encode_status,
    finish_frame, md5, read_call,
};

const EVENTS: EventLimits = EventLimits { events_max: 10_000, headers_max: 10_000 };

struct Server {
    listener: TcpListener,
}

struct Peer {
    reader: FrameReader<OwnedReadHalf>,
    writer: FrameWriter<OwnedWriteHalf>,
}

impl Server {
    async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn sink(&self, options: &str) -> Box<dyn Sink> {
        let address = self.listener.local_addr().unwrap();
        let kdl = format!(r#"avro "out" {{ connect "{address}"; {options} }}"#);
        let dir = tempfile::tempdir().unwrap();
        let context = build_context(dir.path(), Arc::new(TestClock::at(0)));
        (FACTORY.build)(&section(FACTORY.options, &kdl), &context).unwrap()
    }

    async fn accept(&self) -> Peer {
        let (stream, _) = within("a connection", self.listener.accept()).await.unwrap();
        let (read, write) = stream.into_split();
        Peer {
            reader: FrameReader::new(read, Compression::None, FrameLimits { frame_bytes_max: 1 << 24 }),
            writer: FrameWriter::new(write, Compression::None),
        }
    }
}

impl Peer {
    async fn request(&mut self) -> (i32, Reader) {
        let Frame { serial, content } = within("a request", self.reader.next()).await.unwrap().unwrap();
        (serial, Reader::new(content))
    }

    async fn answer(&mut self, serial: i32, write: impl FnOnce(&mut BytesMut)) {
        let mut frame = BytesMut::new();
        begin_frame(&mut frame, serial);
        write(&mut frame);
        finish_frame(&mut frame, 0).unwrap();
        self.writer.send(&frame).await.unwrap();
    }

    /// Takes the first request of a connection and answers it.
    async fn greet(&mut self, status: Status) -> Vec<Event> {
        let (serial, mut request) = self.request().await;
        let greeting = HandshakeRequest::read(&mut request).unwrap();
        assert_eq!((greeting.client_hash, greeting.client_protocol.as_deref()), (MD5, None));
        let events = events_of(&mut request);
        self.answer(serial, |out| {
            HandshakeResponse::to(&greeting, true).put(out);
            encode_status(out, status);
        })
        .await;
        events
    }
}

fn events_of(request: &mut Reader) -> Vec<Event> {
    match read_call(request, EVENTS) {
        Ok(Call::Append(events)) => events,
        other => unreachable!("{other:?}"),
    }
}

fn batch(body: &'static str) -> Batch {
    Batch::new(vec![Event::new(body)])
}

fn retryable(result: Result<(), SinkError>) -> String {
    match result {
        Err(SinkError::Retryable { reason, .. }) => reason,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn the_handshake_is_made_once_and_the_connection_is_kept() {
    let server = Server::bind().await;
    let mut sink = server.sink("");
    let delivering = async {
        sink.deliver(&batch("1")).await.unwrap();
        sink.deliver(&batch("2")).await.unwrap();
        sink.idle().await.unwrap();
        sink.deliver(&batch("3")).await.unwrap();
        sink.close().await.unwrap();
    };
    let serving = async {
        let mut peer = server.accept().await;
        assert_eq!(peer.greet(Status::Ok).await, [Event::new("1")]);
        for body in ["2", "3"] {
            let (serial, mut request) = peer.request().await;
            assert_eq!(events_of(&mut request), [Event::new(body)]);
            peer.answer(serial, |out| encode_status(out, Status::Ok)).await;
        }
        assert!(peer.reader.next().await.unwrap().is_none());
    };
    tokio::join!(delivering, serving);
}

/// A server that does not know us asks for the text; one whose text is another one tells its digest, which is
/// used for the next connection.
#[tokio::test]
async fn a_server_that_does_not_know_us_is_told_and_its_digest_is_remembered() {
    let server = Server::bind().await;
    let mut sink = server.sink(r#"reset-connection-interval "1ms""#);
    let other = TEXT.replace("Licensed", "Written");
    let delivering = async {
        sink.deliver(&batch("1")).await.unwrap();
        // The age of the connection is what this is about.
        tokio::time::sleep(Duration::from_millis(5)).await;
        sink.deliver(&batch("2")).await.unwrap();
    };
    let serving = async {
        let mut peer = server.accept().await;
        let (serial, mut request) = peer.request().await;
        assert_eq!(HandshakeRequest::read(&mut request).unwrap().server_hash, MD5);
        let mut response = HandshakeResponse {
            result: Match::None,
            server_protocol: Some(ByteString::from(other.clone())),
            server_hash: Some(md5(&other)),
        };
        // Some servers add the reason; it is not an answer to the call.
        peer.answer(serial, |out| {
            response.put(out);
            encode_error(out, "unknown protocol");
        })
        .await;
        let (serial, mut request) = peer.request().await;
        let greeting = HandshakeRequest::read(&mut request).unwrap();
        assert_eq!((greeting.client_protocol.as_deref(), greeting.server_hash), (Some(TEXT), md5(&other)));
        assert_eq!(events_of(&mut request), [Event::new("1")]);
        response.result = Match::Client;
        peer.answer(serial, |out| {
            response.put(out);
            encode_status(out, Status::Ok);
        })
        .await;
        let mut peer = server.accept().await;
        let (serial, mut request) = peer.request().await;
        let greeting = HandshakeRequest::read(&mut request).unwrap();
        assert_eq!((greeting.client_protocol, greeting.server_hash), (None, md5(&other)));
        response = HandshakeResponse { result: Match::Both, server_protocol: None, server_hash: None };
        peer.answer(serial, |out| {
            response.put(out);
            encode_status(out, Status::Ok);
        })
        .await;
    };
    tokio::join!(delivering, serving);
}

#[tokio::test]
async fn failed_is_retryable_and_the_next_attempt_connects_anew() {
    let server = Server::bind().await;
    let mut sink = server.sink("");
    let delivering = async {
        assert!(retryable(sink.deliver(&batch("1")).await).contains("status Failed"));
        sink.deliver(&batch("1")).await.unwrap();
    };
    let serving = async {
        server.accept().await.greet(Status::Failed).await;
        let mut peer = server.accept().await;
        peer.greet(Status::Ok).await;
        peer
    };
    tokio::join!(delivering, serving);
}

#[tokio::test]
async fn whatever_else_a_server_does_is_retryable_and_says_what_happened() {
    let server = Server::bind().await;
    let mut sink = server.sink(r#"request-timeout "200ms""#);
    let delivering = async {
        for expected in [
            "refused the call: disk on fire",
            "closed in the middle",
            "serial of an answer is 77",
            "handshake match is 9",
            "bytes of a frame",
            "differs from Flume's",
            "no answer within",
        ] {
            let reason = retryable(sink.deliver(&batch("1")).await);
            assert!(reason.contains(expected), "{expected}: {reason}");
        }
    };
    let serving = async {
        let hello = HandshakeResponse { result: Match::Both, server_protocol: None, server_hash: None };
        let mut peer = server.accept().await;
        let (serial, _) = peer.request().await;
        peer.answer(serial, |out| {
            hello.put(out);
            encode_error(out, "disk on fire");
        })
        .await;
        let mut peer = server.accept().await;
        peer.request().await;
        drop(peer);
        let mut peer = server.accept().await;
        peer.request().await;
        peer.answer(77, |out| hello.put(out)).await;
        let mut peer = server.accept().await;
        let (serial, _) = peer.request().await;
        peer.answer(serial, |out| out.put_u8(18)).await;
        let mut peer = server.accept().await;
        peer.request().await;
        peer.writer.send(&[0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0, 0, 0]).await.unwrap();
        let mut peer = server.accept().await;
        let (serial, _) = peer.request().await;
        let foreign = HandshakeResponse { server_protocol: Some("{}".into()), ..hello };
        peer.answer(serial, |out| foreign.put(out)).await;
        let mut silent = server.accept().await;
        silent.request().await;
        silent
    };
    let (_silent, ()) = tokio::join!(serving, delivering);
}

/// A server may close a connection that was idle for long; no batch has to fail for it.
#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_noticed_before_it_is_used() {
    let server = Server::bind().await;
    let address = server.listener.local_addr().unwrap().to_string();
    let connection = Connection::open(&address, Compression::None).await.unwrap();
    let peer = server.accept().await;
    assert!(connection.is_open());
    drop(peer);
    eventually("the end is noticed", || !connection.is_open()).await;
}

#[tokio::test]
async fn nobody_listening_is_retryable_and_names_the_address() {
    let server = Server::bind().await;
    let mut sink = server.sink("");
    let address = server.listener.local_addr().unwrap().to_string();
    drop(server);
    let reason = retryable(sink.deliver(&batch("1")).await);
    assert!(reason.starts_with(&format!("cannot connect to {address}: ")), "{reason}");
}
