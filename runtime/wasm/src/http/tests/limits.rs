//! Servers that are slow, endless or broken.

use std::time::Duration;

use millrace_config::MapEnvironment;
use tokio::time::Instant;

use super::{
    Asked, FakeResolver, HttpError, Rig, get, ok, rig, rig_with,
    servers::{Reply, Server},
    text,
};

async fn server(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Rig) {
    let server = Server::start(move |_| reply()).await;
    let rig = rig(&format!("http \"http://{}\" response=\"64KiB\"", server.address), FakeResolver::default());
    (server, rig)
}

#[tokio::test]
async fn a_server_that_says_nothing_meets_the_deadline() {
    for said in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let (server, rig) = server(move || Reply::Stall(said.to_vec())).await;
        let begun = Instant::now();
        let asked = Asked { timeout_ms: Some(50), ..get(server.url("/")) };
        assert_eq!(rig.send(asked).await, Err(HttpError::Timeout));
        assert!(begun.elapsed() >= Duration::from_millis(50) && begun.elapsed() < Duration::from_secs(10));
        // What is left of the call counts where it is less.
        let asked = Asked { timeout_ms: Some(60_000), ..get(server.url("/")) };
        let deadline = Instant::now() + Duration::from_millis(50);
        assert_eq!(rig.client.send(asked, deadline).await, Err(HttpError::Timeout));
        assert_eq!(rig.client.send(get(server.url("/")), Instant::now()).await, Err(HttpError::Timeout));
    }
}

#[tokio::test]
async fn a_large_response_is_not_read() {
    let floods: [(&str, Reply); 3] = [
        ("announced", Reply::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 65537\r\n\r\n".to_vec())),
        ("without a length", Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 4096])),
        (
            "in chunks",
            Reply::Flood(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
                b"1\r\nx\r\n".repeat(500),
            ),
        ),
    ];
    for (how, reply) in floods {
        let reply = parking_lot::Mutex::new(Some(reply));
        let (server, rig) = server(move || reply.lock().take().unwrap()).await;
        assert_eq!(rig.send(get(server.url("/"))).await, Err(HttpError::TooLarge), "{how}");
    }
    let (server, rig) = server(|| Reply::Say(ok(&"x".repeat(64 << 10)))).await;
    assert_eq!(rig.send(get(server.url("/"))).await.unwrap().body.len(), 64 << 10);
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read() {
    for flood in [&b"x-header: some value\r\n"[..], b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] {
        let (server, rig) =
            server(move || Reply::Flood(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), flood.to_vec())).await;
        let error = rig.send(get(server.url("/"))).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge | HttpError::Transport(_)), "{error:?}");
    }
    // More headers than anybody needs, in a small head.
    let many = "a: b\r\n".repeat(101);
    let (server, rig) = server(move || {
        Reply::Say(format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n").into_bytes())
    })
    .await;
    assert_eq!(rig.send(get(server.url("/"))).await, Err(HttpError::TooLarge));
}

#[tokio::test]
async fn a_chunk_that_lies_about_its_size_is_an_error() {
    for body in
        [&b"ffffffffffffffff\r\nx"[..], b"10000000000000000\r\nx", b"5\r\nabcde", b"zz\r\n", b"-1\r\n"]
    {
        let mut said = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        said.extend_from_slice(body);
        let (server, rig) = server(move || Reply::SayAndClose(said.clone())).await;
        let error = rig.send(get(server.url("/"))).await.unwrap_err();
        assert!(matches!(error, HttpError::Transport(_) | HttpError::TooLarge), "{body:?} {error:?}");
    }
    // Extensions of chunks count, too: an endless one is cut off.
    let start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;".to_vec();
    let (server, rig) = server(move || Reply::Flood(start.clone(), vec![b'e'; 4096])).await;
    assert!(rig.send(get(server.url("/"))).await.is_err());
}

#[tokio::test]
async fn a_wrong_content_length_gives_no_false_answer() {
    // Too much promised.
    let (one, rig) =
        server(|| Reply::SayAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec())).await;
    let error = rig.send(get(one.url("/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Transport(_)), "{error:?}");
    // Too little promised: what is behind it is no answer to the next request.
    let smuggled =
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
            .to_vec();
    let (two, rig) = server(move || Reply::Say(smuggled.clone())).await;
    for _ in 0..3 {
        match rig.send(get(two.url("/"))).await {
            Ok(answer) => assert_eq!(text(&answer.body), "abc"),
            Err(error) => assert!(matches!(error, HttpError::Transport(_)), "{error:?}"),
        }
    }
    for lengths in [
        "content-length: 3\r\ncontent-length: 4",
        "content-length: -3",
        "content-length: 3x",
        "content-length: 99999999999999999999",
    ] {
        let said = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nabcd");
        let (server, rig) = server(move || Reply::SayAndClose(said.clone().into_bytes())).await;
        let error = rig.send(get(server.url("/"))).await.unwrap_err();
        assert!(matches!(error, HttpError::Transport(_) | HttpError::TooLarge), "{lengths} {error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_transport_error() {
    for said in [
        &b"\x16\x03\x01\x02"[..],
        b"hello\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"",
    ] {
        let (server, rig) = server(move || Reply::SayAndClose(said.to_vec())).await;
        let error = rig.send(get(server.url("/"))).await.unwrap_err();
        assert!(matches!(error, HttpError::Transport(_)), "{said:?} {error:?}");
    }
    let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let (server, rig) = server(move || Reply::Say(upgrade.to_vec())).await;
    assert!(matches!(rig.send(get(server.url("/"))).await, Err(HttpError::Transport(_))));
}

#[tokio::test]
async fn the_responses_of_one_call_share_what_the_plugin_can_hold() {
    let server = Server::start(|_| Reply::Say(ok(&"x".repeat(1000)))).await;
    let grant = format!("http \"http://{}\"", server.address);
    let rig = rig_with(&grant, FakeResolver::default(), MapEnvironment::default(), 3500);
    let asked: Vec<_> = (0..6).map(|_| get(server.url("/"))).collect();
    let answers = rig.client.send_many(asked, 1, super::far()).await;
    let good = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(good, 3);
    assert!(answers.iter().skip(3).all(|answer| *answer == Err(HttpError::TooLarge)));
    // The next call has all of it again.
    assert!(rig.send(get(server.url("/"))).await.is_ok());
}
