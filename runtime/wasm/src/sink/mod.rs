//! A plugin as a sink: it is given batches with the name of their delivery, and says how far it got.
//!
//! A fault costs the instance; the batch is tried once more on a fresh one and then in parts, to find the events that
//! break the plugin. A part has a name of its own, made from the name of the batch and its rows, so that a part that
//! comes again has the same name again. Of a sink with two phases such parts are only trials: the events that broke it are
//! set aside, and the others come again as one batch.

mod two_phase;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_core::{Batch, Clock, DeliveryToken, Refusal, Sink, SinkError};
use two_phase::TwoPhase;
use wasmtime::component::Resource;

use crate::{
    bindings::{DeliverParams, DeliverResults, DeliveryNote, Failure, Outcome, RowRefusal},
    edits::REASON_BYTES_MAX,
    error::{Fault, FaultKind},
    generation::{OnFault, State},
    host::escaped,
    instance::Template,
    lanes::{Lane, Recycling},
    origin::Origin,
    plugin_host::Prepared,
    rescue::{Next, Search},
};

/// A sink that runs in a guest.
pub(crate) struct WasmSink {
    template: Arc<Template>,
    lane: Lane,
    recycling: Recycling,
    origin: Origin,
    on_fault: OnFault,
    clock: Arc<dyn Clock>,
    /// What was written for the batch in hand. It holds the turn, so that sinks of one name do it one after the other.
    state: State,
    /// None: its destination has no such thing.
    two_phase: Option<TwoPhase>,
}

/// What one call came to, when it did not break.
enum Done {
    All,
    Some { refusals: Vec<Refusal>, again: Vec<usize>, after: Option<Duration> },
    Later { reason: String, after: Option<Duration> },
    Never(String),
}

impl WasmSink {
    pub(crate) fn new(prepared: Prepared, on_fault: OnFault, clock: Arc<dyn Clock>) -> Self {
        let Prepared { template, first, origin, memory_bytes_max, .. } = prepared;
        let lane = Lane::with(first, template.lane);
        let two_phase = template.plugin.exports.two_phase.map(TwoPhase::new);
        Self {
            template,
            lane,
            recycling: Recycling::new(memory_bytes_max),
            origin,
            on_fault,
            clock,
            state: None,
            two_phase,
        }
    }

    /// One call on a part of a batch. After a fault the instance is gone.
    async fn attempt(&mut self, part: &Batch, note: DeliveryNote) -> Result<Done, Fault> {
        match self.clean().await {
            Err(SinkError::Retryable { reason, after }) => return Ok(Done::Later { reason, after }),
            Err(error) => return Ok(Done::Later { reason: error.to_string(), after: None }),
            Ok(()) => {}
        }
        let instance = match self.lane.instance(&self.template).await {
            Ok(instance) => instance,
            Err(error) => return Ok(Done::Later { reason: error.to_string(), after: None }),
        };
        let mut lent = part.clone();
        lent.note_formed_at(|| self.clock.unix_nanos());
        let deliver = self.template.plugin.exports.deliver.ok_or_else(|| Fault::missing("deliver"));
        instance.give_state(&mut self.state);
        let answer = async {
            let deliver = instance.function::<DeliverParams, DeliverResults>(deliver?)?;
            instance.lend(deliver, (Resource::new_borrow(0), note), lent).await.1
        };
        let answer = answer.await;
        instance.take_state(&mut self.state);
        let answer = match answer {
            Ok(Ok(Outcome::Partial(rows))) => {
                split(part.len(), rows).map(|(refusals, again, after)| Done::Some { refusals, again, after })
            }
            Ok(Ok(Outcome::Delivered)) => Ok(Done::All),
            Ok(Err(Failure::Retry(pause))) => Ok(Done::Later {
                reason: "the plugin asks to try again later".into(),
                after: pause.map(|ms| Duration::from_millis(ms.into())),
            }),
            Ok(Err(Failure::Reject(reason))) => Ok(Done::Never(escaped(&reason, REASON_BYTES_MAX))),
            Ok(Err(Failure::Fatal(reason))) => {
                self.lane.discard();
                let reason = format!("the plugin gave up: {}", escaped(&reason, REASON_BYTES_MAX));
                Ok(Done::Later { reason, after: None })
            }
            Err(fault) => Err(fault),
        };
        let is_trial = self.two_phase.as_ref().is_some_and(|two_phase| two_phase.is_trial);
        if let Some(state) = &mut self.state {
            if is_trial || matches!(answer, Err(_) | Ok(Done::Later { .. })) {
                state.forget_call()
            } else {
                state.keep_call()
            }
        }
        if let Err(fault) = &answer {
            self.broke(fault, part.len());
            self.two_phase.iter_mut().for_each(TwoPhase::soil);
        } else {
            self.lane.recycle(self.recycling);
        }
        answer
    }

