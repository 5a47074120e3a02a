//! Plugins as codecs: frames out of a stream, events out of frames, bytes out of events.

use bytes::Bytes;
use millrace_core::CodecError;

use crate::support::{Rig, Setup, batch, bodies, setup};

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x4D, 0x52];
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn whole_frames_are_cut_and_the_rest_comes_again() {
    let rig = Rig::new();
    let codec = rig.codec(&setup("frames-codec"));
    let stream = [frame(b"one"), frame(b""), frame(b"three")].concat();
    let ends = [9, 15, 26];
    for length in 0..=stream.len() {
        let found = codec.frame(Bytes::copy_from_slice(&stream[..length]), false).await.unwrap();
        let whole: Vec<usize> = ends.into_iter().filter(|end| *end <= length).collect();
        assert_eq!(found, whole, "{length} bytes");
    }
    assert_eq!(codec.frame(stream.into(), true).await.unwrap(), ends);
}

#[tokio::test]
async fn a_stream_of_another_kind_and_half_a_frame_at_the_end_are_refused() {
    let rig = Rig::new();
    let codec = rig.codec(&setup("frames-codec"));
    for (bytes, at_end, reason) in [
        (&b"GET / HTTP/1.1"[..], false, "codec guest: a frame begins with 0x4D 0x52"),
        (&b"MR\0\0\0\x09half"[..], true, "codec guest: the last frame is not whole"),
        (&b"MR\xff\xff\xff\xff"[..], false, "codec guest: a payload of 4294967295 bytes is over the limit"),
    ] {
        let error = codec.frame(Bytes::from_static(bytes), at_end).await.unwrap_err();
        assert!(matches!(error, CodecError::Stream { .. }), "{error}");
        assert_eq!(error.to_string(), reason);
    }
}

#[tokio::test]
async fn a_damaged_frame_is_refused_alone() {
    let rig = Rig::new();
    let codec = rig.codec(&setup("frames-codec"));
    let frames = [&b"a"[..], b"bad", b"", b"b", b"\xff\0"].map(|payload| Bytes::from(frame(payload)));
    let decoded = codec.decode(frames.to_vec()).await.unwrap();
    let found: Vec<_> = decoded.events.iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(found, [b"a".to_vec(), b"b".to_vec(), b"\xff\0".to_vec()]);
    let [(bytes, rejection)] = &decoded.refused[..] else { panic!("{:?}", decoded.refused) };
    assert_eq!((&bytes[..], &*rejection.reason), (&frame(b"bad")[..], "the payload is bad"));
    assert_eq!(rig.count("faults_total", ""), 0);
}

#[tokio::test]
async fn events_are_encoded_and_keep_their_order() {
    let rig = Rig::new();
    let codec = rig.codec(&setup("frames-codec"));
    let encoded = codec.encode(&batch(&["x", "", "yz"])).await.unwrap();
    assert!(encoded.refusals.is_empty());
    let expected: Vec<String> =
        [&b"x"[..], b"", b"yz"].iter().map(|body| String::from_utf8(frame(body)).unwrap()).collect();
    assert_eq!(bodies(&encoded.batch), expected);
    let frames = encoded.batch.iter().map(|event| event.body.clone()).collect();
    let back = codec.decode(frames).await.unwrap();
    let back: Vec<_> = back.events.iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(back, [b"x".to_vec(), b"yz".to_vec()]);
}

#[tokio::test]
async fn a_codec_that_breaks_on_one_frame_or_event_costs_that_one() {
    let rig = Rig::new();
    let broken = |options| rig.codec(&Setup { options, ..setup("codec-breaks") });
    let lines = ["a", "b", "poison", "c"];
    let frames = lines.map(|line| Bytes::from(format!("{line}\n")));
    let decoded = broken("in \"decode\"").decode(frames.to_vec()).await.unwrap();
    let found: Vec<_> = decoded.events.iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(found, [b"a", b"b", b"c"]);
    let [(bytes, rejection)] = &decoded.refused[..] else { panic!("{:?}", decoded.refused) };
    assert_eq!(&bytes[..], b"poison\n");
    assert!(rejection.reason.contains("asked to panic in Decode"), "{}", rejection.reason);
    for (options, reason) in [
        ("in \"encode\"", "asked to panic in Encode"),
        ("in \"encode\"; kind \"lies\"", "answer: 2 byte strings for 1 events"),
    ] {
        let encoded = broken(options).encode(&batch(&lines)).await.unwrap();
        assert_eq!(bodies(&encoded.batch), ["a\n", "b\n", "c\n"]);
        let [refusal] = &encoded.refusals[..] else { panic!("{:?}", encoded.refusals) };
        assert!(refusal.row == 2 && refusal.reason.contains(reason), "{refusal:?}");
    }
    assert_eq!(rig.count("dead_letters_total", ""), 3);
    let cut = broken("in \"frame\"; kind \"lies\"").frame(Bytes::from_static(b"poison\n"), false).await;
    assert_eq!(
        cut.unwrap_err().to_string(),
        "codec guest: answer: a frame ends at 8, after one at 0, of 7 bytes"
    );
}
