//! The codec against itself, against truncation at every byte, and against bytes that mean nothing.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use millrace_core::{Event, Headers};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{
    AvroError, Call, Compression, EventLimits, Frame, FrameLimits, FrameReader, FrameWriter,
    HandshakeRequest, HandshakeResponse, MD5, Match, Reader, Response, Status, TEXT, begin_frame,
    encode_append_batch, encode_error, encode_status, finish_frame, frame::FrameDecoder, read_call,
    read_response, wire::put_bytes, wire::put_long,
};

const LIMITS: EventLimits = EventLimits { events_max: 1000, headers_max: 10_000 };

fn long(value: i64) -> Bytes {
    let mut out = BytesMut::new();
    put_long(&mut out, value);
    out.freeze()
}

fn call_bytes(events: &[Event]) -> Bytes {
    let mut out = BytesMut::new();
    encode_append_batch(&mut out, events);
    out.freeze()
}

fn events_of(bytes: Bytes, limits: EventLimits) -> Result<Vec<Event>, AvroError> {
    match read_call(&mut Reader::new(bytes), limits)? {
        Call::Append(events) => Ok(events),
        other => unreachable!("{other:?}"),
    }
}

fn event(headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Event {
    let headers: Headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Event::with_headers(headers, body)
}

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let headers = prop::collection::btree_map(".{0,8}", ".{0,20}", 0..20);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    prop::collection::vec((headers, body), 0..20).prop_map(|events| {
        let event = |(headers, body): (std::collections::BTreeMap<String, String>, Vec<u8>)| {
            let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into()));
            Event::with_headers(headers.collect(), body)
        };
        events.into_iter().map(event).collect()
    })
}

#[test]
fn numbers_have_the_bytes_of_the_specification() {
    for (value, bytes) in [
        (0, &[0][..]),
        (-1, &[1]),
        (1, &[2]),
        (-64, &[0x7f]),
        (64, &[0x80, 1]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        assert_eq!(long(value), bytes);
        assert_eq!(Reader::new(Bytes::from(bytes.to_vec())).long("x"), Ok(value));
    }
    let too_long = Bytes::from_static(&[0xff; 11]);
    assert_eq!(Reader::new(too_long).long("x"), Err(AvroError::NotANumber { what: "x", at: 0 }));
    let too_big = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
    assert_eq!(Reader::new(too_big).long("x"), Err(AvroError::NotANumber { what: "x", at: 0 }));
}

#[test]
fn bodies_and_headers_are_slices_of_the_frame() {
    let frame = call_bytes(&[event(&[("host", "näme")], b"body"), event(&[("host", "other")], b"")]);
    let inside = frame.as_ptr_range();
    for event in events_of(frame.clone(), LIMITS).unwrap() {
        for (name, value) in &event.headers {
            assert!(inside.contains(&name.as_ptr()) && inside.contains(&value.as_ptr()));
        }
        assert!(event.body.is_empty() || inside.contains(&event.body.as_ptr()));
    }
}

#[test]
fn events_with_equal_headers_share_one_list() {
    let same = [("host", "a"), ("env", "prod")];
    let sent = [event(&same, b"1"), event(&same, b"2"), event(&[], b"3"), event(&same, b"4")];
    let read = events_of(call_bytes(&sent), LIMITS).unwrap();
    assert_eq!(read, sent);
    assert!(read[0].headers.is_same_list(&read[1].headers));
    assert!(!read[0].headers.is_same_list(&read[3].headers));
}

#[test]
fn of_a_repeated_header_the_last_value_counts_in_the_place_of_the_first() {
    for filler in [0, 40] {
        let mut bytes = BytesMut::from(&[0][..]);
        put_bytes(&mut bytes, b"append");
        put_long(&mut bytes, 3 + filler);
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            put_bytes(&mut bytes, name.as_bytes());
            put_bytes(&mut bytes, value.as_bytes());
        }
        for at in 0..filler {
            put_bytes(&mut bytes, format!("x{at}").as_bytes());
            put_bytes(&mut bytes, b"");
        }
        bytes.put_slice(&[0, 0]);
        let events = events_of(bytes.freeze(), LIMITS).unwrap();
        let first: Vec<(&str, &str)> = events[0].headers.iter().take(2).map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(first, [("a", "3"), ("b", "2")]);
        assert_eq!(events[0].headers.len(), 2 + usize::try_from(filler).unwrap());
    }
}

