use bytes::Bytes;
use millrace_core::{Event, Headers};
use parquet::{
    basic::{Compression, LogicalType},
    file::{
        reader::{FileReader, SerializedFileReader},
        statistics::Statistics,
    },
    record::{Field, Row},
};

use super::{MERGED_BYTES_MAX, ParquetBody, ParquetCodec, ParquetSpec};
use crate::serializers::{Room, Rows, Serializer, SerializerSpec};

const SPEC: ParquetSpec = ParquetSpec {
    codec: ParquetCodec::Snappy,
    body: ParquetBody::Binary,
    row_group_bytes_max: 64 << 20,
    row_groups_max: 128,
};

/// A file that grows as a sink lets it grow.
struct File {
    serializer: Box<dyn Serializer>,
    bytes: Vec<u8>,
}

impl File {
    fn new(spec: ParquetSpec) -> Self {
        Self { serializer: SerializerSpec::Parquet(spec).open(), bytes: Vec::new() }
    }

    /// Appends without confirming.
    fn append(&mut self, events: &[Event]) {
        let mut output = Vec::new();
        if self.bytes.is_empty() {
            self.serializer.begin(&mut output);
        }
        self.serializer.set_length(self.bytes.len() as u64);
        let all = 0..events.len();
        let rows = Rows::new(events, std::slice::from_ref(&all));
        assert_eq!(self.serializer.append(rows, Room::UNLIMITED, &mut output).unwrap(), events.len());
        self.bytes.extend(output);
    }

    fn read(&self) -> Vec<(Option<i64>, Event)> {
        read(&self.bytes)
    }
}

fn open(bytes: &[u8]) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(Bytes::copy_from_slice(bytes)).unwrap()
}

/// The column `timestamp` and the rest of each row.
fn read(bytes: &[u8]) -> Vec<(Option<i64>, Event)> {
    open(bytes).get_row_iter(None).unwrap().map(|row| event(&row.unwrap())).collect()
}

/// The bodies of a file, all text.
pub fn bodies(bytes: &[u8]) -> Vec<String> {
    let text = |event: Event| String::from_utf8(event.body.to_vec()).unwrap();
    read(bytes).into_iter().map(|(_, event)| text(event)).collect()
}

fn event(row: &Row) -> (Option<i64>, Event) {
    let columns: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
    let time = match columns[0] {
        Field::Null => None,
        Field::TimestampMillis(time) => Some(*time),
        other => panic!("{other:?}"),
    };
    let Field::MapInternal(map) = columns[1] else { panic!("{:?}", columns[1]) };
    let text = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let headers: Headers =
        map.entries().iter().map(|(name, value)| (text(name).into(), text(value).into())).collect();
    let body = match columns[2] {
        Field::Bytes(body) => body.data().to_vec(),
        Field::Str(body) => body.clone().into_bytes(),
        other => panic!("{other:?}"),
    };
    (time, Event::with_headers(headers, body))
}

fn headers(entries: &[(&str, &str)]) -> Headers {
    entries.iter().map(|(name, value)| ((*name).to_owned().into(), (*value).to_owned().into())).collect()
}

