//! Against a small ClickHouse: it refuses an insert that holds a row with `bad`, and knows its tokens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use millrace_plugin::http::{Request, Response};
use millrace_plugin::testing::{self, Event, Host};

use super::*;

type Table = Rc<RefCell<BTreeMap<String, Vec<String>>>>;

/// Answers as ClickHouse does, and gives the rows of each token.
fn clickhouse(host: &Host) -> Table {
    let table = Table::default();
    let inserted = Rc::clone(&table);
    host.on_http(move |request: &Request| {
        let (_, token) = request.url.split_once("&insert_deduplication_token=").unwrap();
        let text = String::from_utf8(request.body.clone()).unwrap();
        if text.contains("bad") {
            return Ok(
                Response::new(400).with_body("Code: 27. DB::Exception: Cannot parse input\n (at row 1)")
            );
        }
        let rows = || text.lines().map(str::to_owned).collect();
        inserted.borrow_mut().entry(token.to_owned()).or_insert_with(rows);
        Ok(Response::new(200))
    });
    table
}

fn sink(more: &str) -> ClickhouseSink {
    let config = format!(r#"{{"url": "http://127.0.0.1:8123", "table": "logs", "body-column": "m"{more}}}"#);
    testing::configure_sink(&config).unwrap()
}

fn events(bodies: &[&str]) -> Vec<Event> {
    bodies.iter().map(|body| Event::new(*body)).collect()
}

fn rows(table: &Table) -> Vec<String> {
    table.borrow().values().flatten().cloned().collect()
}

#[test]
fn a_batch_is_one_insert_however_often_it_is_delivered() {
    let host = Host::new();
    let table = clickhouse(&host);
    let mut sink = sink(r#", "user": "writer", "secret": "clickhouse""#);
    for attempt in 1..=3 {
        let delivery = Delivery { id: "a/7".into(), attempt };
        let outcome = testing::deliver_again(&mut sink, &delivery, events(&["one", "two"])).unwrap();
        assert_eq!(outcome, Outcome::delivered());
    }
    assert_eq!(rows(&table), [r#"{"m":"one"}"#, r#"{"m":"two"}"#]);
    let requests = host.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[0].url,
        "http://127.0.0.1:8123/?query=INSERT%20INTO%20%60logs%60%20FORMAT%20JSONEachRow&insert_deduplication_token=a%2F7"
    );
    assert_eq!(requests[0].secret.as_deref(), Some("clickhouse"));
    assert_eq!(requests[0].headers, [("x-clickhouse-user".to_owned(), b"writer".to_vec())]);
}

#[test]
fn rows_that_are_wrong_are_found_by_halving() {
    let host = Host::new();
    let table = clickhouse(&host);
    let bodies = ["a", "b", "bad 1", "c", "d", "e", "f", "bad 2", "g"];
    let outcome = testing::deliver(&mut sink(""), "id", events(&bodies)).unwrap();
    let reason = "Code: 27. DB::Exception: Cannot parse input (at row 1)";
    let refused: Vec<_> = outcome.refused().map(|(row, failure)| (row, failure.clone())).collect();
    assert_eq!(refused, [2, 7].map(|row| (row, Failure::Reject(reason.into()))));
    let mut rows = rows(&table);
    rows.sort();
    assert_eq!(rows, ["a", "b", "c", "d", "e", "f", "g"].map(|body| format!(r#"{{"m":"{body}"}}"#)));
    // Once more: the halves have the same tokens, so nothing is there twice.
    testing::deliver(&mut sink(""), "id", events(&bodies)).unwrap();
    assert_eq!(table.borrow().values().flatten().count(), 7);
}

#[test]
fn halving_ends_and_what_is_left_comes_again() {
    let host = Host::new();
    clickhouse(&host);
    let bodies = ["bad"; 8];
    let outcome = testing::deliver(&mut sink(r#", "requests-max": 5"#), "id", events(&bodies)).unwrap();
    assert_eq!(host.requests().len(), 5);
    let refused: Vec<_> = outcome.refused().map(|(row, failure)| (row, failure.clone())).collect();
    assert!(matches!(refused[0], (0, Failure::Reject(_))));
    assert!(matches!(refused[1], (1, Failure::Reject(_))));
    assert_eq!(refused[2..], [2, 3, 4, 5, 6, 7].map(|row| (row, Failure::Retry(None))));
}

#[test]
fn a_server_that_has_no_time_gets_the_batch_later() {
    let host = Host::new();
    host.on_http(|_| Ok(Response::new(429).with_header("Retry-After", "7")));
    let answer = testing::deliver(&mut sink(""), "id", events(&["a"]));
    assert_eq!(answer, Err(Failure::Retry(Some(Duration::from_secs(7)))));
    for status in [401, 404, 500, 503] {
        host.on_http(move |_| Ok(Response::new(status)));
        assert_eq!(testing::deliver(&mut sink(""), "id", events(&["a"])), Err(Failure::Retry(None)));
    }
    host.on_http(|_| Ok(Response::new(200).with_header("X-ClickHouse-Exception-Code", "241")));
    assert_eq!(testing::deliver(&mut sink(""), "id", events(&["a"])), Err(Failure::Retry(None)));
    host.on_http(|_| Err(millrace_plugin::http::Error::Denied));
    assert_eq!(testing::deliver(&mut sink(""), "id", events(&["a"])), Err(Failure::Retry(None)));
}

#[test]
fn a_batch_without_a_single_line_asks_nothing_of_the_server() {
    let host = Host::new();
    let outcome = testing::deliver(&mut sink(""), "id", vec![Event::new(vec![0xff])]).unwrap();
    assert_eq!(outcome.refused().count(), 1);
    assert_eq!(host.requests(), []);
}

#[test]
fn every_mistake_is_reported() {
    let config = r#"{"url": "db:8123", "table": "", "requests-max": 0}"#;
    let issues = testing::configure_sink::<ClickhouseSink>(config).err().unwrap();
    let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["/url", "/table", "/requests-max"]);
}
