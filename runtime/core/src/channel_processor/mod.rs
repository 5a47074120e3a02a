//! The way of a batch from a source into channels: interceptors, selector, put on all, commit on each.
//!
//! Invariants:
//! - Room is reserved in every required channel before the first commit, always in the order of the channel
//!   list, so that two sources cannot wait for each other.
//! - The position goes into the channel that is its home and is committed last: it never runs ahead of events. So
//!   does what components wrote to their state for the batch.
//! - A reload swaps the pipeline between two batches; sources and their connections do not notice.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytestring::ByteString;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    batch::Batch,
    channel::Channel,
    clock::Clock,
    dead_letter::{Rejection, dead_letter_event},
    error::{ChannelError, InterceptorError, ProcessError, Retry},
    health::{Health, HealthState},
    interceptor::Interceptor,
    metrics::{InterceptorMetrics, SourceMetrics},
    position::PositionStore,
    selector::Selector,
    state::StateStore,
};

mod routing;

/// What stands between a source and its channels; replaced as a whole by a reload.
pub struct Pipeline {
    /// The interceptors, in order.
    pub interceptors: Vec<PipelineInterceptor>,
    /// Chooses channels.
    pub selector: Arc<dyn Selector>,
    /// All channels of the agent, in the order of the configuration.
    pub channels: Arc<[PipelineChannel]>,
    /// Where rejected events go.
    pub dead_letter: Option<PipelineChannel>,
    /// The channel, by its place, that keeps this source's positions and the state of its components. None: the
    /// position store and the memory do.
    pub position_home: Option<usize>,
}

impl Pipeline {
    fn home(&self) -> Option<&PipelineChannel> {
        self.channels.get(self.position_home?)
    }

    /// Fills the state of its interceptors with what a former run left, where that has not happened yet.
    fn load_states(&self) {
        for state in self.interceptors.iter().filter_map(|step| step.interceptor.state()) {
            state.load(self.home(), &self.channels);
        }
    }
}

/// An interceptor in its place.
#[derive(Clone)]
pub struct PipelineInterceptor {
    /// Its name.
    pub name: ByteString,
    /// The interceptor.
    pub interceptor: Arc<dyn Interceptor>,
    /// Its counters.
    pub metrics: InterceptorMetrics,
}

/// A channel with its name.
#[derive(Clone)]
pub struct PipelineChannel {
    /// Its name.
    pub name: ByteString,
    /// The channel.
    pub channel: Arc<dyn Channel>,
}

struct Shared {
    source: ByteString,
    pipeline: ArcSwap<Pipeline>,
    positions: Arc<dyn PositionStore>,
    clock: Arc<dyn Clock>,
    metrics: SourceMetrics,
    health: Health,
}

/// A source's way into its channels. Clones share everything.
#[derive(Clone)]
pub struct ChannelProcessor {
    shared: Arc<Shared>,
}

impl ChannelProcessor {
    /// The processor of one source.
    pub fn new(
        source: ByteString,
        pipeline: Pipeline,
        positions: Arc<dyn PositionStore>,
        clock: Arc<dyn Clock>,
        metrics: SourceMetrics,
        health: Health,
    ) -> Self {
        pipeline.load_states();
        let pipeline = ArcSwap::from_pointee(pipeline);
        Self { shared: Arc::new(Shared { source, pipeline, positions, clock, metrics, health }) }
    }

    /// Puts another pipeline in place and returns the old one, which some batches may still be using: it is free
    /// when its reference count says so.
    pub fn swap(&self, pipeline: Pipeline) -> Arc<Pipeline> {
        pipeline.load_states();
        self.shared.pipeline.swap(Arc::new(pipeline))
    }

    /// Fills a state that the source itself works on with what a former run left.
    pub fn load_state(&self, state: &StateStore) {
        let pipeline = self.pipeline();
        state.load(pipeline.home(), &pipeline.channels);
    }

    /// Writes the state of all interceptors to the channel that keeps it from now on, where that is another one than
    /// before. The next batches would do so, but there may be none for a while.
    ///
    /// # Errors
    /// The channel refuses; the next batches try again.
    pub async fn settle_states(&self) -> Result<(), ProcessError> {
        let pipeline = self.pipeline();
        let Some(home) = pipeline.home() else { return Ok(()) };
        for state in pipeline.interceptors.iter().filter_map(|step| step.interceptor.state()) {
            let mut batch = Batch::default();
            state.begin(&mut batch).await.finish_move(&home.name, &mut batch);
            if !batch.states().is_empty() {
                self.store(&pipeline, &batch).await?;
            }
        }
        Ok(())
    }