    /// Throws the instance away.
    fn broke(&mut self, fault: &Fault, events: usize) {
        self.lane.discard();
        self.template.metrics.fault(fault.kind).inc();
        let Origin { component, plugin, generation, .. } = &self.origin;
        tracing::warn!(target: "plugin", %component, %plugin, %generation, events, %fault, "plugin broke");
    }

    /// Delivers in parts, until the events that break the plugin are alone.
    async fn rescue(&mut self, batch: &Batch, note: &DeliveryNote, fault: Fault) -> Result<(), SinkError> {
        let mut search = Search::new(batch, fault, self.on_fault != OnFault::DeadLetterAlways);
        let mut rest = Rest::default();
        let is_trial = self.two_phase.is_some();
        self.two_phase.iter_mut().for_each(|two_phase| two_phase.is_trial = true);
        let bad = loop {
            let (rows, part) = match search.next() {
                Next::Try { rows, part } => (rows, part),
                Next::Done(rescued) => break rescued.bad,
                Next::Systematic(fault) => {
                    return Err(SinkError::retryable(format!(
                        "the plugin breaks on every event, last with {fault}"
                    )));
                }
            };
            let id = format!("{}/{}-{}", note.id, rows.start, rows.end);
            let done = self.attempt(&part, DeliveryNote { id, attempt: note.attempt }).await;
            self.two_phase.iter_mut().for_each(TwoPhase::soil);
            match done {
                Err(fault) => {
                    search.broke(fault);
                    continue;
                }
                Ok(Done::Later { reason, after }) => return Err(SinkError::Retryable { reason, after }),
                Ok(Done::All) if is_trial => rest.again.extend(rows),
                Ok(Done::All) => {}
                Ok(Done::Never(reason)) => {
                    rest.refusals.extend(rows.map(|row| Refusal { row, reason: reason.clone() }));
                }
                Ok(Done::Some { refusals, again, after }) => {
                    if is_trial {
                        let is_refused = |row: usize| {
                            again.contains(&row) || refusals.iter().any(|refusal| refusal.row == row)
                        };
                        rest.again.extend(rows.clone().filter(|row| !is_refused(row - rows.start)));
                    }
                    rest.refusals.extend(
                        refusals
                            .into_iter()
                            .map(|refusal| Refusal { row: rows.start + refusal.row, ..refusal }),
                    );
                    rest.again.extend(again.into_iter().map(|row| rows.start + row));
                    rest.after = rest.after.max(after);
                }
            }
            search.passed(Batch::default());
        };
        self.two_phase.iter_mut().for_each(|two_phase| two_phase.is_trial = false);
        if is_trial && bad.is_empty() && rest.refusals.is_empty() {
            let staged = self.stage_front(batch, note).await?;
            return Rest { again: (staged..batch.len()).collect(), ..Rest::default() }.finish();
        }
        for (row, fault) in bad {
            tracing::warn!(target: "plugin", component = %self.origin.component, plugin = %self.origin.plugin,
                generation = %self.origin.generation, digest = %self.origin.digest, %fault, "an event breaks the plugin, dead letter");
            self.template.metrics.dead_letters.inc();
            rest.refusals.push(Refusal { row, reason: self.reason(&fault) });
        }
        rest.finish()
    }

    fn reason(&self, fault: &Fault) -> String {
        let Origin { plugin, digest, generation, .. } = &self.origin;
        let mut reason = format!("plugin {plugin} ({digest}, generation {generation}): {fault}");
        if !fault.backtrace.is_empty() {
            reason.push_str(&format!("\n{}", fault.backtrace));
        }
        reason
    }
}

