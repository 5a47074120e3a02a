//! What a client of librdkafka says by itself: its log, passed on to the agent's, and its last trouble, which makes an error
//! of a component say more than a code.

use bytestring::ByteString;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;

/// The voice of one client.
pub(crate) struct Voice {
    component: ByteString,
    /// The last complaint, and whether it was about a broker that cannot be reached.
    last: Mutex<Option<String>>,
}

impl Voice {
    pub(crate) fn new(component: ByteString) -> Self {
        Self { component, last: Mutex::new(None) }
    }

    /// A line of the client's log. The same complaint is a warning once, not at every attempt.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, line: &str) {
        let component = &*self.component;
        // `[thrd:localhost:9092/bootstrap]: ` and the time that something took differ each time.
        let line = line.split_once("]: ").map_or(line, |(_, line)| line);
        match level {
            RDKafkaLogLevel::Debug => tracing::debug!(component, "{line}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(component, "{line}"),
            _ => {
                let said = line.split(" (after ").next().unwrap_or(line).to_owned();
                let mut last = self.last.lock();
                if last.as_ref() == Some(&said) {
                    tracing::debug!(component, "{line}");
                } else {
                    tracing::warn!(component, "{line}");
                    *last = Some(said);
                }
            }
        }
    }

    /// A reason with the client's last complaint behind it.
    pub(crate) fn explain(&self, reason: &str) -> String {
        match &*self.last.lock() {
            Some(said) => format!("{reason}: {said}"),
            None => reason.to_owned(),
        }
    }

    /// Things are well again: older complaints explain nothing any more.
    pub(crate) fn forget(&self) {
        *self.last.lock() = None;
    }
}
