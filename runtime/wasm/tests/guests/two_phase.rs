//! Sinks with a two-phase commit: what the host calls when, and what it calls after a failure.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use millrace_core::{Batch, Delivery, DeliveryToken, Sink, SinkError};
use parking_lot::Mutex;

use crate::support::{Rig, Setup, numbered, setup};

/// A destination that remembers what it is asked, and answers as it is told.
#[derive(Clone, Default)]
struct Destination {
    asked: Arc<Mutex<Vec<String>>>,
    /// Statuses of the next answers to each question, the next one last; then 200.
    statuses: Arc<Mutex<HashMap<&'static str, Vec<u16>>>>,
    /// What is said to be open.
    open: Arc<Mutex<String>>,
}

impl Destination {
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = Self::default();
        let all = own.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = all.clone();
                std::thread::spawn(move || all.serve(&stream));
            }
        });
        (own, port)
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut first, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                if first.is_empty() {
                    first = line;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let path = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
            let body = String::from_utf8_lossy(&body).trim().replace('\n', ",");
            self.asked.lock().push(format!("{path} {body}").trim().to_owned());
            let (what, id) = (path.split('/').next()?, path.rsplit('/').next()?);
            let status = self.statuses.lock().get_mut(what).and_then(Vec::pop).unwrap_or(200);
            let answer = match what {
                "prepare" => format!("t-{id}"),
                "open" => self.open.lock().clone(),
                _ => String::new(),
            };
            let head = format!("HTTP/1.1 {status} answer\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all((head + &answer).as_bytes()).ok()?;
        }
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn answers(&self, what: &'static str, statuses: &[u16]) {
        self.statuses.lock().insert(what, statuses.iter().rev().copied().collect());
    }
}

/// A sink that has recovered, with its destination.
async fn started() -> (Rig, Destination, Box<dyn Sink>) {
    let (destination, port) = Destination::start();
    let grant = format!("http \"http://127.0.0.1:{port}\"").leak();
    let options = format!("url \"http://127.0.0.1:{port}\"").leak();
    let rig = Rig::new();
    let mut sink = rig.sink(&Setup { options, grant: Some(grant), ..setup("sink-two-phase") });
    assert!(sink.is_two_phase() && sink.wants_deliveries_named());
    sink.recover(&[]).await.unwrap();
    assert_eq!(destination.asked(), ["open/0/1"]);
    (rig, destination, sink)
}

fn named(batch: Batch, id: &str) -> Batch {
    batch.with_delivery(Delivery { id: id.to_owned().into(), attempt: 1 })
}

fn three(id: &str) -> Batch {
    named(numbered(3, &[]), id)
}

