//! Where requests go, and where they do not.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{
    Asked, FakeResolver, HttpError, far, get, ok, rig,
    servers::{Reply, Server},
    text,
};

#[tokio::test]
async fn a_request_arrives_as_it_was_asked_for_with_the_agents_own_headers() {
    let server = Server::start(|_| {
        Reply::Say(
            b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-b: \xff\r\nX-A: 2\r\ncontent-length: 2\r\n\r\nno"
                .to_vec(),
        )
    })
    .await;
    let rig = rig(&format!("http \"http://{}\"", server.address), FakeResolver::default());
    let asked = Asked {
        method: "PUT".into(),
        url: server.url("/a%20b/../c?q=1#fragment"),
        headers: vec![("X-One".into(), Bytes::from("1")), ("x-one".into(), Bytes::from("2"))],
        body: Bytes::from("hello"),
        ..Asked::default()
    };
    let answer = rig.send(asked).await.unwrap();
    assert_eq!((answer.status, text(&answer.body)), (404, "no"));
    let headers: Vec<_> = answer.headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
    assert_eq!(headers, [("x-a", &b"1"[..]), ("x-a", b"2"), ("x-b", b"\xff"), ("content-length", b"2")]);
    let seen = server.requests();
    let mut lines: Vec<_> = seen[0].lines().collect();
    assert_eq!(lines.remove(0), "PUT /c?q=1 HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    assert_eq!(lines, ["", "content-length: 5", "hello", host.as_str(), "x-one: 1", "x-one: 2"]);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let rig = rig(&format!("http \"http://{}\"", server.address), FakeResolver::default());
    for _ in 0..5 {
        rig.send(get(server.url("/"))).await.unwrap();
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_place_that_is_not_granted_is_denied_without_a_connection_or_a_question() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let resolver = FakeResolver::default().with("other.test", &[&["127.0.0.1"]]);
    let port = server.address.port();
    let rig = rig("http \"http://granted.test\" private=#true", resolver);
    for url in [
        server.url("/"),
        format!("http://other.test:{port}/"),
        format!("http://granted.test:{port}/"),
        "https://granted.test/".into(),
        "http://granted.test.evil.test/".into(),
    ] {
        assert_eq!(rig.send(get(url.clone())).await, Err(HttpError::Denied), "{url}");
    }
    assert_eq!((server.connections(), rig.resolver.asked.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(rig.refusals.count("http-origin"), 5);
}

#[tokio::test]
async fn a_granted_name_that_resolves_inward_is_denied() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let port = server.address.port();
    let inward: &[&[&str]] = &[
        &["127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["0.0.0.0"],
        &["10.0.0.1"],
        &["192.168.0.1"],
        &["100.64.0.1"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
        &["fd00::1"],
        &["fe80::1"],
        &["64:ff9b::a9fe:a9fe"],
        // One good address does not make up for a bad one.
        &["93.184.216.34", "127.0.0.1"],
    ];
    let rig =
        rig(&format!("http \"http://api.test:{port}\""), FakeResolver::default().with("api.test", inward));
    for addresses in inward {
        assert_eq!(
            rig.send(get(format!("http://api.test:{port}/"))).await,
            Err(HttpError::Denied),
            "{addresses:?}"
        );
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(rig.refusals.count("address"), inward.len() as u64);
}

#[tokio::test]
async fn the_word_private_opens_the_inside_but_no_metadata_service() {
    let server = Server::start(|_| Reply::Say(ok("inside"))).await;
    let port = server.address.port();
    let resolver =
        FakeResolver::default().with("api.test", &[&["127.0.0.1"], &["169.254.169.254"], &["fd00:ec2::254"]]);
    let rig = rig(&format!("http \"http://api.test:{port}\" private=#true"), resolver);
    let one = |path: &str| Asked {
        headers: vec![("connection-x".into(), "1".into())],
        ..get(format!("http://api.test:{port}{path}"))
    };
    assert_eq!(text(&rig.send(one("/")).await.unwrap().body), "inside");
    // The pool would answer: another client has to connect.
    let resolver = FakeResolver::default().with("api.test", &[&["169.254.169.254"], &["fd00:ec2::254"]]);
    let rig = super::rig(&format!("http \"http://api.test:{port}\" private=#true"), resolver);
    assert_eq!(rig.send(one("/")).await, Err(HttpError::Denied));
    assert_eq!(rig.send(one("/")).await, Err(HttpError::Denied));
    assert_eq!(rig.refusals.count("address"), 2);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    // The second answer points elsewhere, as in DNS rebinding: it must never be asked for.
    let server = Server::start(|_| Reply::SayAndClose(ok("first"))).await;
    let port = server.address.port();
    let resolver = FakeResolver::default().with("api.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let rig = rig(&format!("http \"http://api.test:{port}\" private=#true"), resolver);
    assert_eq!(text(&rig.send(get(format!("http://api.test:{port}/"))).await.unwrap().body), "first");
    assert_eq!(rig.resolver.asked.load(Ordering::SeqCst), 1);
    // A new connection is checked anew.
    assert_eq!(rig.send(get(format!("http://api.test:{port}/"))).await, Err(HttpError::Denied));
    assert_eq!((rig.resolver.asked.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[tokio::test]
async fn a_redirect_comes_back_as_it_is_and_its_target_is_checked_like_any_other() {
    let inner = Server::start(|_| Reply::Say(ok("inside"))).await;
    let location = inner.url("/secret");
    let reply = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let outer = Server::start(move |_| Reply::Say(reply.clone().into_bytes())).await;
    let rig = rig(&format!("http \"http://{}\"", outer.address), FakeResolver::default());
    let answer = rig.send(get(outer.url("/"))).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers[0], ("location".to_owned(), Bytes::from(location.clone())));
    assert_eq!(rig.send(get(location)).await, Err(HttpError::Denied));
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn a_name_without_addresses_and_a_port_without_a_server_are_told_apart() {
    let resolver = FakeResolver::default().with("empty.test", &[&[]]).with("closed.test", &[&["127.0.0.1"]]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rig = rig(
        &format!(
            "http \"http://none.test\" \"http://empty.test\"\nhttp \"http://closed.test:{port}\" private=#true"
        ),
        resolver,
    );
    assert_eq!(rig.send(get("http://none.test/")).await, Err(HttpError::Dns));
    assert_eq!(rig.send(get("http://empty.test/")).await, Err(HttpError::Dns));
    let Err(HttpError::Transport(reason)) = rig.send(get(format!("http://closed.test:{port}/"))).await else {
        panic!("no transport error")
    };
    assert!(reason.starts_with("no connection: Connection refused"), "{reason}");
}

#[tokio::test]
async fn the_second_address_is_tried_where_the_first_does_not_answer() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let port = server.address.port();
    // Nothing listens on this address of the loopback network.
    let resolver = FakeResolver::default().with("api.test", &[&["127.0.0.9", "127.0.0.1"]]);
    let rig = rig(&format!("http \"http://api.test:{port}\" private=#true"), resolver);
    assert_eq!(rig.send(get(format!("http://api.test:{port}/"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_invalid() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let rig = rig(&format!("http \"http://{}\"", server.address), FakeResolver::default());
    let url = server.url("/");
    let with = |name: &str, value: &[u8]| Asked {
        headers: vec![(name.into(), Bytes::copy_from_slice(value))],
        ..get(url.clone())
    };
    let mut table = vec![
        (get("no address"), "no address"),
        (get(""), "no address"),
        (get("ftp://a/"), "only http and https"),
        (get(format!("http://user:pass@{}/", server.address)), "credentials"),
        (get("x".repeat(20_000)), "at most 16384 bytes"),
        (Asked { method: "".into(), ..get(url.clone()) }, "no method"),
        (Asked { method: "GET / HTTP/1.1\r\nx: y".into(), ..get(url.clone()) }, "no method"),
        (Asked { method: "CONNECT".into(), ..get(url.clone()) }, "CONNECT"),
        (Asked { method: "TRACE".into(), ..get(url.clone()) }, "TRACE"),
        (with("", b"x"), "no name of a header"),
        (with("a\r\nb", b"x"), "no name of a header"),
        (with("x", b"a\r\nhost: evil"), "does not allow"),
        (with("x", b"\0"), "does not allow"),
        (with("x", &vec![b'a'; 70_000]), "at most 100 headers"),
        (Asked { headers: vec![("x".into(), Bytes::new()); 101], ..get(url.clone()) }, "at most 100 headers"),
    ];
    for reserved in [
        "Host",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Proxy-Authorization",
        "expect",
        "trailer",
    ] {
        table.push((with(reserved, b"1"), "the agent's own"));
    }
    for (asked, expected) in table {
        let Err(HttpError::Invalid(reason)) = rig.send(asked.clone()).await else { panic!("{asked:?}") };
        assert!(reason.contains(expected), "{asked:?}: {reason}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn many_requests_are_answered_in_their_order_whatever_becomes_of_each() {
    let server = Server::start(|request| Reply::Say(ok(request.split(' ').nth(1).unwrap()))).await;
    let rig = rig(&format!("http \"http://{}\"", server.address), FakeResolver::default());
    let mut asked: Vec<_> = (0..40).map(|number| get(server.url(&format!("/{number}")))).collect();
    asked[7] = get("http://denied.test/");
    let answers = rig.client.send_many(asked, 5, far()).await;
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Ok(answer) => assert_eq!(text(&answer.body), format!("/{number}")),
            Err(error) => assert_eq!((number, error), (7, &HttpError::Denied)),
        }
    }
    assert!(server.connections() <= 5, "{}", server.connections());
    assert!(rig.client.send_many(Vec::new(), 0, far()).await.is_empty());
}
