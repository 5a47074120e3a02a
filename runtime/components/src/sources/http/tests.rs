use std::{io::Write, net::SocketAddr};

use millrace_testkit::{RecordingChannel, SourceRig, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::FACTORY;

struct Http {
    rig: SourceRig,
    _folder: tempfile::TempDir,
}

fn start(options: &str) -> Http {
    let folder = tempfile::tempdir().unwrap();
    let kdl = format!("http \"h\" {{ listen \"127.0.0.1:0\"; {options} }}");
    let rig = SourceRig::start(&FACTORY, &kdl, RecordingChannel::default(), folder.path());
    Http { rig, _folder: folder }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Sends raw bytes on a connection of its own and reads answers until the server closes.
async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    within("an answer", async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    })
    .await
}

fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let split = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap().to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        let end = (split + 4 + length).min(bytes.len());
        answers.push(Answer {
            status: head[9..12].parse().unwrap(),
            body: String::from_utf8(bytes[split + 4..end].to_vec()).unwrap(),
            head,
        });
        bytes = &bytes[end..];
    }
    answers
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n")
            .into_bytes();
    request.extend_from_slice(body);
    request
}

async fn send(http: &Http, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    answers(&raw(http.rig.addresses[0], &request(method, path, headers, body)).await).pop().unwrap()
}

const ONE: &[u8] = br#"[{"headers":{"a":"1"},"body":"x"}]"#;

#[tokio::test]
async fn the_table_of_answers_holds() {
    let http = start("body-max \"200B\"");
    let long = vec![b' '; 201];
    for (method, headers, body, status) in [
        ("POST", "", ONE, 200),
        ("GET", "", ONE, 200),
        ("POST", "", &b"[]"[..], 200),
        ("POST", "content-type: application/json; charset=UTF-8\r\n", ONE, 200),
        ("POST", "content-type: text/plain; charset=latin1\r\n", ONE, 500),
        ("POST", "", b"", 500),
        ("POST", "", b"null", 500),
        ("POST", "", b"[null]", 500),
        ("POST", "", b"{", 400),
        ("POST", "", b"[1]", 400),
        ("POST", "", b"[{\"headers\":{\"a\":{}}}]", 400),
        ("POST", "", &long, 413),
        ("POST", "content-encoding: br\r\n", ONE, 415),
        ("POST", "content-encoding: gzip\r\n", ONE, 400),
        ("GET", "", b"", 405),
        ("PUT", "", ONE, 405),
        ("DELETE", "", b"", 405),
        ("PATCH", "", ONE, 405),
        ("OPTIONS", "", b"", 403),
        ("TRACE", "", b"", 403),
    ] {
        let answer = send(&http, method, "/any/path?q=1", headers, body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, status, "{method} {headers} {shown}: {answer:?}");
        assert_eq!(answer.body.is_empty(), status == 200, "{answer:?}");
        assert_eq!(answer.head.contains("\r\nallow: post"), status == 405);
    }
    let (channel, result) = http.rig.stop().await;
    result.unwrap();
    assert_eq!(channel.bodies(), ["x"; 3]);
    assert!(channel.events().iter().all(|event| event.header("a").unwrap() == "1"));
}

#[tokio::test]
async fn a_probe_that_brings_nothing_is_refused_by_its_method() {
    for handler in ["json", "blob"] {
        let http = start(&format!("handler \"{handler}\""));
        for method in ["GET", "HEAD"] {
            let probe = format!("{method} / HTTP/1.1\r\nhost: x\r\n\r\n");
            let answer = raw(http.rig.addresses[0], probe.as_bytes()).await;
            let answer = String::from_utf8(answer).unwrap().to_lowercase();
            assert!(
                answer.starts_with("http/1.1 405 ") && answer.contains("\r\nallow: post\r\n"),
                "{answer}"
            );
        }
        let (channel, result) = http.rig.stop().await;
        result.unwrap();
        assert!(channel.events().is_empty(), "{handler}");
    }
}

#[tokio::test]
async fn the_query_of_a_get_is_an_event_for_blob() {
    let http = start("handler \"blob\"");
    assert_eq!(send(&http, "GET", "/pixel?page=a", "", b"").await.status, 200);
    assert_eq!(http.rig.channel.events()[0].header("page").unwrap(), "a");
}

#[tokio::test]
async fn a_full_channel_answers_503_and_the_same_request_succeeds_later() {
    let http = start("");
    http.rig.channel.refuse_next(2);
    let body = br#"[{"body":"a"},{"body":"b"}]"#;
    for status in [503, 503, 200] {
        let answer = send(&http, "POST", "/", "", body).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.head.contains("retry-after: 1"), status == 503);
    }
    assert_eq!(http.rig.channel.batches().len(), 1);
    assert_eq!(http.rig.channel.bodies(), ["a", "b"]);
}

