//! Sinks that deliver in two phases, seen from their runner.
//!
//! The order for a batch: `deliver`, `prepare`, the note with the tokens (synced), the commit of the take, `commit`. The note
//! is the decision. Before it the delivery never was: `recover` takes back what is open, and the batch comes
//! again. After it the tokens are committed, by this runner or by `recover` of the next one, and rows that come
//! again, because the take was not committed or not durable, are known by the note and taken without being delivered.
//!
//! A channel that does not number its events cannot tell that rows come again. There, what is prepared is taken back
//! when the take is; after a crash it is committed, which loses nothing and may repeat.

use millrace_core::{Backoff, Batch, DeliveryToken, HealthState, Sink, SinkError};

use super::{Settled, SinkRunner};
use crate::delivery_ledger::{Ledger, Note};

/// What is repeated until it works.
#[derive(Clone, Copy)]
enum Step<'a> {
    Recover(&'a [DeliveryToken]),
    Commit(&'a [DeliveryToken]),
}

impl SinkRunner {
    /// Settles what the last run left open. `false`: stopped before that worked.
    pub(super) async fn recover(&self, sink: &mut dyn Sink) -> bool {
        let Some(ledger) = &self.ledger else { return true };
        let tokens = ledger.tokens();
        if !sink.is_two_phase() {
            if !tokens.is_empty() {
                tracing::error!(sink = %self.name, deliveries = tokens.len(),
                    "deliveries that an earlier version prepared stay uncommitted: this version has no two phases");
            }
            return true;
        }
        if !self.until_done(sink, Step::Recover(&tokens)).await {
            return false;
        }
        if let Err(error) = ledger.recovered().await {
            tracing::warn!(sink = %self.name, %error, "settled deliveries could not be noted; they are settled again next time");
        }
        true
    }

    /// Notes the name of a delivery before it begins. Without the note it would only have another name after a crash, so
    /// an error does not keep the batch. With two phases the sync is left to the note with the tokens.
    pub(super) async fn name(&self, ledger: &Ledger, note: &mut Note, is_two_phase: bool) {
        if !note.is_numbered() {
            return;
        }
        if let Err(error) = ledger.write(note, !is_two_phase, &*self.channel.channel).await {
            tracing::warn!(sink = %self.name, %error, "a delivery could not be noted; after a crash it gets another id");
        }
    }

    /// Prepares what was staged, if anything was.
    pub(super) async fn prepare(
        &self,
        sink: &mut dyn Sink,
        batch: &Batch,
        outcome: Result<(), SinkError>,
        note: &mut Note,
    ) -> Result<(), SinkError> {
        let staged = match &outcome {
            Ok(()) => batch.len(),
            Err(SinkError::Partial { refusals, again, .. }) => {
                batch.len().saturating_sub(refusals.len() + again.len())
            }
            Err(_) => 0,
        };
        if staged > 0 {
            note.prepared(sink.prepare().await?);
        }
        outcome
    }

    /// Decides: nothing of the batch, as it was taken, is left to be delivered.
    pub(super) async fn decide(&self, settled: Settled, taken: &Batch, note: Option<&mut Note>) -> Settled {
        match (settled, note) {
            (Settled::Commit, Some(note)) if !note.tokens().is_empty() => {
                note.delivered(taken);
                if self.record(note).await { Settled::Commit } else { Settled::Stopped }
            }
            (settled, _) => settled,
        }
    }

    /// Decides a part of a batch. `false`: stopped before.
    pub(super) async fn decide_part(&self, note: Option<&mut Note>) -> bool {
        match note {
            Some(note) if !note.tokens().is_empty() => self.record(note).await,
            _ => true,
        }
    }

    /// Writes the note durably, however long that takes. A write that failed may be on the disk all the same, so there is
    /// no way back: only the next start tells. `false`: stopped before.
    async fn record(&self, note: &mut Note) -> bool {
        let Some(ledger) = &self.ledger else { return true };
        let mut backoff = Backoff::new(self.retry.initial, self.retry.longest);
        while let Err(error) = ledger.write(note, true, &*self.channel.channel).await {
            tracing::warn!(sink = %self.name, %error, "a prepared delivery could not be noted, trying again");
            self.health.failed(self.clock.now(), &error);
            self.pause(backoff.failed()).await;
            if self.stop.is_cancelled() {
                return false;
            }
        }
        true
    }

    /// The channel has forgotten the batch, or brings it again.
    pub(super) async fn taken(&self, sink: &mut dyn Sink, mut note: Note, committed: bool) {
        let Some(ledger) = &self.ledger else { return };
        if !committed {
            if note.is_done() && note.is_numbered() {
                return ledger.comes_again(note).await;
            }
            return self.returned(sink, note).await;
        }
        if note.tokens().is_empty() || !self.until_done(sink, Step::Commit(note.tokens())).await {
            return;
        }
        note.settled();
        // It needs no sync: what is lost with the power is committed once more.
        if let Err(error) = ledger.write(&mut note, false, &*self.channel.channel).await {
            tracing::warn!(sink = %self.name, %error, "a committed delivery could not be noted; it is committed again after a restart");
        }
    }

    /// The batch comes again, and nothing tells that it is the same one: what was prepared of it is taken back.
    pub(super) async fn returned(&self, sink: &mut dyn Sink, mut note: Note) {
        let Some(ledger) = &self.ledger else { return };
        if note.tokens().is_empty() || note.is_numbered() {
            return;
        }
        let tokens = note.tokens().to_vec();
        note.settled();
        if let Err(error) = ledger.write(&mut note, true, &*self.channel.channel).await {
            tracing::warn!(sink = %self.name, %error, "a prepared delivery could not be taken out of the notes; it may be repeated");
            return;
        }
        if let Err(error) = sink.abort(&tokens).await {
            tracing::warn!(sink = %self.name, %error, "a prepared delivery could not be aborted; the next start does it");
        }
    }

    /// `false`: stopped before it worked.
    async fn until_done(&self, sink: &mut dyn Sink, step: Step<'_>) -> bool {
        let mut backoff = Backoff::new(self.retry.initial, self.retry.longest);
        loop {
            let (done, what) = match step {
                Step::Recover(tokens) => (sink.recover(tokens).await, "recover"),
                Step::Commit(tokens) => (sink.commit(tokens).await, "commit"),
            };
            let Err(error) = done else {
                self.health.set(HealthState::Running);
                return true;
            };
            if backoff.failures() == 0 {
                tracing::warn!(sink = %self.name, what, %error, "prepared deliveries are not settled yet, trying again");
            }
            self.metrics.delivery_failures.inc();
            self.health.failed(self.clock.now(), &error);
            let least = match error {
                SinkError::Retryable { after, .. } => after.unwrap_or_default(),
                _ => Default::default(),
            };
            self.pause(backoff.failed().max(least)).await;
            if self.stop.is_cancelled() {
                return false;
            }
        }
    }
}
