//! A plugin as a source: it is polled, its events and its position go into the channel in one commit.
//!
//! A fault ends the run; whoever supervises the source starts it again after a pause, with a fresh instance at the
//! position that was committed last. So nothing that a guest does can lose or repeat an event of the channel: one whose
//! position goes back to where it was is stopped, in the next run as in the first (see `trail`).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Batch, PositionUpdate, Source, SourceContext, SourceError, StateStore};

use crate::{
    bindings::{CommittedParams, DoneResults, Failure, OpenParams, Pace, PollParams, PollResults, Polled},
    edits::{REASON_BYTES_MAX, events_of},
    error::{Fault, FaultKind},
    generation::State,
    host::escaped,
    instance::Instance,
    plugin_host::Prepared,
    role::SourceExports,
    trail::Trail,
};

/// The key under which the position is stored with the source.
const POSITION: &[u8] = b"position";

/// Longest position.
const POSITION_BYTES_MAX: usize = 64 << 10;

/// Shortest pause after an answer without events, whatever the plugin says: one that never has anything may not keep a
/// thread for itself.
const EMPTY_PAUSE: Duration = Duration::from_millis(1);

/// Longest pause that a plugin can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What one poll may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PollLimits {
    pub(crate) events_max: u32,
    pub(crate) bytes_max: u32,
}

/// A source that runs in a guest.
pub(crate) struct WasmSource {
    prepared: Prepared,
    limits: PollLimits,
}

impl WasmSource {
    pub(crate) fn new(prepared: Prepared, limits: PollLimits) -> Self {
        Self { prepared, limits }
    }
}

/// Why a call did not come to an answer.
enum Stopped {
    /// The guest asks for a pause.
    Pause(Duration),
    /// This instance cannot go on.
    Broken(SourceError),
}

struct Run {
    instance: Instance,
    exports: SourceExports,
    limits: PollLimits,
    /// The last one that is durable.
    position: Option<Bytes>,
    /// The positions before it.
    trail: Trail,
    faults: crate::metrics::PluginMetrics,
    store: Option<Arc<StateStore>>,
}

#[async_trait]
impl Source for WasmSource {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let Prepared { template, first, .. } = self.prepared;
        let Some(exports) = template.plugin.exports.source else {
            return Err(failed(&Fault::missing("poll")));
        };
        let position = cx.positions.get(POSITION).cloned();
        let mut run = Run {
            instance: first,
            exports,
            limits: self.limits,
            trail: Trail::read(&cx.positions, position.as_deref()),
            position,
            faults: template.metrics.clone(),
            store: template.state.clone(),
        };
        if let Some(store) = &run.store {
            cx.processor.load_state(store);
        }
        let result = run.until_stopped(&cx).await;
        run.instance.stop().await;
        result
    }
}

