use bytes::Bytes;
use millrace_core::{Event, Headers};

use super::{AvroCodec, Room, Rows, SerializerSpec};

fn headers(entries: &[(&'static str, &'static str)]) -> Headers {
    entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn events() -> Vec<Event> {
    let shared = headers(&[("host", "web-1"), ("q", "a\"b\\\n")]);
    vec![
        Event::with_headers(shared.clone(), "first"),
        Event::with_headers(shared, "tab\t\"quoted\" ü \u{1F600}"),
        Event::new(""),
        Event::with_headers(headers(&[("k", "")]), Bytes::from_static(&[0xFF, 0x00, b'\n'])),
    ]
}

fn written(spec: SerializerSpec, events: &[Event]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut serializer = spec.open();
    serializer.begin(&mut output);
    let all = 0..events.len();
    let runs = std::slice::from_ref(&all);
    assert_eq!(
        serializer.append(Rows::new(events, runs), Room::UNLIMITED, &mut output).unwrap(),
        events.len()
    );
    output
}

#[test]
fn text_is_the_bodies_with_or_without_newlines() {
    let with = written(SerializerSpec::Text { append_newline: true }, &events());
    let expected = b"first\ntab\t\"quoted\" \xC3\xBC \xF0\x9F\x98\x80\n\n\xFF\x00\n\n";
    assert_eq!(with, expected);
    let without = written(SerializerSpec::Text { append_newline: false }, &events()[..1]);
    assert_eq!(without, b"first");
}

#[test]
fn header_and_text_prints_headers_as_java_does() {
    let output = written(SerializerSpec::HeaderAndText { append_newline: true }, &events());
    let expected: &[u8] = b"{host=web-1, q=a\"b\\\n} first\n\
        {host=web-1, q=a\"b\\\n} tab\t\"quoted\" \xC3\xBC \xF0\x9F\x98\x80\n\
        {} \n{k=} \xFF\x00\n\n";
    assert_eq!(output, expected);
}

#[test]
fn json_is_one_object_per_line_and_keeps_every_byte() {
    let output = written(SerializerSpec::Json, &events());
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"headers":{"host":"web-1","q":"a\"b\\\n"},"body":"first"}"#,
            "{\"headers\":{\"host\":\"web-1\",\"q\":\"a\\\"b\\\\\\n\"},\"body\":\"tab\\t\\\"quoted\\\" ü \u{1F600}\"}",
            r#"{"headers":{},"body":""}"#,
            r#"{"headers":{"k":""},"body-base64":"/wAK"}"#,
        ]
    );
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

fn read_avro(container: &[u8]) -> Vec<Event> {
    let reader = apache_avro::Reader::new(container).unwrap();
    reader
        .map(|value| {
            let apache_avro::types::Value::Record(fields) = value.unwrap() else { panic!("no record") };
            let [(_, apache_avro::types::Value::Map(map)), (_, apache_avro::types::Value::Bytes(body))] =
                fields.as_slice()
            else {
                panic!("other fields: {fields:?}")
            };
            let mut entries: Vec<_> = map
                .iter()
                .map(|(name, value)| {
                    let apache_avro::types::Value::String(value) = value else { panic!("no string") };
                    (name.as_str().into(), value.as_str().into())
                })
                .collect();
            entries.sort();
            Event::with_headers(entries.into_iter().collect(), body.clone())
        })
        .collect()
}

#[test]
fn avro_containers_are_read_by_another_reader_with_every_codec() {
    for codec in [AvroCodec::Null, AvroCodec::Deflate, AvroCodec::Snappy, AvroCodec::Zstandard] {
        for sync_interval in [1, 64, 2_048_000] {
            let many: Vec<Event> = std::iter::repeat_n(events(), 50).flatten().collect();
            let container = written(SerializerSpec::AvroEvent { codec, sync_interval }, &many);
            assert_eq!(read_avro(&container), many, "{codec:?} {sync_interval}");
        }
    }
}

#[test]
fn avro_appends_are_whole_blocks() {
    let events = events();
    let runs = [0..2, 3..4];
    let mut serializer = SerializerSpec::AvroEvent { codec: AvroCodec::Null, sync_interval: 1 << 20 }.open();
    let mut output = Vec::new();
    serializer.begin(&mut output);
    assert!(read_avro(&output).is_empty());
    for repetitions in 1..4 {
        assert_eq!(serializer.append(Rows::new(&events, &runs), Room::UNLIMITED, &mut output).unwrap(), 3);
        let once = [&events[0], &events[1], &events[3]];
        let expected: Vec<Event> = once.into_iter().cycle().take(3 * repetitions).cloned().collect();
        assert_eq!(read_avro(&output), expected);
    }
}

#[test]
fn no_serializer_exceeds_its_room_or_stops_short_of_it() {
    let events: Vec<Event> = std::iter::repeat_n(events(), 20).flatten().collect();
    let all = 0..events.len();
    let runs = std::slice::from_ref(&all);
    let specs = [
        SerializerSpec::Text { append_newline: true },
        SerializerSpec::HeaderAndText { append_newline: true },
        SerializerSpec::Json,
        SerializerSpec::AvroEvent { codec: AvroCodec::Null, sync_interval: 100 },
    ];
    for spec in specs {
        for bytes in [0, 1, 30, 57, 100, 400, 1_000_000] {
            let mut output = Vec::new();
            let room = Room { events: 70, bytes, takes_first: false };
            let taken = spec.open().append(Rows::new(&events, runs), room, &mut output).unwrap();
            assert!(output.len() <= bytes && taken <= 70, "{spec:?} {bytes}");
            assert_eq!(taken == 70, bytes == 1_000_000, "{spec:?} {bytes}: {taken}");
            let mut forced = Vec::new();
            let room = Room { events: 70, bytes, takes_first: true };
            let with_first = spec.open().append(Rows::new(&events, runs), room, &mut forced).unwrap();
            assert_eq!(with_first, taken.max(1), "{spec:?} {bytes}");
        }
    }
}