fn tokens(names: &[&'static str]) -> Vec<DeliveryToken> {
    names.iter().map(|name| DeliveryToken::from_static(name.as_bytes())).collect()
}

fn is_later(result: Result<impl Sized, SinkError>) -> bool {
    matches!(result, Err(SinkError::Retryable { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_staged_prepared_and_committed_with_nothing_else_asked() {
    let (_rig, destination, mut sink) = started().await;
    for id in ["a", "b"] {
        sink.deliver(&three(id)).await.unwrap();
        let prepared = sink.prepare().await.unwrap();
        assert_eq!(prepared, [format!("t-{id}")]);
        sink.settled(true);
        sink.commit(&prepared).await.unwrap();
        let wanted = [format!("stage/0/{id} 0,1,2"), format!("prepare/0/{id}"), format!("commit/0/t-{id}")];
        assert_eq!(destination.asked(), wanted);
    }
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_commits_what_is_named_and_aborts_what_else_is_open() {
    let (_rig, destination, mut sink) = started().await;
    *destination.open.lock() = "x\ny\n".into();
    sink.recover(&tokens(&["one", "two"])).await.unwrap();
    assert_eq!(destination.asked(), ["commit/0/one", "commit/0/two", "open/0/1", "abort/0/x", "abort/0/y"]);
    destination.answers("commit", &[200, 503]);
    assert!(is_later(sink.recover(&tokens(&["one", "two"])).await));
    assert_eq!(destination.asked(), ["commit/0/one", "commit/0/two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_to_be_staged_or_prepared_is_taken_back_before_the_next_delivery() {
    let (_rig, destination, mut sink) = started().await;
    destination.answers("prepare", &[503]);
    sink.deliver(&three("a")).await.unwrap();
    assert!(is_later(sink.prepare().await));
    destination.answers("stage", &[503]);
    assert!(is_later(sink.deliver(&three("a")).await));
    sink.deliver(&three("a")).await.unwrap();
    assert_eq!(sink.prepare().await.unwrap(), ["t-a"]);
    let wanted = [
        "stage/0/a 0,1,2",
        "prepare/0/a",
        "open/0/1",
        "stage/0/a 0,1,2",
        "open/0/1",
        "stage/0/a 0,1,2",
        "prepare/0/a",
    ];
    assert_eq!(destination.asked(), wanted);
    // What is prepared and noted is committed by it, and not taken back.
    destination.answers("stage", &[503]);
    assert!(is_later(sink.deliver(&three("b")).await));
    sink.deliver(&three("b")).await.unwrap();
    assert_eq!(destination.asked(), ["stage/0/b 0,1,2", "commit/0/t-a", "open/0/1", "stage/0/b 0,1,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_not_wanted_is_taken_back_before_the_next_one() {
    let (_rig, destination, mut sink) = started().await;
    sink.deliver(&three("a")).await.unwrap();
    sink.deliver(&three("b")).await.unwrap();
    assert_eq!(destination.asked(), ["stage/0/a 0,1,2", "open/0/1", "stage/0/b 0,1,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_three_times_is_repeated_as_it_is() {
    let (_rig, destination, mut sink) = started().await;
    sink.deliver(&three("a")).await.unwrap();
    let prepared = sink.prepare().await.unwrap();
    destination.asked();
    destination.answers("commit", &[503, 400, 418]);
    assert!(is_later(sink.commit(&prepared).await));
    assert!(matches!(sink.commit(&prepared).await, Err(SinkError::Rejected { .. })));
    assert!(is_later(sink.commit(&prepared).await));
    sink.commit(&prepared).await.unwrap();
    assert_eq!(destination.asked(), ["commit/0/t-a"; 4]);
    sink.deliver(&three("b")).await.unwrap();
    assert_eq!(destination.asked(), ["stage/0/b 0,1,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_aborted_is_named_once_and_not_recovered() {
    let (_rig, destination, mut sink) = started().await;
    sink.deliver(&three("a")).await.unwrap();
    let prepared = sink.prepare().await.unwrap();
    destination.asked();
    destination.answers("abort", &[503]);
    assert!(is_later(sink.abort(&prepared).await));
    sink.deliver(&three("b")).await.unwrap();
    assert_eq!(destination.asked(), ["abort/0/t-a", "open/0/1", "stage/0/b 0,1,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_any_call_costs_the_instance_and_is_cleaned_up_after() {
    let (rig, destination, mut sink) = started().await;
    // In `deliver`: at once again on a fresh instance, after what it left is taken back.
    destination.answers("stage", &[418]);
    sink.deliver(&three("a")).await.unwrap();
    assert_eq!(destination.asked(), ["stage/0/a 0,1,2", "open/0/1", "stage/0/a 0,1,2"]);
    destination.answers("prepare", &[418]);
    assert!(is_later(sink.prepare().await));
    sink.deliver(&three("a")).await.unwrap();
    let prepared = sink.prepare().await.unwrap();
    assert_eq!(destination.asked(), ["prepare/0/a", "open/0/1", "stage/0/a 0,1,2", "prepare/0/a"]);
    destination.answers("commit", &[418]);
    assert!(is_later(sink.commit(&prepared).await));
    sink.commit(&prepared).await.unwrap();
    assert_eq!(destination.asked(), ["commit/0/t-a", "commit/0/t-a"]);
    destination.answers("abort", &[418]);
    assert!(is_later(sink.abort(&tokens(&["t-x"])).await));
    destination.answers("open", &[418]);
    assert!(is_later(sink.recover(&[]).await));
    sink.recover(&[]).await.unwrap();
    assert_eq!(destination.asked(), ["abort/0/t-x", "open/0/1", "open/0/1"]);
    assert_eq!(rig.count("faults_total", "kind=\"trap\""), 5);
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_breaks_the_plugin_is_set_aside_and_the_others_are_staged_once() {
    let (_rig, destination, mut sink) = started().await;
    let batch = numbered(4, &[(2, "poison")]);
    let Err(SinkError::Partial { refusals, again, .. }) = sink.deliver(&named(batch.clone(), "a")).await
    else {
        panic!("it is delivered")
    };
    assert_eq!((refusals.len(), refusals[0].row, again), (1, 2, vec![0, 1, 3]));
    destination.asked();
    let rest = Batch::new([0, 1, 3].map(|row| batch.events()[row].clone()).into());
    sink.deliver(&named(rest, "b")).await.unwrap();
    assert_eq!(sink.prepare().await.unwrap(), ["t-b"]);
    assert_eq!(destination.asked(), ["open/0/1", "stage/0/b 0,1,3", "prepare/0/b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_batch_with_refused_rows_is_prepared() {
    let (_rig, destination, mut sink) = started().await;
    let Err(SinkError::Partial { refusals, again, .. }) =
        sink.deliver(&named(numbered(3, &[(1, "bad")]), "a")).await
    else {
        panic!("it is delivered")
    };
    assert_eq!((refusals.len(), refusals[0].row, again.len()), (1, 1, 0));
    assert_eq!(sink.prepare().await.unwrap(), ["t-a"]);
    assert_eq!(destination.asked(), ["stage/0/a 0,2", "prepare/0/a"]);
}
