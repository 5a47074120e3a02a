//! One put: kept back until the commit, which sends it and waits for the brokers.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use millrace_components::escape::Expander;
use millrace_core::{Batch, ChannelError, PutTransaction, Refusal};

use super::Shared;
use crate::{connection::told, producer::is_final, sink::outgoing::Prepared};

pub(super) struct KafkaPut {
    shared: Arc<Shared>,
    batches: Vec<Batch>,
}

impl KafkaPut {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, batches: Vec::new() }
    }

    fn too_large(&self, reason: String) -> ChannelError {
        ChannelError::TooLarge { channel: self.shared.name.to_string(), reason }
    }

    /// Sends one batch.
    async fn send(&self, batch: &Batch) -> Result<(), ChannelError> {
        let shared = &self.shared;
        let sender = shared.sender().await?;
        let records = &shared.settings.records;
        let mut expander = Expander::new(records.templates(), records.time_rule.clone());
        let mut refusals = Vec::new();
        let prepared = Prepared::new(records, &mut expander, batch, SystemTime::UNIX_EPOCH, &mut refusals);
        if let Some(Refusal { reason, .. }) = refusals.into_iter().next() {
            // Whoever puts looks for the event that it is.
            return Err(self.too_large(reason));
        }
        let rows = prepared.rows();
        let failed = sender.send(prepared.records(&rows)).await;
        let Some(first) = failed.first() else {
            shared.metrics.put_events.inc_by(rows.len() as u64);
            return Ok(());
        };
        let reason = format!("topic {}: {}", shared.settings.topic, told(first.code));
        if failed.iter().all(|failed| is_final(failed.code)) {
            return Err(self.too_large(reason));
        }
        Err(shared.failed(sender.deliveries().voice.explain(&reason)))
    }
}

#[async_trait]
impl PutTransaction for KafkaPut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        self.shared.check_open()?;
        let bytes_max = self.shared.settings.records.record_bytes_max;
        // Names and lengths in Avro take a little more than the event itself.
        let bytes = |event: &millrace_core::Event| event.size() + 16 + 8 * event.headers.len();
        if let Some(event) = batch.iter().find(|event| bytes(event) > bytes_max) {
            let reason = format!("an event of {} bytes; records of {bytes_max} are allowed", event.size());
            return Err(self.too_large(reason));
        }
        if !batch.is_empty() {
            self.batches.push(batch);
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        self.shared.check_open()?;
        for batch in &self.batches {
            self.send(batch).await?;
        }
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}
