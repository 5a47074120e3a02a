//! The sink against a server on the loopback interface.

mod server;

use std::{io::Read, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use millrace_core::{Batch, Event, Headers, Retry, Sink, SinkError};
use millrace_testkit::{TestClock, build_context, section, within};

use super::FACTORY;
use server::{Answer, Server, reply};

fn build(options: &str) -> Result<Box<dyn Sink>, Vec<String>> {
    let cx = build_context(Path::new("/nowhere"), Arc::new(TestClock::at(1_700_000_000_000)));
    (FACTORY.build)(&section(FACTORY.options, &format!("http \"h\" {{ {options} }}")), &cx)
        .map_err(|findings| findings.iter().map(|finding| finding.reason.clone()).collect())
}

fn sink(server: &Server, options: &str) -> Box<dyn Sink> {
    build(&format!("url \"http://{}/in\"; {options}", server.address)).unwrap()
}

fn event(headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Event {
    let headers: Headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Event::with_headers(headers, Bytes::from_static(body))
}

fn batch() -> Batch {
    Batch::new(vec![event(&[("k", "v")], b"a\"1"), event(&[], b"b")])
}

async fn deliver(sink: &mut Box<dyn Sink>, batch: &Batch) -> Result<(), SinkError> {
    within("the delivery", sink.deliver(batch)).await
}

fn refused(result: Result<(), SinkError>) -> Vec<(usize, String)> {
    match result {
        Err(SinkError::Partial { refusals, .. }) => {
            refusals.into_iter().map(|refusal| (refusal.row, refusal.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn retried(result: Result<(), SinkError>) -> (String, Retry) {
    match result {
        Err(error @ SinkError::Retryable { .. }) => (error.to_string(), error.retry()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_batch_is_one_request_in_the_form_of_flume_s_http_source() {
    let server = Server::start(Vec::new()).await;
    let mut sink = sink(&server, "");
    deliver(&mut sink, &batch()).await.unwrap();
    deliver(&mut sink, &batch()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].line, "POST /in HTTP/1.1");
    assert_eq!(requests[0].header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(requests[0].text(), r#"[{"headers":{"k":"v"},"body":"a\"1"},{"headers":{},"body":"b"}]"#);
    assert_eq!(server.connections(), 1, "the connection is used again");
    sink.close().await.unwrap();
}

#[tokio::test]
async fn json_lines_and_single_bodies() {
    let server = Server::start(Vec::new()).await;
    deliver(&mut sink(&server, "format \"ndjson\""), &batch()).await.unwrap();
    deliver(&mut sink(&server, "format \"single\"; method \"PUT\""), &batch()).await.unwrap();
    let requests = server.requests();
    assert_eq!(
        requests[0].text(),
        "{\"headers\":{\"k\":\"v\"},\"body\":\"a\\\"1\"}\n{\"headers\":{},\"body\":\"b\"}\n"
    );
    assert_eq!(requests[0].header("content-type"), Some("application/x-ndjson"));
    assert_eq!([requests[1].text(), requests[2].text()], ["a\"1", "b"]);
    assert_eq!(requests[1].line, "PUT /in HTTP/1.1");
    assert_eq!(requests[1].header("content-type"), Some("text/plain"));
}

#[tokio::test]
async fn bodies_that_are_no_text() {
    let server = Server::start(Vec::new()).await;
    let batch = Batch::new(vec![event(&[], b"\xFF\x00"), event(&[], b"b"), event(&[], b"\xC3")]);
    let rows = refused(deliver(&mut sink(&server, ""), &batch).await);
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(rows[0].1, "the body is not UTF-8, which JSON cannot hold");
    deliver(&mut sink(&server, "binary-body \"base64\""), &batch).await.unwrap();
    deliver(&mut sink(&server, "format \"single\""), &batch).await.unwrap();
    let only_binary = Batch::new(vec![event(&[], b"\xFF")]);
    assert_eq!(refused(deliver(&mut sink(&server, ""), &only_binary).await).len(), 1);
    let requests = server.requests();
    assert_eq!(requests.len(), 5, "nothing is sent for an empty array");
    assert_eq!(requests[0].text(), r#"[{"headers":{},"body":"b"}]"#);
    assert_eq!(
        requests[1].text(),
        r#"[{"headers":{},"body-base64":"/wA="},{"headers":{},"body":"b"},{"headers":{},"body-base64":"ww=="}]"#
    );
    assert_eq!(requests[2].body, b"\xFF\x00");
}

#[tokio::test]
async fn every_status_has_its_consequence() {
    for status in [200, 201, 202, 204] {
        let server = Server::with_status(status).await;
        deliver(&mut sink(&server, ""), &batch()).await.unwrap();
    }
    for status in [301, 302, 307, 408, 429, 500, 502, 503, 504] {
        let server = Server::with_status(status).await;
        let (reason, retry) = retried(deliver(&mut sink(&server, ""), &batch()).await);
        assert_eq!(reason, format!("http://{}/in answered {status}", server.address));
        assert_eq!(retry, Retry::Backoff);
        assert_eq!(server.requests().len(), 1, "{status} is not followed or repeated");
    }
    for status in [400, 401, 403, 404, 410, 415, 422] {
        let server = Server::with_status(status).await;
        let rows = refused(deliver(&mut sink(&server, ""), &batch()).await);
        let reason = format!("http://{}/in answered {status}", server.address);
        assert_eq!(rows, [(0, reason.clone()), (1, reason)]);
    }
}

#[tokio::test]
async fn rules_of_the_configuration_come_first() {
    let rules = "on { \"4xx\" \"retry\"; \"404\" \"reject\"; \"500\" \"deliver\"; \"2xx\" \"deliver\" }";
    let server = Server::start(vec![reply(400, ""), reply(404, ""), reply(500, "")]).await;
    let mut sink = sink(&server, rules);
    retried(deliver(&mut sink, &batch()).await);
    assert_eq!(refused(deliver(&mut sink, &batch()).await).len(), 2);
    deliver(&mut sink, &batch()).await.unwrap();
}

#[tokio::test]
async fn the_server_says_when_to_come_again() {
    let answer = |text: &str| {
        Answer::Bytes(format!("HTTP/1.1 503 X\r\nRetry-After: {text}\r\nContent-Length: 0\r\n\r\n"))
    };
    // The clock of the test says Tue, 14 Nov 2023 22:13:20 GMT.
    let server =
        Server::start(vec![answer("7"), answer("Tue, 14 Nov 2023 22:13:30 GMT"), answer("never")]).await;
    let mut sink = sink(&server, "");
    for expected in
        [Retry::After(Duration::from_secs(7)), Retry::After(Duration::from_secs(10)), Retry::Backoff]
    {
        assert_eq!(retried(deliver(&mut sink, &batch()).await).1, expected);
    }
}

#[tokio::test]
async fn what_the_server_says_is_in_the_reason_shortened_to_a_line() {
    let long = format!("quota\r\nexceeded \u{1b}[31m{}", "x".repeat(100_000));
    let server = Server::start(vec![reply(400, &long)]).await;
    let rows = refused(deliver(&mut sink(&server, ""), &batch()).await);
    assert!(rows[0].1.contains("answered 400: quota  exceeded  [31mxxx"), "{}", rows[0].1);
    assert!(rows[0].1.len() < 300);
}

#[tokio::test]
async fn an_endless_reply_is_cut() {
    let endless = format!("HTTP/1.1 200 X\r\nContent-Length: 100000000\r\n\r\n{}", "x".repeat(200_000));
    let server = Server::start(vec![Answer::Bytes(endless)]).await;
    let mut sink = sink(&server, "");
    deliver(&mut sink, &batch()).await.unwrap();
    deliver(&mut sink, &batch()).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_reply_that_breaks_off_counts_once_its_status_is_there() {
    let server = Server::start(vec![
        Answer::BytesAndEnd("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf".into()),
        Answer::BytesAndEnd("HTTP/1.1 20".into()),
        Answer::BytesAndEnd(String::new()),
        Answer::BytesAndEnd("rubbish\r\n\r\n".into()),
    ])
    .await;
    let mut sink = sink(&server, "");
    deliver(&mut sink, &batch()).await.unwrap();
    for _ in 0..3 {
        retried(deliver(&mut sink, &batch()).await);
    }
    deliver(&mut sink, &batch()).await.unwrap();
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_silent_server_is_left_after_the_timeout() {
    let server = Server::start(vec![Answer::Silence]).await;
    let mut sink = sink(&server, "request-timeout \"100ms\"");
    let (reason, retry) = retried(deliver(&mut sink, &batch()).await);
    assert!(reason.contains("timed out"), "{reason}");
    assert_eq!(retry, Retry::Backoff);
    deliver(&mut sink, &batch()).await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut sink = build(&format!("url \"http://user:secret@{address}/in?token=secret\"")).unwrap();
    let (reason, _) = retried(deliver(&mut sink, &batch()).await);
    assert!(reason.starts_with(&format!("http://{address}/in: error sending request")), "{reason}");
    assert!(reason.contains("refused"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_asked() {
    // Whether one is set or not: the request arrives where the address says.
    let server = Server::start(Vec::new()).await;
    deliver(&mut sink(&server, ""), &batch()).await.unwrap();
    assert_eq!(server.requests()[0].line, "POST /in HTTP/1.1");
}

#[tokio::test]
async fn credentials_headers_and_compression() {
    let server = Server::start(Vec::new()).await;
    let options = "compression \"gzip\"; auth user=\"me\" password=\"p:w\"; \
                   headers { X-Env \"prod\"; content-type \"application/vnd.x\"; X-Host \"%[localhost]\" }";
    deliver(&mut sink(&server, options), &batch()).await.unwrap();
    deliver(&mut sink(&server, "auth bearer=\"token\""), &batch()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some("Basic bWU6cDp3"));
    assert_eq!(requests[0].header("x-env"), Some("prod"));
    assert_eq!(requests[0].header("content-type"), Some("application/vnd.x"));
    assert_eq!(requests[0].header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(requests[0].body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, requests[1].text());
    assert_eq!(requests[1].header("authorization"), Some("Bearer token"));
}

#[tokio::test]
async fn events_are_sorted_by_address_and_headers() {
    let server = Server::start(vec![reply(200, ""), reply(400, "no"), reply(200, "")]).await;
    let options = format!(
        "url \"http://{}/in/%{{app}}?q=%{{app}}\"; format \"ndjson\"; headers {{ X-Team \"%{{team}}\" }}",
        server.address
    );
    let events = vec![
        event(&[("app", "a/../b"), ("team", "t\r\nX-Evil: 1")], b"1"),
        event(&[("app", ".."), ("team", "u")], b"2"),
        event(&[("app", "a/../b"), ("team", "t\r\nX-Evil: 1")], b"3"),
        event(&[("app", "x y&z=1#f"), ("team", "u")], b"4"),
    ];
    let rows = refused(deliver(&mut build(&options).unwrap(), &Batch::new(events)).await);
    assert_eq!(rows, [(1, format!("http://{}/in/__ answered 400: no", server.address))]);
    let requests = server.requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /in/a%2F..%2Fb?q=a%2F..%2Fb HTTP/1.1",
            "POST /in/__?q=.. HTTP/1.1",
            "POST /in/x%20y%26z%3D1%23f?q=x%20y%26z%3D1%23f HTTP/1.1",
        ]
    );
    assert_eq!(requests[0].header("x-team"), Some("t__X-Evil: 1"));
    assert_eq!(requests[0].header("x-evil"), None);
    assert_eq!(requests[0].text().lines().count(), 2);
}

#[tokio::test]
async fn single_events_fail_one_by_one() {
    let server = Server::start(vec![reply(200, ""), reply(422, "bad"), reply(200, "")]).await;
    let batch = Batch::new(vec![event(&[], b"1"), event(&[], b"2"), event(&[], b"3")]);
    let rows = refused(deliver(&mut sink(&server, "format \"single\""), &batch).await);
    assert_eq!(rows, [(1, format!("http://{}/in answered 422: bad", server.address))]);
    assert_eq!(server.requests().iter().map(|request| request.text()).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_until_the_culprit_is_alone() {
    // 1234, 12, 34, 3, 4: the third event is too large in any company.
    let answers = vec![reply(413, ""), reply(200, ""), reply(413, ""), reply(413, ""), reply(200, "")];
    let server = Server::start(answers).await;
    let batch = Batch::new(vec![event(&[], b"1"), event(&[], b"2"), event(&[], b"3"), event(&[], b"4")]);
    let rows = refused(deliver(&mut sink(&server, ""), &batch).await);
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2]);
    let sent: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.text().chars().filter(char::is_ascii_digit).collect())
        .collect();
    assert_eq!(sent, ["1234", "12", "34", "3", "4"]);
}

#[tokio::test]
async fn an_empty_batch_sends_nothing() {
    let server = Server::start(Vec::new()).await;
    deliver(&mut sink(&server, ""), &Batch::default()).await.unwrap();
    assert!(server.requests().is_empty());
}

#[test]
fn mistakes_in_the_options_are_found_all_at_once() {
    let wrong = |options: &str| build(options).err().unwrap_or_default();
    assert_eq!(
        wrong(
            "url \"ftp://x\"; headers { \"a b\" \"1\"; host \"x\"; x \"%q\" }; auth user=\"a\" bearer=\"b\"; \
             on { \"9xx\" \"retry\"; \"200\" \"ok\" }; connect-timeout \"0s\""
        )
        .len(),
        8
    );
    assert_eq!(
        wrong("url \"http://%{host}/\""),
        ["the scheme and the host of an address cannot depend on an event"]
    );
    assert_eq!(wrong("url \"http://h:port/\"").len(), 1);
    assert_eq!(wrong("url \"http://h/%20\"").len(), 1, "a percent sign is written %%");
    assert!(build("url \"http://h/a%%20b\"").is_ok());
    assert_eq!(wrong("url \"https://h/\"; tls ca=\"/nowhere/ca.pem\"").len(), 1);
    assert_eq!(wrong("url \"https://h/\"; auth bearer=\"a\\nb\"").len(), 1);
}

#[test]
fn the_example_builds() {
    let kdl = FACTORY.example.replace(" channel=\"durable\"", "").replace("${env:LOGS_TOKEN}", "token");
    let cx = build_context(Path::new("/nowhere"), Arc::new(TestClock::at(0)));
    assert!((FACTORY.build)(&section(FACTORY.options, &kdl), &cx).is_ok());
}