/// Two blocks, the first with a negative count and its size in bytes, as the specification allows.
#[test]
fn blocks_with_negative_counts_are_read() {
    let mut event = BytesMut::new();
    put_long(&mut event, -1);
    put_long(&mut event, 4);
    put_bytes(&mut event, b"k");
    put_bytes(&mut event, b"v");
    put_long(&mut event, 1);
    put_bytes(&mut event, b"l");
    put_bytes(&mut event, b"w");
    put_long(&mut event, 0);
    put_bytes(&mut event, b"body");
    let mut bytes = BytesMut::new();
    // Metadata in both forms, too.
    put_long(&mut bytes, -1);
    put_long(&mut bytes, 4);
    put_bytes(&mut bytes, b"m");
    put_bytes(&mut bytes, b"n");
    put_long(&mut bytes, 1);
    put_bytes(&mut bytes, b"o");
    put_bytes(&mut bytes, b"");
    put_long(&mut bytes, 0);
    put_bytes(&mut bytes, b"appendBatch");
    put_long(&mut bytes, -1);
    put_long(&mut bytes, i64::try_from(event.len()).unwrap());
    bytes.put_slice(&event);
    put_long(&mut bytes, 1);
    bytes.put_slice(&event);
    put_long(&mut bytes, 0);
    let expected = self::event(&[("k", "v"), ("l", "w")], b"body");
    assert_eq!(events_of(bytes.freeze(), LIMITS), Ok(vec![expected.clone(), expected]));
}

#[test]
fn limits_on_events_and_headers_hold_over_the_whole_request() {
    let events = vec![event(&[("a", "1"), ("b", "2")], b""), event(&[("a", "2")], b""), event(&[], b"x")];
    let limits = EventLimits { events_max: 3, headers_max: 3 };
    assert_eq!(events_of(call_bytes(&events), limits).unwrap(), events);
    let error = |limits| events_of(call_bytes(&events), limits).unwrap_err().to_string();
    let few = error(EventLimits { events_max: 2, ..limits });
    assert_eq!(few, "events in one request: 3, at most 2 are allowed");
    let few = error(EventLimits { headers_max: 2, ..limits });
    assert_eq!(few, "headers in one request: 3, at most 2 are allowed");
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused_before_anything_is_allocated() {
    for count in [i64::MAX, i64::MIN, 1 << 40, -(1 << 40), 500] {
        let mut bytes = BytesMut::from(&[0][..]);
        put_bytes(&mut bytes, b"appendBatch");
        put_long(&mut bytes, count);
        put_long(&mut bytes, 0);
        assert!(matches!(events_of(bytes.freeze(), LIMITS), Err(AvroError::Truncated { .. })), "{count}");
    }
}

#[test]
fn headers_that_are_not_utf_8_are_an_error_that_says_where() {
    let mut bytes = BytesMut::from(&[0][..]);
    put_bytes(&mut bytes, b"append");
    put_long(&mut bytes, 1);
    put_bytes(&mut bytes, b"name");
    put_bytes(&mut bytes, b"\xff\xfe");
    bytes.put_slice(&[0, 0]);
    let error = events_of(bytes.freeze(), LIMITS).unwrap_err();
    assert_eq!(error, AvroError::NotText { what: "value of a header", at: 14 });
}

#[test]
fn handshakes_survive_the_way_there_and_back() {
    for client_protocol in [None, Some(ByteString::from_static(TEXT))] {
        let request = HandshakeRequest { client_hash: MD5, client_protocol, server_hash: [7; 16] };
        let mut bytes = BytesMut::new();
        request.put(&mut bytes);
        assert_eq!(HandshakeRequest::read(&mut Reader::new(bytes.freeze())), Ok(request.clone()));
        for known in [true, false] {
            let response = HandshakeResponse::to(&request, known);
            assert_eq!(response.result, if known { Match::Client } else { Match::None });
            let mut bytes = BytesMut::new();
            response.put(&mut bytes);
            assert_eq!(HandshakeResponse::read(&mut Reader::new(bytes.freeze())), Ok(response));
        }
    }
    let agreed = HandshakeRequest { client_hash: MD5, client_protocol: None, server_hash: MD5 };
    let response = HandshakeResponse::to(&agreed, true);
    assert_eq!((response.result, response.server_protocol), (Match::Both, None));
}

#[test]
fn answers_survive_the_way_there_and_back() {
    for status in [Status::Ok, Status::Failed, Status::Unknown] {
        let mut bytes = BytesMut::new();
        encode_status(&mut bytes, status);
        assert_eq!(read_response(&mut Reader::new(bytes.freeze())), Ok(Response::Status(status)));
    }
    let mut bytes = BytesMut::new();
    encode_error(&mut bytes, "no");
    assert_eq!(read_response(&mut Reader::new(bytes.freeze())), Ok(Response::Error("no".into())));
    let unknown = Bytes::from_static(&[0, 0, 6]);
    assert!(matches!(read_response(&mut Reader::new(unknown)), Err(AvroError::OutOfRange { found: 3, .. })));
}

#[test]
fn a_request_cut_at_any_byte_is_an_error() {
    let whole = call_bytes(&[event(&[("host", "a"), ("k", "ü")], b"body"), event(&[], b"")]);
    assert!(events_of(whole.clone(), LIMITS).is_ok());
    for end in 0..whole.len() {
        let result = read_call(&mut Reader::new(whole.slice(..end)), LIMITS);
        assert!(matches!(result, Err(AvroError::Truncated { .. })), "{end}: {result:?}");
    }
}

fn decode_all(limits: usize, pieces: &[&[u8]]) -> Result<Vec<Frame>, AvroError> {
    let mut decoder = FrameDecoder::new(FrameLimits { frame_bytes_max: limits });
    let (mut inbox, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        inbox.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut inbox)? {
            frames.push(frame);
        }
    }
    assert!(!decoder.is_inside_frame(&inbox), "something is left");
    Ok(frames)
}

