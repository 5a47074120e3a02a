//! Events as Parquet's columns: values, and the levels that say where a value is missing or a list goes on.

use std::borrow::Cow;

use bytes::Bytes;
use millrace_core::Event;
use parquet::data_type::ByteArray;

use super::ParquetBody;
use crate::serializers::Rows;

/// Counted for each event besides its bytes: a time and some levels.
const EVENT_BYTES: usize = 16;

/// The events of a row group.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    bytes: usize,
    /// Those that are there; the level of each event is 1 then, else 0.
    pub times: Vec<i64>,
    pub time_levels: Vec<i16>,
    /// One entry for each header, and for each event without headers one level 0.
    pub names: Vec<ByteArray>,
    pub values: Vec<ByteArray>,
    pub header_levels: Vec<i16>,
    /// 1 where an entry belongs to the event of the entry before it.
    pub header_repetitions: Vec<i16>,
    pub bodies: Vec<ByteArray>,
}

impl Columns {
    /// The first of these events, at least one, up to this size.
    pub fn of(rows: Rows<'_>, body: ParquetBody, bytes_max: usize) -> Self {
        let mut columns = Self::default();
        for event in rows.iter() {
            let bytes = event.size() + EVENT_BYTES;
            if columns.rows() > 0 && columns.bytes + bytes > bytes_max {
                break;
            }
            columns.bytes += bytes;
            columns.push(event, body);
        }
        columns
    }

    fn push(&mut self, event: &Event, body: ParquetBody) {
        let time = event.header("timestamp").and_then(|text| text.trim().parse::<i64>().ok());
        self.times.extend(time);
        self.time_levels.push(i16::from(time.is_some()));
        if event.headers.is_empty() {
            self.header_levels.push(0);
            self.header_repetitions.push(0);
        }
        for (index, (name, value)) in event.headers.iter().enumerate() {
            self.names.push(name.as_bytes().clone().into());
            self.values.push(value.as_bytes().clone().into());
            self.header_levels.push(1);
            self.header_repetitions.push(i16::from(index > 0));
        }
        self.bodies.push(match body {
            ParquetBody::Binary => event.body.clone().into(),
            ParquetBody::String => text(&event.body).into(),
        });
    }

    /// How many events these are.
    pub fn rows(&self) -> usize {
        self.bodies.len()
    }

    /// Their size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// These events, and others after them.
    pub fn followed_by(&self, other: Self) -> Self {
        let mut all = self.clone();
        all.bytes += other.bytes;
        all.times.extend(other.times);
        all.time_levels.extend(other.time_levels);
        all.names.extend(other.names);
        all.values.extend(other.values);
        all.header_levels.extend(other.header_levels);
        all.header_repetitions.extend(other.header_repetitions);
        all.bodies.extend(other.bodies);
        all
    }

    /// The same in memory of its own: a body may be a slice of something that is much larger.
    pub fn compact(mut self) -> Self {
        let mut arena = Vec::with_capacity(self.bytes);
        let columns = [&mut self.names, &mut self.values, &mut self.bodies];
        columns.iter().flat_map(|column| column.iter()).for_each(|value| arena.extend(value.data()));
        let arena = Bytes::from(arena);
        let mut start = 0;
        for value in columns.into_iter().flatten() {
            let end = start + value.len();
            *value = arena.slice(start..end).into();
            start = end;
        }
        self
    }
}

fn text(body: &Bytes) -> Bytes {
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(replaced) => replaced.into(),
    }
}
