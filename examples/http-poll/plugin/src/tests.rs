//! Against a small API with the items `1` to `count`.

use millrace_plugin::http::{Request, Response};
use millrace_plugin::testing::{self, Event, Host};

use super::*;

const LIMITS: Limits = Limits { events_max: 2, bytes_max: 1_000 };

fn api(host: &Host, count: u64) {
    host.on_http(move |request: &Request| {
        let (_, query) = request.url.split_once('?').unwrap();
        let number = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.map(|number| number.parse::<u64>().unwrap())
        };
        let from = number("after").unwrap_or(0) + 1;
        let to = count.min(from + number("limit").unwrap() - 1);
        let items: Vec<_> = (from..=to).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
        Ok(Response::new(200).with_body(format!("[{}]", items.join(","))))
    });
}

fn source(more: &str) -> HttpPoll {
    testing::configure_source(&format!(r#"{{"url": "http://127.0.0.1:5070/events"{more}}}"#)).unwrap()
}

fn items(ids: impl IntoIterator<Item = u64>) -> Vec<Event> {
    ids.into_iter().map(|id| Event::new(format!(r#"{{"id":{id}}}"#))).collect()
}

#[test]
fn all_pages_are_read_and_then_there_is_a_pause() {
    let host = Host::new();
    api(&host, 5);
    let read = testing::read(&mut source(""), None, LIMITS).unwrap();
    assert_eq!(read.events, items(1..=5));
    assert_eq!(read.position.as_deref(), Some(b"5".as_slice()));
    assert_eq!(read.pace, Pace::After(Duration::from_secs(5)));
    let urls: Vec<_> = host.requests().into_iter().map(|request| request.url).collect();
    assert_eq!(urls[0], "http://127.0.0.1:5070/events?limit=2");
    assert_eq!(urls[1], "http://127.0.0.1:5070/events?limit=2&after=2");
}

#[test]
fn reading_goes_on_behind_the_position() {
    let host = Host::new();
    api(&host, 5);
    let read = testing::read(&mut source(""), Some(b"3"), LIMITS).unwrap();
    assert_eq!(read.events, items(4..=5));
    let error = testing::read(&mut source(""), Some(&[0xff]), LIMITS).unwrap_err();
    assert_eq!(error, Failure::Fatal("the stored position is no cursor".into()));
}

#[test]
fn what_has_no_room_comes_with_the_next_page() {
    let host = Host::new();
    host.on_http(|request| {
        let is_first = !request.url.contains("after");
        let page = if is_first { r#"[{"id":"a b"},{"id":"c"},{"id":"d"}]"# } else { "[]" };
        Ok(Response::new(200).with_body(page))
    });
    let limits = Limits { events_max: 100, bytes_max: 12 };
    let read = testing::read(&mut source(""), None, limits).unwrap();
    assert_eq!(read.events, [Event::new(r#"{"id":"a b"}"#)]);
    assert_eq!(read.position.as_deref(), Some(b"a b".as_slice()));
    assert!(host.requests()[1].url.ends_with("&after=a%20b"));
}

#[test]
fn the_server_says_when_to_come_again() {
    let host = Host::new();
    host.on_http(|_| Ok(Response::new(200).with_body("[]").with_header("Retry-After", "60")));
    let read = testing::read(&mut source(""), None, LIMITS).unwrap();
    assert_eq!((read.position, read.pace), (None, Pace::After(Duration::from_secs(60))));
    host.on_http(|_| Ok(Response::new(304)));
    let read = testing::read(&mut source(r#", "interval-seconds": 9"#), None, LIMITS).unwrap();
    assert_eq!(read.pace, Pace::After(Duration::from_secs(9)));
    host.on_http(|_| Ok(Response::new(429).with_header("Retry-After", "30")));
    let answer = testing::read(&mut source(""), None, LIMITS);
    assert_eq!(answer, Err(Failure::Retry(Some(Duration::from_secs(30)))));
    host.on_http(|_| Err(http::Error::Timeout));
    assert_eq!(testing::read(&mut source(""), None, LIMITS), Err(Failure::Retry(None)));
}

#[test]
fn a_server_that_does_not_know_the_parameter_is_not_read_in_circles() {
    let host = Host::new();
    host.on_http(|_| Ok(Response::new(200).with_body(r#"[{"id":1}]"#)));
    assert_eq!(testing::read(&mut source(""), None, LIMITS), Err(Failure::Retry(None)));
    assert_eq!(host.requests().len(), 2);
}

#[test]
fn every_mistake_is_reported() {
    let issues =
        testing::configure_source::<HttpPoll>(r#"{"url": "x", "interval-seconds": 0}"#).err().unwrap();
    let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["/url", "/interval-seconds"]);
}