fn chunked(serial: i32, chunks: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i32(serial);
    bytes.put_i32(i32::try_from(chunks.len()).unwrap());
    for chunk in chunks {
        bytes.put_i32(i32::try_from(chunk.as_ref().len()).unwrap());
        bytes.put_slice(chunk.as_ref());
    }
    bytes
}

#[test]
fn frames_are_found_wherever_the_bytes_are_cut_and_however_they_are_chunked() {
    let mut stream = chunked(-7, &["one"]);
    stream.extend(chunked(8, &["t", "", "wo", ""]));
    stream.extend(chunked(9, &[""]));
    stream.extend(chunked(i32::MAX, &["", "three"]));
    let frame = |serial, content: &'static [u8]| Frame { serial, content: content.into() };
    let expected = [frame(-7, b"one"), frame(8, b"two"), frame(9, b""), frame(i32::MAX, b"three")];
    for cut in 0..stream.len() {
        let (first, second) = stream.split_at(cut);
        assert_eq!(decode_all(1024, &[first, second]).unwrap(), expected, "{cut}");
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode_all(1024, &single).unwrap(), expected);
}

#[test]
fn frames_beyond_the_limits_are_refused_as_soon_as_they_say_so() {
    let error = |stream: &[u8]| decode_all(16, &[stream]).unwrap_err().to_string();
    assert_eq!(decode_all(16, &[&chunked(1, &["123456789012"])]).unwrap().len(), 1);
    let too_large = "bytes of a frame: 17, at most 16 are allowed";
    assert_eq!(error(&chunked(1, &["1234567890123"])), too_large);
    assert_eq!(error(&chunked(1, &["12345678", "1"])), too_large);
    assert_eq!(error(&chunked(1, &["", "", "", "1"])), too_large);
    assert_eq!(error(&chunked(1, &[""; 0])), "number of chunks in a frame is 0");
    assert_eq!(error(&chunked(1, &[""; 5])), "number of chunks in a frame: 5, at most 4 are allowed");
    assert_eq!(error(b"GET / HTTP/1.1\r\n"), "number of chunks in a frame: 790644820, at most 4 are allowed");
    assert_eq!(error(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]), "number of chunks in a frame is -1");
    assert_eq!(error(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]), "length of a chunk is -1");
}

#[test]
fn a_promise_of_many_bytes_allocates_none() {
    let mut decoder = FrameDecoder::new(FrameLimits { frame_bytes_max: 1 << 30 });
    let mut inbox = BytesMut::from(&[0, 0, 0, 1, 0, 0, 0, 2, 0x3f, 0, 0, 0, 1][..]);
    assert_eq!(decoder.decode(&mut inbox), Ok(None));
    assert!(decoder.held_bytes() < 1024);
}

