//! Empties one channel into one sink or sink group: take, deliver, commit, and what follows a failure.
//!
//! A batch that may succeed later is tried again as it is, with growing pauses, while its take stays open: the
//! same events come in the same batch. A batch or event that never will goes to the dead-letter channel first and
//! is then taken for good.

mod two_phase;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use millrace_config::Section;
use millrace_core::{
    Backoff, Batch, BatchLimit, Channel, ChannelError, Clock, Codec, CodecError, Encoded, Event, Health,
    HealthState, PipelineChannel, Refusal, Rejection, Retry, Sink, SinkError, SinkMetrics, TakeTransaction,
    dead_letter_event,
};
use tokio_util::sync::CancellationToken;

use crate::delivery_ledger::{Ledger, Note, Resumed};

/// How often a sink without work may do what is due.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// What a runner works with.
pub(crate) struct SinkRunner {
    pub(crate) name: ByteString,
    pub(crate) channel: PipelineChannel,
    pub(crate) dead_letter: Option<PipelineChannel>,
    pub(crate) limit: BatchLimit,
    pub(crate) retry: RetryPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: SinkMetrics,
    pub(crate) health: Health,
    /// Where deliveries are named; None: the sink does not ask.
    pub(crate) ledger: Option<Ledger>,
    /// Turns events into bytes before the sink gets them.
    pub(crate) codec: Option<Arc<dyn Codec>>,
    /// Cancelled: finish the batch in hand, then close.
    pub(crate) stop: CancellationToken,
}

/// How a failed delivery is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    initial: Duration,
    longest: Duration,
    attempts_max: Option<u64>,
}

impl RetryPolicy {
    pub(crate) fn new(delivery: &Section) -> Self {
        let retry = delivery.block("retry");
        Self {
            initial: retry.map_or(Duration::from_millis(100), |retry| retry.duration("initial")),
            longest: retry.map_or(Duration::from_secs(30), |retry| retry.duration("longest")),
            attempts_max: retry
                .and_then(|retry| retry.optional_integer("max"))
                .and_then(|max| u64::try_from(max).ok()),
        }
    }
}

/// The limits of one take; `events`: what suits the sink.
pub(crate) fn batch_limit(delivery: &Section, events: usize) -> BatchLimit {
    let default = BatchLimit { events_max: events, ..BatchLimit::default() };
    delivery.block("batch").map_or(default, |batch| BatchLimit {
        events_max: batch
            .optional_integer("events")
            .map_or(events, |events| usize::try_from(events).unwrap_or(usize::MAX)),
        bytes_max: usize::try_from(batch.size("bytes")).unwrap_or(usize::MAX),
        wait_max: batch.duration("wait"),
    })
}

/// How the work on one batch ended.
enum Settled {
    Commit,
    Stopped,
}

