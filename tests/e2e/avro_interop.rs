//! The avro source and sink against other implementations of Flume's RPC: the npm package `avsc`, and Flume's own
//! client and source. Both directions, content exact.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use millrace_core::{Batch, Event, Sink};
use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, eventually, section};
use millrace_tests::{Server, avsc, flume, temporary_folder};
use serde_json::{Value, json};

const BATCH: usize = 1000;

/// Enough for several batches, with everything that could go wrong on the way.
fn events() -> Vec<Event> {
    let mut events: Vec<Event> = (0..4500_usize)
        .map(|number| {
            let headers = [
                ("host", format!("höst-{}", number / 100)),
                ("日本", "値 🚀".to_owned()),
                ("number", number.to_string()),
                ("empty", String::new()),
            ];
            let headers = headers.into_iter().take(number % 5);
            let body: Vec<u8> = (0..number % 700).map(|at| ((at * 31 + number) % 256) as u8).collect();
            Event::with_headers(headers.map(|(name, value)| (name.into(), value.into())).collect(), body)
        })
        .collect();
    events.insert(2000, Event::new((0..1 << 20).map(|at: u32| (at * 7 % 256) as u8).collect::<Vec<_>>()));
    events.insert(3000, Event::new(""));
    events
}

/// Headers are a map: other implementations do not keep their order.
type Plain = (BTreeMap<String, String>, Vec<u8>);

fn plain(events: &[Event]) -> Vec<Plain> {
    let headers = |event: &Event| event.headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    events.iter().map(|event| (headers(event), event.body.to_vec())).collect()
}

fn write_lines(path: &Path, events: &[Event]) {
    let line =
        |(headers, body): &Plain| format!("{}\n", json!({ "headers": headers, "body": hex::encode(body) }));
    fs::write(path, plain(events).iter().map(line).collect::<String>()).unwrap();
}

fn read_lines(path: &Path) -> Vec<Plain> {
    let line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let headers = serde_json::from_value(event["headers"].clone()).unwrap();
        (headers, hex::decode(event["body"].as_str().unwrap()).unwrap())
    };
    fs::read_to_string(path).unwrap().lines().map(line).collect()
}

fn source(compression: &str, folder: &Path) -> (SourceRig, RecordingChannel) {
    let factories = millrace_components::sources::factories();
    let factory = factories.iter().find(|factory| factory.name == "avro").unwrap();
    let channel = RecordingChannel::default();
    let kdl = format!(r#"avro "in" {{ listen "127.0.0.1:0"; compression "{compression}" }}"#);
    (SourceRig::start(factory, &kdl, channel.clone(), folder), channel)
}

fn sink(port: u16, compression: &str, folder: &Path) -> Box<dyn Sink> {
    let factories = millrace_components::sinks::factories();
    let factory = factories.iter().find(|factory| factory.name == "avro").unwrap();
    let kdl = format!(r#"avro "out" {{ connect "127.0.0.1:{port}"; compression "{compression}" }}"#);
    let context = build_context(folder, Arc::new(TestClock::at(0)));
    (factory.build)(&section(factory.options, &kdl), &context).unwrap()
}

/// Runs a client to its end beside the source.
async fn run_client(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    let output = output.expect("the client can be started; this test needs Java and Node.js");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "client failed: {}{}", text(&output.stdout), text(&output.stderr));
    // The first event alone, the rest in batches.
    assert_eq!(text(&output.stdout).trim(), "answered 6");
}

async fn assert_arrived(channel: &RecordingChannel, sent: &[Event]) {
    let received = channel.events();
    assert_eq!(received.len(), sent.len());
    assert!(plain(&received) == plain(sent), "content differs");
    let sizes: Vec<usize> = channel.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, BATCH, BATCH, BATCH, BATCH, 501]);
}

/// Sends everything to a server that refuses the first batch.
async fn send_all(sink: &mut Box<dyn Sink>, sent: &[Event]) {
    let mut refused = 0;
    for batch in sent.chunks(BATCH) {
        let batch = Batch::new(batch.to_vec());
        while let Err(error) = sink.deliver(&batch).await {
            refused += 1;
            assert!(refused == 1 && error.to_string().contains("status Failed"), "{error}");
        }
    }
    assert_eq!(refused, 1);
}

async fn assert_written(path: &Path, sent: &[Event]) {
    eventually("everything is written", || {
        fs::read(path).is_ok_and(|text| text.iter().filter(|byte| **byte == b'\n').count() == sent.len())
    })
    .await;
    assert!(read_lines(path) == plain(sent), "content differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avsc_client_sends_to_our_source() {
    let folder = temporary_folder();
    let (sent, file) = (events(), folder.path().join("events.jsonl"));
    write_lines(&file, &sent);
    let (rig, channel) = source("none", folder.path());
    let mut client = avsc().command("client");
    client.arg("127.0.0.1").arg(rig.addresses[0].port().to_string()).arg(&file).arg(BATCH.to_string());
    run_client(client).await;
    assert_arrived(&channel, &sent).await;
    rig.stop().await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_sink_sends_to_an_avsc_server() {
    let folder = temporary_folder();
    let (sent, file) = (events(), folder.path().join("events.jsonl"));
    let server = Server::start(avsc().command("server").arg(&file));
    let mut sink = sink(server.port, "none", folder.path());
    send_all(&mut sink, &sent).await;
    assert_written(&file, &sent).await;
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn flumes_client_sends_to_our_source_plain_and_compressed() {
    let folder = temporary_folder();
    let (sent, file) = (events(), folder.path().join("events.jsonl"));
    write_lines(&file, &sent);
    for compression in ["none", "deflate"] {
        let (rig, channel) = source(compression, folder.path());
        let mut client = flume().command("Client");
        client.arg(rig.addresses[0].port().to_string()).arg(&file).arg(BATCH.to_string()).arg(compression);
        run_client(client).await;
        assert_arrived(&channel, &sent).await;
        rig.stop().await.1.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_sink_sends_to_flumes_source_plain_and_compressed() {
    let folder = temporary_folder();
    let (sent, file) = (events(), folder.path().join("events.jsonl"));
    for compression in ["none", "deflate"] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = flume().command("Server");
        let server = Server::start(server.arg(free.to_string()).arg(&file).arg(compression));
        let mut sink = sink(server.port, compression, folder.path());
        send_all(&mut sink, &sent).await;
        assert_written(&file, &sent).await;
        sink.close().await.unwrap();
    }
}
