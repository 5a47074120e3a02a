use std::net::{SocketAddr, UdpSocket};

use millrace_testkit::{RecordingChannel, SourceRig, eventually};

use super::FACTORY;

fn start(options: &str) -> (SourceRig, UdpSocket) {
    let kdl = format!("netcatudp \"u\" {{ listen \"127.0.0.1:0\"; {options} }}");
    let rig = SourceRig::start(&FACTORY, &kdl, RecordingChannel::default(), std::path::Path::new("unused"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(rig.addresses[0]).unwrap();
    (rig, socket)
}

const DATAGRAMS: &[&[u8]] = &[b"one", b"two\n", b"three\nfour\n\nfive", b"", b"\xff\xfe", b"\n"];

async fn bodies(options: &str, count: usize) -> Vec<Vec<u8>> {
    let (rig, socket) = start(options);
    DATAGRAMS.iter().for_each(|datagram| assert_eq!(socket.send(datagram).unwrap(), datagram.len()));
    rig.channel.wait_for_events(count).await;
    let (channel, result) = rig.stop().await;
    result.unwrap();
    channel.events().iter().map(|event| event.body.to_vec()).collect()
}

#[tokio::test]
async fn every_line_of_a_datagram_is_an_event() {
    let all: [&[u8]; 9] = [b"one", b"two", b"three", b"four", b"", b"five", b"", b"\xff\xfe", b""];
    assert_eq!(bodies("", 9).await, all);
}

#[tokio::test]
async fn the_first_line_only_or_the_whole_on_demand() {
    let first: [&[u8]; 6] = [b"one", b"two", b"three", b"", b"\xff\xfe", b""];
    assert_eq!(bodies("lines \"first\"", 6).await, first);
    assert_eq!(bodies("lines \"whole\"", 6).await, DATAGRAMS);
}

#[tokio::test]
async fn the_sender_stands_in_a_header_on_demand() {
    let (rig, socket) = start("remote-address \"from\"");
    socket.send(b"a\nb").unwrap();
    let events = rig.channel.wait_for_events(2).await;
    for event in &events {
        let from: SocketAddr = event.header("from").unwrap().parse().unwrap();
        assert_eq!(from, socket.local_addr().unwrap());
    }
}

#[tokio::test]
async fn the_largest_datagram_comes_whole_and_many_come_in_batches() {
    let (rig, socket) = start("receive-buffer \"4MiB\"");
    let large = vec![b'x'; 65_507];
    socket.send(&large).unwrap();
    assert_eq!(rig.channel.wait_for_events(1).await[0].body, large);
    for number in 0..100 {
        socket.send(format!("{number}").as_bytes()).unwrap();
    }
    rig.channel.wait_for_events(101).await;
    let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(rig.channel.bodies()[1..], numbers);
}

#[tokio::test]
async fn a_full_channel_is_waited_for_and_then_the_drop_is_counted() {
    let (rig, socket) = start("full-wait \"30s\"");
    rig.channel.refuse_next(2);
    socket.send(b"late").unwrap();
    rig.channel.wait_for_events(1).await;
    let metrics = rig.context.metrics.source("test");
    assert_eq!(metrics.events_dropped.get(), 0);

    let (rig, socket) = start("full-wait \"10ms\"");
    let metrics = rig.context.metrics.source("test");
    rig.channel.refuse_next(usize::MAX);
    socket.send(b"a\nb\nc").unwrap();
    eventually("the drop", || metrics.events_dropped.get() == 3).await;
    rig.channel.refuse_next(0);
    socket.send(b"after").unwrap();
    rig.channel.wait_for_events(1).await;
    assert_eq!(rig.channel.bodies(), ["after"]);
}