impl SinkRunner {
    /// Runs until stopped or until the channel is closed; closes the sink at the end.
    pub(crate) async fn run(self, mut sink: Box<dyn Sink>) {
        self.health.set(HealthState::Running);
        let mut channel_backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let recovered = self.recover(&mut *sink).await;
        while recovered && !self.stop.is_cancelled() {
            match self.turn(&mut *sink).await {
                Ok(true) => channel_backoff.reset(),
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(sink = %self.name, %error, "cannot take from the channel");
                    self.health.failed(self.clock.now(), &error);
                    self.pause(channel_backoff.failed()).await;
                }
            }
        }
        if let Err(error) = sink.close().await {
            tracing::warn!(sink = %self.name, %error, "closing failed");
            self.health.failed(self.clock.now(), &error);
        }
        // The last runner ends what all of them shared.
        if let Some(codec) = self.codec.as_ref().filter(|codec| Arc::strong_count(codec) == 1) {
            codec.close().await;
        }
        self.health.set(HealthState::Stopped);
    }

    /// One batch, or one idle moment. `false`: the channel is closed or the runner shall stop.
    async fn turn(&self, sink: &mut dyn Sink) -> Result<bool, ChannelError> {
        let (transaction, batch, mut note) = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(false),
            taken = self.take() => taken?,
            () = tokio::time::sleep(IDLE_EVERY) => {
                self.idle(sink).await;
                return Ok(true);
            }
        };
        if batch.is_empty() {
            return Ok(false);
        }
        let settled = match &note {
            // Decided before the agent ended.
            Some(note) if note.is_done() => Settled::Commit,
            _ => self.work(sink, batch, note.as_mut()).await,
        };
        match settled {
            Settled::Commit => {
                let committed = self.commit(transaction).await;
                sink.settled(committed.is_ok());
                if let Some(note) = note {
                    self.taken(sink, note, committed.is_ok()).await;
                }
                committed.map(|()| true)
            }
            Settled::Stopped => {
                transaction.rollback();
                if let Some(note) = note {
                    self.returned(sink, note).await;
                }
                Ok(false)
            }
        }
    }

    /// Encodes and delivers.
    async fn work(&self, sink: &mut dyn Sink, batch: Batch, note: Option<&mut Note>) -> Settled {
        let encoded = match &self.codec {
            Some(codec) => self.encoded(&**codec, &batch).await,
            None => Some(batch.clone()),
        };
        match encoded {
            Some(encoded) if encoded.is_empty() => Settled::Commit,
            Some(encoded) => self.settle(sink, (&batch, &encoded), note).await,
            None => Settled::Stopped,
        }
    }

    /// A batch, with the name of its delivery where the sink asks for one.
    async fn take(&self) -> Result<(Box<dyn TakeTransaction>, Batch, Option<Note>), ChannelError> {
        let channel = &*self.channel.channel;
        if let Some(ledger) = &self.ledger
            && let Some(Resumed { transaction, batch, note }) = ledger.resume(channel).await?
        {
            return Ok((transaction, batch, Some(note)));
        }
        let mut transaction = channel.begin_take().await?;
        let batch = transaction.take(self.limit).await?;
        let note = self.ledger.as_ref().map(|_| Note::new(transaction.taken(), None));
        Ok((transaction, batch, note))
    }

    /// The batch as its codec writes it; what cannot be written goes to the dead-letter channel. None: stopped.
    async fn encoded(&self, codec: &dyn Codec, batch: &Batch) -> Option<Batch> {
        let mut backoff = Backoff::new(self.retry.initial, self.retry.longest);
        loop {
            let error = match codec.encode(batch).await {
                Ok(Encoded { batch: encoded, refusals, .. }) if refusals.is_empty() => return Some(encoded),
                Ok(Encoded { batch: encoded, refusals, .. }) => {
                    return match self.reject(batch, refusals, encoded.len()).await {
                        Settled::Commit => Some(encoded),
                        Settled::Stopped => None,
                    };
                }
                Err(error) => error,
            };
            if backoff.failures() == 0 {
                tracing::warn!(sink = %self.name, events = batch.len(), %error, "batch not encoded, trying again");
            }
            self.metrics.delivery_failures.inc();
            self.health.failed(self.clock.now(), &error);
            let after = match error {
                CodecError::Later { after, .. } => after.unwrap_or_default(),
                CodecError::Stream { .. } => Duration::ZERO,
            };
            self.pause(backoff.failed().max(after)).await;
            if self.stop.is_cancelled() {
                return None;
            }
        }
    }

    async fn commit(&self, transaction: Box<dyn TakeTransaction>) -> Result<(), ChannelError> {
        transaction.commit().await?;
        self.metrics.batches.inc();
        Ok(())
    }

    async fn idle(&self, sink: &mut dyn Sink) {
        if let Err(error) = sink.idle().await {
            tracing::warn!(sink = %self.name, %error, "work while idle failed");
            self.health.failed(self.clock.now(), &error);
        }
    }

    /// Delivers until the batch may be taken for good. `taken` is it as it was taken, `whole` what its codec made of it.
    async fn settle(
        &self,
        sink: &mut dyn Sink,
        (taken, whole): (&Batch, &Batch),
        mut note: Option<&mut Note>,
    ) -> Settled {
        let mut backoff = Backoff::new(self.retry.initial, self.retry.longest);
        // What is still to be delivered of the batch.
        let mut batch = whole.clone();
        loop {
            if let (Some(note), Some(ledger)) = (&mut note, &self.ledger) {
                batch = note.named(whole);
                self.name(ledger, note, sink.is_two_phase()).await;
            }
            let mut outcome = sink.deliver(&batch).await;
            if let Some(note) = note.as_deref_mut().filter(|_| sink.is_two_phase()) {
                outcome = self.prepare(sink, &batch, outcome, note).await;
            }
            let error = match outcome {
                Ok(()) => {
                    self.delivered(&batch, 0);
                    return self.decide(Settled::Commit, taken, note).await;
                }
                Err(error) => error,
            };
            self.metrics.delivery_failures.inc();
            self.health.failed(self.clock.now(), &error);
            let attempts = u64::from(backoff.failures()) + 1;
            let exhausted = self.retry.attempts_max.is_some_and(|max| attempts >= max);
            match (error.retry(), error) {
                (_, SinkError::Partial { mut refusals, again, .. }) if again.is_empty() || exhausted => {
                    let reason = format!("gave up after {attempts} attempts");
                    refusals.extend(again.into_iter().map(|row| Refusal { row, reason: reason.clone() }));
                    refusals.sort_by_key(|refusal| refusal.row);
                    let settled = self.reject(&batch, refusals, 0).await;
                    return self.decide(settled, taken, note).await;
                }
                (Retry::Never, error) => {
                    let settled = self.reject_all(&batch, &error.to_string()).await;
                    return self.decide(settled, taken, note).await;
                }
                (_, error) if exhausted => {
                    let reason = format!("gave up after {attempts} attempts: {error}");
                    let settled = self.reject_all(&batch, &reason).await;
                    return self.decide(settled, taken, note).await;
                }
                (retry, error) => {
                    if backoff.failures() == 0 {
                        tracing::warn!(sink = %self.name, events = batch.len(), %error, "delivery failed, trying again");
                    }
                    if let SinkError::Partial { refusals, again, .. } = error {
                        match self.rest(whole, &batch, refusals, &again, note.as_deref_mut()).await {
                            Some(rest) => batch = rest,
                            None => return Settled::Stopped,
                        }
                        if !self.decide_part(note.as_deref_mut()).await {
                            return Settled::Stopped;
                        }
                    }
                    let pause = backoff.failed();
                    let pause = if let Retry::After(least) = retry { pause.max(least) } else { pause };
                    self.pause(pause).await;
                }
            }
            if self.stop.is_cancelled() {
                return Settled::Stopped;
            }
        }
    }

    /// Some rows are delivered, some are refused for good, and these come `again`, under another name: the rest of the
    /// batch. None: stopped.
    async fn rest(
        &self,
        whole: &Batch,
        batch: &Batch,
        refusals: Vec<Refusal>,
        again: &[usize],
        note: Option<&mut Note>,
    ) -> Option<Batch> {
        if refusals.is_empty() {
            self.delivered(batch, again.len());
        } else if matches!(self.reject(batch, refusals, again.len()).await, Settled::Stopped) {
            return None;
        }
        let rest = Batch::new(again.iter().filter_map(|row| batch.events().get(*row).cloned()).collect());
        if let Some(note) = note {
            let before = note.rows.take();
            let row_of = |row: &usize| match &before {
                Some(rows) => rows.get(*row).copied(),
                None => u32::try_from(*row).ok().filter(|row| (*row as usize) < whole.len()),
            };
            *note = note.renamed(again.iter().filter_map(row_of).collect());
        }
        Some(rest)
    }

    fn delivered(&self, batch: &Batch, rejected: usize) {
        self.metrics.events_delivered.inc_by(batch.len().saturating_sub(rejected) as u64);
        self.metrics.bytes_delivered.inc_by(batch.size() as u64);
        self.health.set(HealthState::Running);
    }

    async fn reject_all(&self, batch: &Batch, reason: &str) -> Settled {
        let refusals = (0..batch.len()).map(|row| Refusal { row, reason: reason.to_owned() }).collect();
        self.reject(batch, refusals, 0).await
    }

    /// Puts refused rows into the dead-letter channel, however long that takes; so many others are still to be
    /// delivered.
    async fn reject(&self, batch: &Batch, refusals: Vec<Refusal>, left: usize) -> Settled {
        let now = self.clock.unix_millis();
        let letters: Vec<Event> = refusals
            .iter()
            .filter_map(|refusal| {
                let event = batch.events().get(refusal.row)?.clone();
                let rejection = Rejection::new(self.name.clone(), refusal.reason.clone())
                    .detail("channel", self.channel.name.clone());
                Some(dead_letter_event(event, &rejection, now))
            })
            .collect();
        let count = letters.len();
        let Some(target) = &self.dead_letter else {
            tracing::error!(sink = %self.name, events = count, "no dead-letter channel; the batch stays in its channel");
            self.pause(self.retry.longest).await;
            return Settled::Stopped;
        };
        let letters = Batch::new(letters);
        let mut backoff = Backoff::new(self.retry.initial, self.retry.longest);
        while let Err(error) = put(&*target.channel, letters.clone()).await {
            tracing::warn!(sink = %self.name, %error, "the dead-letter channel refused, trying again");
            self.health.failed(self.clock.now(), &error);
            self.pause(backoff.failed()).await;
            if self.stop.is_cancelled() {
                return Settled::Stopped;
            }
        }
        let reason = refusals.first().map_or("", |refusal| &refusal.reason);
        tracing::warn!(sink = %self.name, events = count, reason, "events sent to the dead-letter channel");
        self.metrics.events_rejected.inc_by(count as u64);
        self.delivered(batch, count + left);
        Settled::Commit
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn put(channel: &dyn Channel, batch: Batch) -> Result<(), ChannelError> {
    let mut transaction = channel.begin_put().await?;
    transaction.put(batch).await?;
    transaction.commit().await
}