fn events() -> Vec<Event> {
    let many: Vec<(String, String)> =
        (0..300).map(|number| (format!("name {number}"), format!("ü{number}"))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    vec![
        Event::with_headers(headers(&[("timestamp", "1700000000123"), ("host", "web-1")]), "first"),
        Event::new(""),
        Event::with_headers(headers(&[("timestamp", "yesterday"), ("", "")]), Bytes::from_static(&[0xFF, 0])),
        Event::with_headers(headers(&[("timestamp", " -5 ")]), "PAR1\n\0\0\0PAR1"),
        Event::with_headers(headers(&many), "many headers"),
        Event::new(vec![b'x'; 3 << 20]),
        Event::with_headers(headers(&[("bell", "\u{7}\0\u{10FFFF}")]), "last"),
    ]
}

fn with_times(events: &[Event]) -> Vec<(Option<i64>, Event)> {
    let time = |event: &Event| event.header("timestamp").and_then(|text| text.trim().parse().ok());
    events.iter().map(|event| (time(event), event.clone())).collect()
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers
        .map(|number| {
            let shared = headers(&[("host", "web-1"), ("timestamp", &(number * 1000).to_string())]);
            Event::with_headers(shared, format!("event number {number}"))
        })
        .collect()
}

#[test]
fn every_event_is_read_as_it_was_with_every_codec() {
    let codecs = [
        (ParquetCodec::None, Compression::UNCOMPRESSED),
        (ParquetCodec::Snappy, Compression::SNAPPY),
        (ParquetCodec::Gzip, Compression::GZIP(Default::default())),
        (ParquetCodec::Lz4, Compression::LZ4_RAW),
        (ParquetCodec::Zstd, Compression::ZSTD(Default::default())),
    ];
    for (codec, named) in codecs {
        for row_group_bytes_max in [1, 100, 64 << 20] {
            let mut file = File::new(ParquetSpec { codec, row_group_bytes_max, ..SPEC });
            file.append(&events());
            assert_eq!(file.read(), with_times(&events()), "{codec:?} {row_group_bytes_max}");
            let reader = open(&file.bytes);
            let groups = reader.metadata().row_groups();
            assert_eq!(groups.len() == 1, row_group_bytes_max > 100, "{row_group_bytes_max}");
            for column in groups.iter().flat_map(|group| group.columns()) {
                assert_eq!(
                    std::mem::discriminant(&column.compression()),
                    std::mem::discriminant(&named),
                    "{codec:?}"
                );
            }
        }
    }
}

#[test]
fn the_schema_is_what_readers_of_tables_expect() {
    let mut file = File::new(SPEC);
    file.append(&numbered(3..9));
    let reader = open(&file.bytes);
    let metadata = reader.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let paths: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
    assert_eq!(paths, ["timestamp", "headers.key_value.key", "headers.key_value.value", "body"]);
    assert!(matches!(
        columns[0].logical_type_ref(),
        Some(LogicalType::Timestamp(timestamp)) if timestamp.is_adjusted_to_u_t_c
    ));
    assert_eq!(columns[3].logical_type_ref(), None);
    let group = metadata.row_group(0);
    let Some(Statistics::Int64(times)) = group.column(0).statistics() else { panic!("no statistics") };
    assert_eq!(
        (times.min_opt(), times.max_opt(), times.null_count_opt()),
        (Some(&3000), Some(&8000), Some(0))
    );
    let has_dictionary = |column: usize| group.column(column).dictionary_page_offset().is_some();
    assert_eq!([0, 1, 2, 3].map(has_dictionary), [false, true, true, false]);
    assert_eq!(metadata.file_metadata().num_rows(), 6);
}

#[test]
fn a_body_that_is_to_be_text_is_text() {
    let mut file = File::new(ParquetSpec { body: ParquetBody::String, ..SPEC });
    file.append(&[Event::new("grün"), Event::new(Bytes::from_static(b"a\xFFb")), Event::new("")]);
    let bodies: Vec<Bytes> = file.read().into_iter().map(|(_, event)| event.body).collect();
    assert_eq!(bodies, [Bytes::from("grün"), Bytes::from("a\u{FFFD}b"), Bytes::new()]);
}

#[test]
fn a_file_is_whole_after_every_append() {
    let mut file = File::new(SPEC);
    let mut written = 0;
    for count in [1, 1, 1, 1, 500, 3, 40_000, 1, 20_000, 7] {
        file.append(&numbered(written..written + count));
        file.serializer.confirm();
        written += count;
        assert_eq!(file.read(), with_times(&numbered(0..written)));
    }
}

#[test]
fn what_is_taken_back_is_not_in_the_file_and_the_repetition_is_once() {
    let mut file = File::new(SPEC);
    let mut written = 0;
    for (round, count) in [2, 1, 2, 900, 4, 4, 8, 30_000, 5].into_iter().enumerate() {
        let confirmed = file.bytes.len();
        // A batch that fails after one or two appends.
        for _ in 0..=round % 2 {
            file.append(&numbered(500_000..500_000 + count));
        }
        file.bytes.truncate(confirmed);
        file.serializer.roll_back();
        if confirmed > 0 {
            assert_eq!(file.read(), with_times(&numbered(0..written)));
        }
        file.append(&numbered(written..written + count));
        written += count;
        assert_eq!(file.read(), with_times(&numbered(0..written)));
        file.serializer.confirm();
    }
}

#[test]
fn tiny_appends_become_few_row_groups_and_large_ones_stay_as_they_are() {
    let mut file = File::new(SPEC);
    let mut confirmed = Vec::new();
    for number in 0..1000 {
        file.append(&numbered(number..number + 1));
        file.serializer.confirm();
        confirmed.push(open(&file.bytes).metadata().num_row_groups());
    }
    let most = confirmed.iter().max().unwrap();
    let mut once = File::new(SPEC);
    once.append(&numbered(0..1000));
    println!(
        "1000 appends of one event: {} bytes, at most {most} row groups; in one append {} bytes",
        file.bytes.len(),
        once.bytes.len()
    );
    assert!(*most <= 10, "{most}");
    assert_eq!(file.read(), with_times(&numbered(0..1000)));
    // Too large to be merged.
    let body = vec![b'x'; MERGED_BYTES_MAX];
    let before = *confirmed.last().unwrap();
    for more in 1..4 {
        file.append(&[Event::new(body.clone())]);
        assert_eq!(open(&file.bytes).metadata().num_row_groups(), before + more);
    }
    let mut file = File::new(SPEC);
    for number in 0..128 {
        file.append(&numbered(number * 4000..(number + 1) * 4000));
    }
    let data: i64 =
        open(&file.bytes).metadata().row_groups().iter().map(|group| group.compressed_size()).sum();
    println!("128 appends of 4000 events: {} bytes, {data} of them in row groups", file.bytes.len());
}

#[test]
fn a_file_is_full_at_its_number_of_row_groups() {
    let mut file = File::new(ParquetSpec { row_groups_max: 3, ..SPEC });
    let large = [Event::new(vec![b'x'; MERGED_BYTES_MAX])];
    for expected in [false, false, true] {
        file.append(&large);
        assert_eq!(file.serializer.is_full(), expected);
    }
    file.serializer.roll_back();
    assert!(!file.serializer.is_full());
}

#[test]
fn a_file_takes_as_many_events_as_it_has_room_for() {
    let events = numbered(0..50);
    let all = 0..events.len();
    let rows = Rows::new(&events, std::slice::from_ref(&all));
    let mut serializer = SerializerSpec::Parquet(SPEC).open();
    let mut output = Vec::new();
    serializer.begin(&mut output);
    let room = Room { events: 20, ..Room::UNLIMITED };
    assert_eq!(serializer.append(rows, room, &mut output).unwrap(), 20);
    assert_eq!(read(&output), with_times(&numbered(0..20)));
    let none = Room { events: 0, ..Room::UNLIMITED };
    assert_eq!(serializer.append(rows, none, &mut Vec::new()).unwrap(), 0);
}