/// Rows that were not delivered.
#[derive(Default)]
struct Rest {
    refusals: Vec<Refusal>,
    again: Vec<usize>,
    after: Option<Duration>,
}

impl Rest {
    fn finish(mut self) -> Result<(), SinkError> {
        if self.refusals.is_empty() && self.again.is_empty() {
            return Ok(());
        }
        self.refusals.sort_by_key(|refusal| refusal.row);
        self.again.sort_unstable();
        Err(SinkError::Partial { refusals: self.refusals, again: self.again, after: self.after })
    }
}

impl WasmSink {
    async fn deliver_all(&mut self, batch: &Batch, note: &DeliveryNote) -> Result<(), SinkError> {
        self.two_phase.iter_mut().for_each(|two_phase| {
            two_phase.is_trial = false;
            two_phase.begin();
        });
        // A part of a batch comes with what was written for the parts before.
        if let (None, Some(store)) = (&self.state, &self.template.state) {
            self.state = Some(store.begin(&mut Batch::default()).await);
        }
        let mut answer = self.attempt(batch, note.clone()).await;
        if answer.is_err() {
            answer = self.attempt(batch, note.clone()).await;
        }
        match answer {
            Ok(Done::All) => Ok(()),
            Ok(Done::Some { refusals, again, after }) => Rest { refusals, again, after }.finish(),
            Ok(Done::Later { reason, after }) => Err(SinkError::Retryable { reason, after }),
            Ok(Done::Never(reason)) => Err(SinkError::rejected(reason)),
            Err(fault) if self.on_fault == OnFault::Hold => {
                Err(SinkError::retryable(format!("the plugin broke: {fault}")))
            }
            Err(fault) => self.rescue(batch, note, fault).await,
        }
    }
}

#[async_trait]
impl Sink for WasmSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let note = match batch.delivery() {
            Some(delivery) => DeliveryNote { id: delivery.id.to_string(), attempt: delivery.attempt },
            // The engine names every batch of a sink that asks for it, as this one does.
            None => return Err(SinkError::retryable("the batch has no delivery id")),
        };
        let outcome = self.deliver_all(batch, &note).await;
        if let Some(two_phase) = &mut self.two_phase {
            two_phase.delivered(&note.id, &outcome);
        }
        outcome
    }

    fn wants_deliveries_named(&self) -> bool {
        true
    }

    fn is_two_phase(&self) -> bool {
        self.two_phase.is_some()
    }

    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        self.prepare_staged().await
    }

    async fn commit(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.commit_prepared(tokens).await
    }

    async fn abort(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.abort_prepared(tokens).await
    }

    async fn recover(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.settle_open(tokens).await
    }

    fn settled(&mut self, committed: bool) {
        if let (true, Some(state)) = (committed, self.state.take()) {
            state.commit();
        }
    }

    async fn close(mut self: Box<Self>) -> Result<(), SinkError> {
        if let Some(instance) = self.lane.take() {
            instance.stop().await;
        }
        Ok(())
    }
}

type Rows = (Vec<Refusal>, Vec<usize>, Option<Duration>);

/// Sorts the rows of a partial delivery by what becomes of them. They must ascend and exist.
fn split(count: usize, rows: Vec<RowRefusal>) -> Result<Rows, Fault> {
    let wrong = |reason| Err(Fault { kind: FaultKind::Answer, reason, backtrace: String::new() });
    let (mut refusals, mut again, mut after) = (Vec::new(), Vec::new(), None);
    let mut last = None;
    for RowRefusal { row, failure } in rows {
        let row = row as usize;
        if row >= count {
            return wrong(format!("row {row} is refused, the batch has {count}"));
        }
        if last.is_some_and(|last| row <= last) {
            return wrong(format!("row {row} is refused out of order; rows must ascend"));
        }
        last = Some(row);
        match failure {
            Failure::Reject(reason) => {
                refusals.push(Refusal { row, reason: escaped(&reason, REASON_BYTES_MAX) });
            }
            Failure::Retry(pause) => {
                after = after.max(pause.map(|ms| Duration::from_millis(ms.into())));
                again.push(row);
            }
            Failure::Fatal(_) => again.push(row),
        }
    }
    Ok((refusals, again, after))
}
