//! Frames over TCP through a codec plugin, and a codec plugin in front of a sink.

use std::{fs, io::Write, net::TcpStream};

use millrace_tests::{Agent, eventually, guest, lines_of, rolled_files, temporary_folder};

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = b"MR".to_vec();
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn frames_become_events_however_they_are_cut_on_the_way_and_damaged_ones_are_set_aside() {
    let folder = temporary_folder();
    let (out, raw, rejects) =
        (folder.path().join("out"), folder.path().join("raw"), folder.path().join("rejects"));
    let agent = Agent::start(
        folder.path(),
        "frames",
        &format!(
            r#"
            agent "frames" {{ data-dir {:?}; admin listen="127.0.0.1:0"; watch #false; dead-letter channel="rejected" }}
            plugins {{ frames-codec path={:?} }}
            channels {{ file "durable"; file "again"; file "rejected" }}
            sources {{
                frames "meters" {{ listen "127.0.0.1:0"; codec "frames-codec"; channel "durable" "again" }}
            }}
            sinks {{
                file-roll "out" channel="durable" {{ directory {out:?} }}
                file-roll "raw" channel="again" {{ directory {raw:?}; codec "frames-codec"; append-newline #false }}
                file-roll "rejects" channel="rejected" {{ directory {rejects:?}; serializer "json" }}
            }}
            "#,
            folder.path().join("frames-data"),
            guest("frames-codec"),
        ),
    );
    let address = agent.address("meters");
    let payloads: Vec<String> = (0..5_000).map(|number| format!("reading {number}")).collect();
    let mut stream: Vec<u8> = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        if number % 1_000 == 500 {
            stream.extend(frame(b"bad"));
        }
        stream.extend(frame(payload.as_bytes()));
    }
    let mut client = TcpStream::connect(address).unwrap();
    // Pieces of a prime length: most frames are cut somewhere.
    for piece in stream.chunks(1_009) {
        client.write_all(piece).unwrap();
    }
    drop(client);
    // A stream of another kind is closed and harms nobody.
    let mut other = TcpStream::connect(address).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    eventually("all events are written", || {
        lines_of(&out).len() >= payloads.len()
            && lines_of(&rejects).len() >= 5
            && !content_of(&raw).is_empty()
    });
    eventually("channels are empty", || {
        agent.status()["channels"].as_array().unwrap().iter().all(|channel| channel["events"] == 0)
    });
    assert!(agent.stop().success());
    assert!(lines_of(&out) == payloads, "{} lines", lines_of(&out).len());
    let letters = lines_of(&rejects);
    assert_eq!(letters.len(), 5);
    assert!(letters.iter().all(|letter| letter.contains("the payload is bad")), "{letters:?}");
    let again: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload.as_bytes())).collect();
    assert!(content_of(&raw) == again, "what was encoded is not what was sent");
}

fn content_of(folder: &std::path::Path) -> Vec<u8> {
    rolled_files(folder).iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect()
}