    /// The pipeline in force.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        self.shared.pipeline.load_full()
    }

    /// Takes a batch the whole way, once. `Ok`: every required channel has committed it, so the producer may be
    /// acknowledged.
    ///
    /// # Errors
    /// Nothing may be acknowledged. [`ProcessError::retry`] says whether the producer should try again. After a
    /// commit that succeeded in some channels only, trying again repeats events in those.
    ///
    /// # Cancel safety
    /// A dropped call leaves the commit in doubt.
    pub async fn process(&self, batch: Batch) -> Result<(), ProcessError> {
        self.received(&batch);
        let pipeline = self.pipeline();
        let batch = self.intercept(&pipeline, 0, batch).await.map_err(|mut error| {
            // Whoever keeps the error may not keep the turn of the state: its own next attempt needs it.
            error.batch.forget_states();
            error
        })?;
        self.store(&pipeline, &batch).await
    }

    /// Takes a batch the whole way and tries again, with growing pauses, for as long as it takes: for sources that
    /// hold their producer back. Batches too large for the channel are cut; a single event that no channel can
    /// ever hold goes to the dead-letter channel.
    ///
    /// # Errors
    /// [`ProcessError::ShuttingDown`] when `shutdown` is cancelled first, or an error no retry can help.
    ///
    /// # Cancel safety
    /// A dropped call leaves the commit in doubt.
    pub async fn accept(&self, batch: Batch, shutdown: &CancellationToken) -> Result<(), ProcessError> {
        self.accept_stamped(batch, shutdown, |batch| batch).await
    }

    /// The same; `stamp` gets the batch once, as the interceptors have left it and before any channel does, and may
    /// change its events.
    ///
    /// # Errors
    /// As [`ChannelProcessor::accept`].
    ///
    /// # Cancel safety
    /// A dropped call leaves the commit in doubt.
    pub async fn accept_stamped(
        &self,
        batch: Batch,
        shutdown: &CancellationToken,
        stamp: impl FnOnce(Batch) -> Batch + Send,
    ) -> Result<(), ProcessError> {
        self.received(&batch);
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        let batch = self.intercept_until_done(batch, &mut backoff, shutdown).await?;
        let mut waiting = vec![stamp(batch)];
        while let Some(batch) = waiting.pop() {
            let pipeline = self.pipeline();
            let error = match self.store(&pipeline, &batch).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            match error {
                ProcessError::Channel(ChannelError::TooLarge { reason, .. }) => {
                    waiting.extend(self.cut(batch, &reason)?);
                }
                error if error.retry() == Retry::Never => return Err(error),
                error => {
                    waiting.push(batch);
                    self.pause(&error, &mut backoff, shutdown).await?;
                }
            }
        }
        self.shared.health.set(HealthState::Running);
        Ok(())
    }

    fn received(&self, batch: &Batch) {
        self.shared.metrics.events_received.inc_by(batch.len() as u64);
    }

    /// Runs the interceptors from the `start`th on.
    async fn intercept(
        &self,
        pipeline: &Pipeline,
        start: usize,
        mut batch: Batch,
    ) -> Result<Batch, InterceptorError> {
        for step in pipeline.interceptors.iter().skip(start) {
            if batch.is_empty() {
                break;
            }
            let (events, rejected) = (batch.len(), batch.diverted().len());
            let begun = self.shared.clock.unix_nanos();
            batch = step.interceptor.intercept(batch).await?;
            step.metrics.nanos.inc_by(self.shared.clock.unix_nanos().saturating_sub(begun));
            step.metrics.events_in.inc_by(events as u64);
            step.metrics.events_out.inc_by(batch.len() as u64);
            let rejected =
                batch.diverted().iter().skip(rejected).filter(|diverted| diverted.is_rejected()).count();
            step.metrics.events_rejected.inc_by(rejected as u64);
        }
        Ok(batch)
    }

    /// Runs all interceptors; one that fails is tried again, in its newest version, with the batch it failed on.
    async fn intercept_until_done(
        &self,
        mut batch: Batch,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<Batch, ProcessError> {
        let mut start = 0;
        loop {
            let pipeline = self.pipeline();
            let mut error = match self.intercept(&pipeline, start, batch).await {
                Ok(batch) => return Ok(batch),
                Err(error) => error,
            };
            batch = std::mem::take(&mut *error.batch);
            let name = error.interceptor.clone();
            let failed = pipeline.interceptors.iter().position(|step| *step.name == *name).unwrap_or(start);
            self.pause(&error.into(), backoff, shutdown).await?;
            let newest = self.pipeline();
            start = newest.interceptors.iter().position(|step| *step.name == *name).unwrap_or(failed);
        }
    }

    /// Reports an error and waits; `Err` when the agent stops meanwhile.
    async fn pause(
        &self,
        error: &ProcessError,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<(), ProcessError> {
        if backoff.failures() == 0 {
            tracing::warn!(source = %self.shared.source, %error, "batch not accepted, trying again");
        }
        self.shared.health.failed(self.shared.clock.now(), error);
        let pause = backoff.failed();
        let pause = match error.retry() {
            Retry::After(least) => pause.max(least),
            _ => pause,
        };
        tokio::select! {
            () = shutdown.cancelled() => Err(ProcessError::ShuttingDown),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Makes a batch that is too large for a channel smaller: halves, the first one on top, or a dead letter.
    fn cut(&self, mut batch: Batch, reason: &str) -> Result<Vec<Batch>, ProcessError> {
        let middle = batch.len() / 2;
        if middle > 0 {
            let first = batch.part(0..middle);
            let mut second = batch.part(middle..batch.len());
            // Position, state and diverted events go with the last part: they may not be durable before all events are.
            second.take_over(&mut batch);
            return Ok(vec![second, first]);
        }
        let Some(event) = batch.events().first().cloned() else {
            return Err(
                ChannelError::TooLarge { channel: "dead-letter".into(), reason: reason.to_owned() }.into()
            );
        };
        let mut rest = batch.part(0..0);
        rest.take_over(&mut batch);
        let rejection = Rejection::new(self.shared.source.clone(), reason.to_owned());
        rest.divert(event, crate::batch::Destination::DeadLetter(rejection));
        Ok(vec![rest])
    }

    /// Hops 4 and 5: selects, puts on all required channels, commits on each, then tries the optional ones.
    async fn store(&self, pipeline: &Pipeline, batch: &Batch) -> Result<(), ProcessError> {
        let metrics = &self.shared.metrics;
        let now = self.shared.clock.unix_millis();
        let routed = routing::route(pipeline, batch, |event, why| dead_letter_event(event, why, now))?;
        metrics.events_unrouted.inc_by(routed.unrouted);
        let mut open = Vec::with_capacity(routed.required.len());
        for part in routed.required {
            let channel = Arc::clone(&part.target.channel);
            let put = async {
                let mut transaction = channel.begin_put().await?;
                transaction.put(part.batch).await?;
                Ok::<_, ChannelError>(transaction)
            };
            match put.await {
                Ok(transaction) => open.push((part.commit_last, transaction)),
                Err(error) => {
                    metrics.put_failures.inc();
                    return Err(error.into());
                }
            }
        }
        open.sort_by_key(|(commit_last, _)| *commit_last);
        for (committed, (_, transaction)) in open.into_iter().enumerate() {
            if let Err(error) = transaction.commit().await {
                metrics.put_failures.inc();
                if committed > 0 {
                    metrics.partial_commits.inc();
                }
                return Err(error.into());
            }
        }
        if let (Some(position), None) = (batch.position(), pipeline.position_home) {
            self.shared.positions.update(position);
        }
        if pipeline.home().is_none() {
            batch.states().iter().for_each(|writes| writes.committed(None));
        }
        metrics.batches.inc();
        metrics.events_accepted.inc_by(batch.len() as u64);
        metrics.bytes_accepted.inc_by(batch.size() as u64);
        for part in routed.optional {
            self.put_optional(part).await;
        }
        Ok(())
    }

    /// An optional channel gets what it can take at once.
    async fn put_optional(&self, part: routing::Part<'_>) {
        let put = async {
            let mut transaction = part.target.channel.begin_put().await?;
            // Polled once: an optional channel that is full may not slow down the required ones.
            match tokio::time::timeout(Duration::ZERO, transaction.put(part.batch)).await {
                Ok(Ok(())) => transaction.commit().await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(ChannelError::Full {
                    channel: part.target.name.to_string(),
                    reason: "no room".into(),
                }),
            }
        };
        if let Err(error) = put.await {
            tracing::debug!(source = %self.shared.source, %error, "optional channel left out");
            self.shared.metrics.optional_failures.inc();
        }
    }
}

#[cfg(test)]
mod tests;
