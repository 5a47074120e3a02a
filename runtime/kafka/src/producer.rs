//! Sends the records of one batch and says what became of each.
//!
//! The client's own thread serves delivery reports; the caller waits for the last one of its batch without blocking. Several
//! batches may be under way. Reports of a batch that nobody waits for any more (its delivery was cancelled) are recognised by
//! its number and ignored.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext, Message, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::Notify;

use crate::{connection::told_error, metrics::KafkaMetrics, voice::Voice};

/// How long to wait when the client's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// A record to be sent: slices of an event.
pub(crate) struct Outgoing<'a> {
    /// Which event it is.
    pub(crate) row: usize,
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// A row that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) row: usize,
    pub(crate) code: RDKafkaErrorCode,
}

/// What the client's thread reports of a batch under way.
#[derive(Default)]
struct Round {
    left: usize,
    failed: Vec<Failed>,
    complete: Arc<Notify>,
}

/// What the client calls.
pub(crate) struct Deliveries {
    pub(crate) voice: Voice,
    metrics: KafkaMetrics,
    rounds: Mutex<HashMap<u32, Round>>,
}

impl Deliveries {
    /// One record of a batch is settled.
    fn settle(&self, number: u32, failed: Option<Failed>) {
        let mut rounds = self.rounds.lock();
        let Some(round) = rounds.get_mut(&number) else { return };
        round.failed.extend(failed);
        round.left = round.left.saturating_sub(1);
        if round.left == 0 {
            round.complete.notify_one();
        }
    }
}

/// A batch under way; its reports are ignored once this is dropped.
struct Waiting {
    deliveries: Arc<Deliveries>,
    number: u32,
    complete: Arc<Notify>,
}

impl Waiting {
    fn new(deliveries: &Arc<Deliveries>, number: u32, left: usize) -> Self {
        let complete = Arc::new(Notify::new());
        let round = Round { left, failed: Vec::new(), complete: Arc::clone(&complete) };
        deliveries.rounds.lock().insert(number, round);
        Self { deliveries: Arc::clone(deliveries), number, complete }
    }

    /// The rows that failed, once all are settled.
    fn settled(&self) -> Option<Vec<Failed>> {
        let mut rounds = self.deliveries.rounds.lock();
        let round = rounds.get_mut(&self.number)?;
        (round.left == 0).then(|| std::mem::take(&mut round.failed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.deliveries.rounds.lock().remove(&self.number);
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, line: &str) {
        self.voice.log(level, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the client of Kafka reports an error");
    }

    fn stats(&self, statistics: Statistics) {
        self.metrics.take_over(&statistics);
    }
}

/// The number of a batch and a row of it, as one number that librdkafka carries along.
fn ticket(number: u32, row: usize) -> usize {
    (number as usize) << 32 | (row & 0xffff_ffff)
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let row = ticket & 0xffff_ffff;
        let failed = match result {
            Ok(_) => None,
            Err((error, record)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                tracing::debug!(topic = record.topic(), %code, "record not delivered");
                Some(Failed { row, code })
            }
        };
        self.settle(u32::try_from(ticket >> 32).unwrap_or_default(), failed);
    }
}

/// A client that sends.
pub(crate) struct Sender {
    producer: ThreadedProducer<Deliveries>,
    next: AtomicU32,
}

impl Sender {
    /// A client; it connects by itself.
    pub(crate) fn new(
        config: &ClientConfig,
        component: &ByteString,
        metrics: &KafkaMetrics,
    ) -> KafkaResult<Self> {
        let deliveries = Deliveries {
            voice: Voice::new(component.clone()),
            metrics: metrics.clone(),
            rounds: Mutex::default(),
        };
        Ok(Self { producer: config.create_with_context(deliveries)?, next: AtomicU32::new(0) })
    }

    pub(crate) fn deliveries(&self) -> &Arc<Deliveries> {
        self.producer.client().context()
    }

    /// Why the client can never send again, if that is so.
    pub(crate) fn fatal(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(_, reason)| reason)
    }

    /// The client, for calls that block and have to run where that is allowed.
    pub(crate) fn client(&self) -> ThreadedProducer<Deliveries> {
        self.producer.clone()
    }

    /// Sends records in order and waits until each is delivered or is not. The rows that are not come back in order.
    ///
    /// # Cancel safety
    /// A dropped call leaves deliveries in doubt; their reports are ignored by the next one.
    pub(crate) async fn send<'a>(&self, records: impl ExactSizeIterator<Item = Outgoing<'a>>) -> Vec<Failed> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting::new(self.deliveries(), number, records.len());
        for record in records {
            self.enqueue(number, record).await;
        }
        loop {
            if let Some(mut failed) = waiting.settled() {
                failed.sort_by_key(|failed| failed.row);
                return failed;
            }
            waiting.complete.notified().await;
        }
    }

    async fn enqueue(&self, number: u32, outgoing: Outgoing<'_>) {
        let row = outgoing.row;
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(outgoing.topic, ticket(number, row))
            .payload(outgoing.value);
        record.partition = outgoing.partition;
        record.key = outgoing.key;
        record.timestamp = outgoing.timestamp;
        record.headers = outgoing.headers;
        loop {
            let (error, again) = match self.producer.send(record) {
                Ok(()) => return,
                Err(refused) => refused,
            };
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument);
            if code != RDKafkaErrorCode::QueueFull {
                tracing::debug!(error = told_error(&error), "record not queued");
                return self.deliveries().settle(number, Some(Failed { row, code }));
            }
            record = again;
            tokio::time::sleep(QUEUE_FULL_PAUSE).await;
        }
    }

    /// Ends the client; what is under way is given up.
    pub(crate) async fn close(self) {
        let producer = self.producer;
        // It waits for its thread.
        drop(tokio::task::spawn_blocking(move || drop(producer)).await);
    }
}

/// Whether a record will never be taken, whatever the time.
pub(crate) fn is_final(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidArgument
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Whether the broker may have refused a record only because of others that came with it.
pub(crate) fn is_too_large(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessage
    )
}