#[tokio::test]
async fn compressed_frames_arrive_whole_after_every_send() {
    for level in [0, 1, 6, 9] {
        let compression = Compression::Deflate(level);
        let (near, far) = tokio::io::duplex(100);
        let (mut writer, limits) =
            (FrameWriter::new(near, compression), FrameLimits { frame_bytes_max: 1 << 22 });
        let mut reader = FrameReader::new(far, compression, limits);
        for content in [
            vec![],
            b"small".to_vec(),
            vec![0; 1 << 20],
            (0..200_000_u32).flat_map(u32::to_be_bytes).collect(),
        ] {
            let mut frame = BytesMut::new();
            begin_frame(&mut frame, 3);
            frame.put_slice(&content);
            finish_frame(&mut frame, 0).unwrap();
            let (sent, received) = tokio::join!(writer.send(&frame), reader.next());
            sent.unwrap();
            assert_eq!(received.unwrap().unwrap(), Frame { serial: 3, content: content.into() });
        }
        writer.shutdown().await.unwrap();
        assert!(reader.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_small_input_that_stands_for_very_much_is_stopped_at_the_frame_limit() {
    let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff]).unwrap();
    std::io::Write::write_all(&mut bomb, &vec![0; 1 << 24]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 20_000);
    let mut reader =
        FrameReader::new(&bomb[..], Compression::Deflate(6), FrameLimits { frame_bytes_max: 1 << 20 });
    let error = reader.next().await.unwrap_err().to_string();
    assert_eq!(error, "bytes of a frame: 16777219, at most 1048576 are allowed");
    assert!(reader.needed_bytes() < 1 << 20);
}

#[tokio::test]
async fn bytes_that_are_not_compressed_are_named_as_such() {
    let plain = chunked(1, &["hello"]);
    let mut reader =
        FrameReader::new(&plain[..], Compression::Deflate(6), FrameLimits { frame_bytes_max: 1 << 20 });
    let error = reader.next().await.unwrap_err().to_string();
    assert!(error.contains("not a deflate stream"), "{error}");
}

proptest! {
    #[test]
    fn any_number_survives(value in any::<i64>()) {
        prop_assert_eq!(Reader::new(long(value)).long("x"), Ok(value));
    }

    #[test]
    fn any_batch_survives(events in any_events()) {
        prop_assert_eq!(events_of(call_bytes(&events), LIMITS), Ok(events));
    }

    #[test]
    fn any_bytes_end_in_a_call_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let _ = read_call(&mut Reader::new(bytes.clone()), LIMITS);
        let _ = read_response(&mut Reader::new(bytes.clone()));
        let _ = HandshakeRequest::read(&mut Reader::new(bytes.clone()));
        let _ = HandshakeResponse::read(&mut Reader::new(bytes));
    }

    /// Nearly right bytes reach deeper than random ones.
    #[test]
    fn any_damage_to_a_batch_ends_in_a_call_or_an_error(
        events in any_events(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = call_bytes(&events).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Call::Append(events)) = read_call(&mut Reader::new(bytes.clone().into()), LIMITS) {
            prop_assert!(events.len() <= LIMITS.events_max);
            prop_assert!(events.iter().map(|event| event.body.len()).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn any_stream_ends_in_frames_or_an_error_and_holds_no_more_than_the_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..400)
    ) {
        let mut decoder = FrameDecoder::new(FrameLimits { frame_bytes_max: 64 });
        let mut inbox = BytesMut::from(&bytes[..]);
        while let Ok(Some(frame)) = decoder.decode(&mut inbox) {
            prop_assert!(frame.content.len() <= 64);
        }
        prop_assert!(decoder.held_bytes() <= 128);
    }

    #[test]
    fn any_chunks_make_the_same_frame(
        content in prop::collection::vec(any::<u8>(), 1..300), size in 1_usize..50, piece in 1_usize..50
    ) {
        let chunks: Vec<&[u8]> = content.chunks(size).collect();
        let stream = chunked(5, &chunks);
        let pieces: Vec<&[u8]> = stream.chunks(piece).collect();
        let frames = decode_all(4096, &pieces).unwrap();
        prop_assert_eq!(frames, vec![Frame { serial: 5, content: content.into() }]);
    }
}
