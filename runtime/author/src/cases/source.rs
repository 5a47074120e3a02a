//! A source under test: what it hands on goes into a channel that keeps it for the comparison.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{Property, Scalar, Spanned};
use millrace_core::{
    Batch, BoxError, Channel, ChannelError, ChannelProcessor, ChannelStats, Event, Health, Pipeline,
    PipelineChannel, PositionStore, PositionUpdate, Positions, PutTransaction, Route, Selector,
    SourceContext, TakeTransaction,
};
use tokio_util::sync::CancellationToken;

use super::{
    diff::difference,
    event::CaseEvent,
    read::{Case, position_text},
    run::{refused, unexpected_start},
};
use crate::rig::{Around, NAME, Rig, StillClock, node};

/// How long a case waits for a source that says nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key under which a plugin's position is kept.
const POSITION: &[u8] = b"position";

/// Keeps every batch, and stops the source when there are enough.
struct Kept {
    batches: Mutex<Vec<Vec<String>>>,
    enough: usize,
    stop: CancellationToken,
}

impl Kept {
    fn keep(&self, batches: Vec<Vec<String>>) {
        let mut kept = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batches);
        if kept.len() >= self.enough {
            self.stop.cancel();
        }
    }
}

struct KeepingChannel(Arc<Kept>);

struct Put {
    kept: Arc<Kept>,
    batches: Vec<Vec<String>>,
}

#[async_trait]
impl Channel for KeepingChannel {
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        Ok(Box::new(Put { kept: Arc::clone(&self.0), batches: Vec::new() }))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        Err(ChannelError::Closed { channel: NAME.into() })
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

#[async_trait]
impl PutTransaction for Put {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let mut lines: Vec<String> = batch.iter().map(|event| CaseEvent::of(event).shown()).collect();
        let changes = batch.position().map(|update| update.changes.as_slice()).unwrap_or_default();
        let position =
            changes.iter().find(|(key, _)| key.as_ref() == POSITION).and_then(|(_, value)| value.as_ref());
        lines.extend(position.map(|position| position_text(position)));
        self.batches.push(lines);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        self.kept.keep(self.batches);
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

struct Everything;

impl Selector for Everything {
    fn select(&self, _: &Event) -> Route<'_> {
        Route { required: &[0], optional: &[] }
    }
}

struct NoStore;

impl PositionStore for NoStore {
    fn load(&self, _: &str) -> Positions {
        Positions::new()
    }

    fn update(&self, _: &PositionUpdate) {}

    fn flush(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

pub(super) async fn run(rig: &Rig, path: &Path, case: &Case, around: &Around) -> Vec<String> {
    let mut around = around.clone();
    around.component = case.events_max.map(|events| {
        let mut poll = node("poll");
        let (name, value) = ("events".to_owned(), Scalar::Integer(events.into()));
        poll.properties
            .push(Property { name: Spanned::new(name, poll.span), value: Spanned::new(value, poll.span) });
        poll
    });
    let around = &around;
    let source = match rig.source(path, around) {
        Ok(source) => source,
        Err(found) => return refused(&found, case, around),
    };
    if let Some(lines) = unexpected_start(case) {
        return lines;
    }
    let stop = CancellationToken::new();
    // One that must end is not stopped: what comes too much is a difference.
    let enough = if case.ends { usize::MAX } else { case.polls.len() };
    let kept = Arc::new(Kept { batches: Mutex::default(), enough, stop: stop.clone() });
    let running = source.run(context(rig, case, &kept, &stop));
    let outcome = tokio::time::timeout(PATIENCE, running).await;
    let found = std::mem::take(&mut *kept.batches.lock().unwrap_or_else(PoisonError::into_inner));
    let mut lines = Vec::new();
    for number in 0..case.polls.len().max(if case.ends { found.len() } else { 0 }) {
        let expected = case.polls.get(number).map(|poll| poll.expected.as_slice()).unwrap_or_default();
        let found = found.get(number).map(Vec::as_slice).unwrap_or_default();
        let different = difference(expected, found);
        if !different.is_empty() {
            lines.push(format!("in the answer number {}:", number + 1));
            lines.extend(different);
        }
    }
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => lines.push(format!("+ failure: {error}")),
        Err(_) if case.ends => lines.push(format!("- end, not reached in {PATIENCE:?}")),
        Err(_) => lines.push(format!("+ nothing more in {PATIENCE:?}")),
    }
    lines
}

fn context(rig: &Rig, case: &Case, kept: &Arc<Kept>, stop: &CancellationToken) -> SourceContext {
    let channel = PipelineChannel { name: NAME.into(), channel: Arc::new(KeepingChannel(Arc::clone(kept))) };
    let pipeline = Pipeline {
        interceptors: Vec::new(),
        selector: Arc::new(Everything),
        channels: Arc::from([channel.clone()]),
        dead_letter: Some(channel),
        position_home: Some(0),
    };
    let metrics = rig.metrics().source(NAME);
    let health = Health::default();
    let clock = Arc::new(StillClock);
    let processor = ChannelProcessor::new(
        NAME.into(),
        pipeline,
        Arc::new(NoStore),
        clock.clone(),
        metrics.clone(),
        health.clone(),
    );
    let position =
        case.open.as_ref().map(|position| (Bytes::from_static(POSITION), Bytes::from(position.clone())));
    SourceContext {
        name: NAME.into(),
        processor,
        shutdown: stop.clone(),
        sockets: Vec::new(),
        positions: position.into_iter().collect(),
        data_dir: std::path::PathBuf::new(),
        clock,
        metrics,
        health,
    }
}