#[tokio::test]
async fn a_connection_takes_many_requests_one_batch_each_and_in_order() {
    let http = start("");
    let mut all = Vec::new();
    for number in 0..50 {
        let body = format!("[{{\"body\":\"{number}\"}}]");
        all.extend(request("POST", "/", "", body.as_bytes()));
    }
    let answers = answers(&raw(http.rig.addresses[0], &all).await);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 50]);
    let numbers: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(http.rig.channel.bodies(), numbers);
    assert_eq!(http.rig.channel.batches().len(), 50);
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_the_limit() {
    let http = start("body-max \"1KiB\"");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(ONE).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(ONE).unwrap();
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(ONE).unwrap();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() > 1024 || bomb.len() < 2048);
    for (encoding, body, status) in [
        ("gzip", gzip.clone(), 200),
        ("X-GZIP", gzip.clone(), 200),
        ("deflate", zlib.finish().unwrap(), 200),
        ("deflate", deflate.finish().unwrap(), 200),
        ("gzip", gzip[..gzip.len() - 9].to_vec(), 400),
        ("gzip", bomb, 413),
    ] {
        let answer = send(&http, "POST", "/", &format!("content-encoding: {encoding}\r\n"), &body).await;
        assert_eq!(answer.status, status, "{encoding}: {answer:?}");
    }
    assert_eq!(http.rig.channel.bodies(), ["x"; 4]);
}

#[tokio::test]
async fn a_blob_is_one_event_with_the_query_as_headers() {
    let http = start("handler \"blob\"; mandatory-parameters \"name\" \"kind\"");
    let body = b"\x00\xff\nbinary\r\n";
    assert_eq!(send(&http, "POST", "/up?name=a%20b&kind=+&name=no", "", body).await.status, 200);
    assert_eq!(send(&http, "POST", "/up?name=a", "", body).await.status, 500);
    assert_eq!(send(&http, "GET", "/?kind=&name=", "", b"").await.status, 200);
    let events = http.rig.channel.events();
    assert_eq!(events.len(), 2);
    assert_eq!(&events[0].body[..], body);
    let headers: Vec<(&str, &str)> =
        events[0].headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [("name", "a b"), ("kind", " ")]);
    assert!(events[1].body.is_empty());
}

#[tokio::test]
async fn a_chunked_body_in_many_pieces_is_one_request() {
    let http = start("");
    let mut stream = TcpStream::connect(http.rig.addresses[0]).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for piece in ONE.chunks(3) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within("an answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answers(&answer)[0].status, 200);
    assert_eq!(http.rig.channel.bodies(), ["x"]);
}

#[tokio::test]
async fn two_hundred_clients_at_once_lose_nothing() {
    let http = start("connections-max 20");
    let address = http.rig.addresses[0];
    let clients = (0..200).map(|client| {
        tokio::spawn(async move {
            let events: Vec<String> =
                (0..50).map(|event| format!("{{\"body\":\"{client}-{event}\"}}")).collect();
            let body = format!("[{}]", events.join(","));
            answers(&raw(address, &request("POST", "/", "", body.as_bytes())).await)[0].status
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), 200);
    }
    let mut bodies = http.rig.channel.bodies();
    bodies.sort_unstable();
    let mut expected: Vec<String> =
        (0..200).flat_map(|client| (0..50).map(move |event| format!("{client}-{event}"))).collect();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
    assert!(http.rig.channel.batches().iter().all(|batch| batch.len() == 50));
}

#[tokio::test]
async fn a_client_that_dawdles_is_cut_off() {
    let http = start("header-timeout \"100ms\"; read-timeout \"100ms\"");
    let address = http.rig.addresses[0];
    let mut slow_head = TcpStream::connect(address).await.unwrap();
    slow_head.write_all(b"POST / HTTP/1.1\r\nho").await.unwrap();
    let mut slow_body = TcpStream::connect(address).await.unwrap();
    slow_body.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[").await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end of a slow head", slow_head.read_to_end(&mut answer)).await;
    let mut answer = Vec::new();
    within("the end of a slow body", slow_body.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answers(&answer)[0].status, 408);
    assert!(http.rig.channel.bodies().is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_off_commits_nothing() {
    let http = start("");
    let whole = request("POST", "/", "", ONE);
    for end in [10, whole.len() / 2, whole.len() - 1] {
        let answer = raw(http.rig.addresses[0], &whole[..end]).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{end}");
    }
    assert_eq!(send(&http, "POST", "/", "", ONE).await.status, 200);
    assert_eq!(http.rig.channel.bodies(), ["x"]);
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let http = start("bodies-max \"40B\"; body-max \"1KiB\"");
    assert_eq!(send(&http, "POST", "/", "", ONE).await.status, 200);
    let answer = send(&http, "POST", "/", "", &[b' '; 41]).await;
    assert_eq!((answer.status, answer.head.contains("retry-after")), (503, true));
    assert_eq!(send(&http, "POST", "/", "", ONE).await.status, 200);
}

#[tokio::test]
async fn a_stop_answers_what_was_committed_and_commits_nothing_unanswered() {
    let http = start("");
    let address = http.rig.addresses[0];
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(&request("POST", "/", "", ONE)).await.unwrap();
    let mut first = [0; 12];
    within("the answer", idle.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(send(&http, "POST", "/", "", b"[]").await.status, 200);
    let Http { rig, _folder } = http;
    let begun = tokio::time::Instant::now();
    let (channel, result) = rig.stop().await;
    result.unwrap();
    assert!(begun.elapsed() < crate::sources::listener::CLOSE_GRACE, "idle connections close at once");
    assert_eq!(within("the end", silent.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    let mut rest = Vec::new();
    within("the end", idle.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(channel.bodies(), ["x"]);
}