impl Run {
    async fn until_stopped(&mut self, cx: &SourceContext) -> Result<(), SourceError> {
        let mut is_open = false;
        while !cx.shutdown.is_cancelled() {
            let turn = async {
                if !is_open {
                    self.open().await?;
                }
                self.turn(cx).await
            };
            let pause = match turn.await {
                Ok(Some(pause)) => {
                    is_open = true;
                    pause
                }
                Ok(None) => return Ok(()),
                Err(Stopped::Pause(pause)) => {
                    is_open = false;
                    cx.health.failed(cx.clock.now(), &"the plugin asks to try again later");
                    pause
                }
                Err(Stopped::Broken(error)) => return Err(error),
            };
            if pause.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = cx.shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// One poll, and all that follows from it. None: the source has ended.
    async fn turn(&mut self, cx: &SourceContext) -> Result<Option<Duration>, Stopped> {
        let mut state: State = None;
        let polled = tokio::select! {
            biased;
            polled = self.poll(&mut state) => polled?,
            // A poll that is given up brought nothing: the next run opens at the same position.
            () = cx.shutdown.cancelled() => return Ok(None),
        };
        let Polled { events, position, pace } = polled;
        let events = events_of(events).map_err(|reason| self.wrong(reason))?;
        if events.len() > self.limits.events_max as usize {
            let (count, most) = (events.len(), self.limits.events_max);
            return Err(self.wrong(format!("{count} events in one answer, at most {most} were asked for")));
        }
        let position = position.filter(|position| Some(position) != self.position.as_ref());
        if let Some(position) = &position {
            self.check(position)?;
        }
        let is_empty = events.is_empty();
        let mut batch = Batch::new(events);
        if let Some(mut state) = state {
            // What an answer that broke a rule has written was dropped with it.
            state.keep_call();
            state.finish(&mut batch);
        }
        if !is_empty || position.is_some() || !batch.states().is_empty() {
            if let Some(position) = &position {
                batch = batch.with_position(self.update(cx.name.clone(), position));
            }
            match cx.processor.accept(batch, &cx.shutdown).await {
                Ok(()) => {}
                Err(_) if cx.shutdown.is_cancelled() => return Ok(None),
                Err(error) => return Err(Stopped::Broken(error.into())),
            }
        }
        if let Some(position) = position {
            self.committed(position).await?;
        }
        Ok(match pace {
            Pace::End => None,
            Pace::Now if is_empty => Some(EMPTY_PAUSE),
            Pace::Now => Some(Duration::ZERO),
            Pace::After(ms) => Some(Duration::from_millis(ms.into()).clamp(EMPTY_PAUSE, PAUSE_MAX)),
        })
    }

    async fn open(&mut self) -> Result<(), Stopped> {
        let open = self.instance.function::<OpenParams, DoneResults>(self.exports.open);
        let open = open.map_err(|fault| self.broke(&fault))?;
        let answer = self.instance.call(open, (self.position.clone(),)).await;
        self.answered("open", answer)
    }

    /// Asks for events. What it wrote to its state goes with them; `open` and `committed` have no batch to go with, so
    /// they write nothing.
    async fn poll(&mut self, state: &mut State) -> Result<Polled, Stopped> {
        if let Some(store) = &self.store {
            *state = Some(store.begin(&mut Batch::default()).await);
        }
        let poll = self.instance.function::<PollParams, PollResults>(self.exports.poll);
        let poll = poll.map_err(|fault| self.broke(&fault))?;
        self.instance.give_state(state);
        let answer = self.instance.call(poll, (self.limits.events_max, self.limits.bytes_max)).await;
        self.instance.take_state(state);
        self.answered("poll", answer)
    }

    /// The position is durable; the guest hears of it.
    async fn committed(&mut self, position: Bytes) -> Result<(), Stopped> {
        if let Some(before) = self.position.replace(position.clone()) {
            self.trail.leave(&before);
        }
        let committed = self.instance.function::<CommittedParams, DoneResults>(self.exports.committed);
        let committed = committed.map_err(|fault| self.broke(&fault))?;
        let answer = self.instance.call(committed, (position,)).await;
        self.answered("committed", answer)
    }

    /// What a batch with this position stores.
    fn update(&self, source: ByteString, position: &Bytes) -> PositionUpdate {
        let mut update = PositionUpdate::set(source, Bytes::from_static(POSITION), position.clone());
        let left = self.position.as_ref().map(|before| self.trail.entry(before));
        update.changes.extend(left.map(|(key, checksum)| (key, Some(checksum))));
        update
    }

    /// A position that was left behind once means that events would come twice.
    fn check(&self, position: &Bytes) -> Result<(), Stopped> {
        if position.len() > POSITION_BYTES_MAX {
            let bytes = position.len();
            return Err(
                self.wrong(format!("a position of {bytes} bytes; at most {POSITION_BYTES_MAX} are allowed"))
            );
        }
        match self.trail.answers_ago(position) {
            Some(ago) => Err(self.wrong(format!("the position went back to where it was {ago} answers ago"))),
            None => Ok(()),
        }
    }

    fn answered<T>(&self, call: &str, answer: Result<Result<T, Failure>, Fault>) -> Result<T, Stopped> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Failure::Retry(pause))) => {
                let pause = pause.map_or(Duration::from_secs(1), |ms| Duration::from_millis(ms.into()));
                Err(Stopped::Pause(pause.clamp(EMPTY_PAUSE, PAUSE_MAX)))
            }
            Ok(Err(Failure::Reject(reason) | Failure::Fatal(reason))) => {
                let reason = escaped(&reason, REASON_BYTES_MAX);
                Err(Stopped::Broken(SourceError::failed(format!("the plugin gave up in `{call}`"), reason)))
            }
            Err(fault) => Err(self.broke(&fault)),
        }
    }

    /// An answer that breaks a rule.
    fn wrong(&self, reason: String) -> Stopped {
        self.broke(&Fault { kind: FaultKind::Answer, reason, backtrace: String::new() })
    }

    fn broke(&self, fault: &Fault) -> Stopped {
        self.faults.fault(fault.kind).inc();
        Stopped::Broken(failed(fault))
    }
}

fn failed(fault: &Fault) -> SourceError {
    SourceError::failed("the plugin broke", fault.to_string())
}
