//! `AvroFlumeEvent` alone, as a bare Avro datum: what Flume's Kafka components write where they are told to keep headers.

use bytes::{Bytes, BytesMut};
use millrace_core::Event;

use crate::avro_rpc::{AvroError, Decoder, EventLimits, Reader, put_event};

/// Headers of the events that one reader reads, at most.
const HEADERS_MAX: usize = 16 << 20;

/// Bytes that are no event.
#[derive(Debug, thiserror::Error)]
pub enum FlumeEventError {
    /// They do not follow the schema.
    #[error("not a Flume event: {0}")]
    Malformed(String),
    /// Something follows the event.
    #[error("not a Flume event: {bytes} bytes follow its end")]
    Longer {
        /// How many.
        bytes: usize,
    },
}

impl From<AvroError> for FlumeEventError {
    fn from(error: AvroError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads the events of one batch. Neighbours with the same headers share them.
pub struct FlumeEventReader {
    decoder: Decoder,
}

impl Default for FlumeEventReader {
    fn default() -> Self {
        Self { decoder: Decoder::new(EventLimits { events_max: 1, headers_max: HEADERS_MAX }) }
    }
}

impl FlumeEventReader {
    /// One event; its headers and body are slices of the datum.
    ///
    /// # Errors
    /// The bytes are not exactly one event.
    pub fn read(&mut self, datum: Bytes) -> Result<Event, FlumeEventError> {
        let mut reader = Reader::new(datum);
        let event = self.decoder.event(&mut reader)?;
        match reader.rest().len() {
            0 => Ok(event),
            bytes => Err(FlumeEventError::Longer { bytes }),
        }
    }
}

/// Appends one event.
pub fn write_flume_event(out: &mut BytesMut, event: &Event) {
    put_event(out, event);
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use millrace_core::{Event, Headers};

    use super::{FlumeEventReader, write_flume_event};

    #[test]
    fn an_event_comes_back_as_it_was_and_anything_else_is_refused() {
        let headers: Headers = [("ä".into(), "1".into()), ("b".into(), "".into())].into_iter().collect();
        let event = Event::with_headers(headers, &b"body \xff"[..]);
        let mut datum = BytesMut::new();
        write_flume_event(&mut datum, &event);
        let datum = datum.freeze();
        let mut reader = FlumeEventReader::default();
        assert_eq!(reader.read(datum.clone()).unwrap(), event);
        assert_eq!(reader.read(datum.clone()).unwrap(), event);
        for cut in 0..datum.len() {
            assert!(FlumeEventReader::default().read(datum.slice(..cut)).is_err(), "cut at {cut}");
        }
        let longer: Bytes = [&datum[..], b"x"].concat().into();
        let error = reader.read(longer).unwrap_err().to_string();
        assert_eq!(error, "not a Flume event: 1 bytes follow its end");
    }
}
