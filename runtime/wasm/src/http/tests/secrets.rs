//! Secrets: added by the agent, sent where they may go, and never seen by the plugin.

use bytes::Bytes;
use millrace_config::MapEnvironment;

use super::{
    Asked, FakeResolver, HttpError, Rig, get, ok, rig_with,
    servers::{Reply, Server},
    text,
};

const SECRET: &str = "s3cret-value";

fn rig(grant: &str) -> Rig {
    let environment = MapEnvironment::default().with_variable("TOKEN", SECRET);
    rig_with(grant, FakeResolver::default(), environment, 64 << 20)
}

fn with_auth(url: String) -> Asked {
    Asked { auth: Some("crm".into()), ..get(url) }
}

#[tokio::test]
async fn a_secret_is_in_its_header_whatever_the_plugin_put_there() {
    let server = Server::start(|_| Reply::Say(ok("x"))).await;
    let rig = rig(&format!("http \"http://{}\"\nsecret \"crm\" env=\"TOKEN\"", server.address));
    let own = vec![
        ("Authorization".to_owned(), Bytes::from("own")),
        ("authorization".to_owned(), Bytes::from("two")),
    ];
    rig.send(Asked { headers: own.clone(), ..with_auth(server.url("/")) }).await.unwrap();
    rig.send(Asked { headers: own, ..get(server.url("/")) }).await.unwrap();
    let seen = server.requests();
    let carried = |request: &str| -> Vec<String> {
        request.lines().filter_map(|line| line.strip_prefix("authorization: ").map(str::to_owned)).collect()
    };
    assert_eq!(carried(&seen[0]), ["Bearer s3cret-value"]);
    assert_eq!(carried(&seen[1]), ["own", "two"]);
}

#[tokio::test]
async fn a_secret_goes_to_its_own_origins_only() {
    let (here, there) =
        (Server::start(|_| Reply::Say(ok("x"))).await, Server::start(|_| Reply::Say(ok("x"))).await);
    let rig = rig(&format!(
        "http \"http://{0}\" \"http://{1}\"\nsecret \"crm\" env=\"TOKEN\" origin=\"http://{0}\" header=\"x-key\"",
        here.address, there.address
    ));
    assert_eq!(rig.send(with_auth(there.url("/"))).await, Err(HttpError::Denied));
    assert_eq!(there.connections(), 0);
    assert!(rig.send(get(there.url("/"))).await.is_ok());
    assert!(rig.send(with_auth(here.url("/"))).await.is_ok());
    assert!(here.requests()[0].contains("x-key: s3cret-value\r\n"));
    let unknown = Asked { auth: Some("other".into()), ..get(here.url("/")) };
    assert_eq!(rig.send(unknown).await, Err(HttpError::Denied));
    assert_eq!(rig.refusals.count("secret"), 2);
}

#[tokio::test]
async fn a_server_that_repeats_the_secret_does_not_tell_it_to_the_plugin() {
    let server = Server::start(|request| {
        let body = format!("you said: {request} {SECRET}{SECRET} and s3cret-valu");
        let head =
            format!("HTTP/1.1 200 OK\r\nx-echo: Bearer {SECRET}\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply::Say([head, body].concat().into_bytes())
    })
    .await;
    let rig = rig(&format!("http \"http://{}\"\nsecret \"crm\" env=\"TOKEN\"", server.address));
    let answer = rig.send(with_auth(server.url("/"))).await.unwrap();
    assert!(server.requests()[0].contains(SECRET));
    let body = text(&answer.body);
    assert!(!body.contains(SECRET), "{body}");
    assert!(body.contains("authorization: Bearer ************\r\n"), "{body}");
    assert!(body.ends_with("************************ and s3cret-valu"), "{body}");
    assert_eq!(answer.headers[0], ("x-echo".into(), Bytes::from("Bearer ************")));
}

#[tokio::test]
async fn a_redirect_does_not_take_the_secret_along() {
    let there = Server::start(|_| Reply::Say(ok("x"))).await;
    let reply = format!("HTTP/1.1 307 x\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", there.url("/"));
    let here = Server::start(move |_| Reply::Say(reply.clone().into_bytes())).await;
    let rig = rig(&format!(
        "http \"http://{0}\" \"http://{1}\"\nsecret \"crm\" env=\"TOKEN\" origin=\"http://{0}\"",
        here.address, there.address
    ));
    assert_eq!(rig.send(with_auth(here.url("/"))).await.unwrap().status, 307);
    assert_eq!(there.connections(), 0);
}
