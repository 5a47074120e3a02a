//! Plugins whose destination has a two-phase commit.
//!
//! A call that failed may have left something staged, and an instance that broke has forgotten what. So before the next
//! delivery `recover` is called once more, with what is prepared and noted: everything else that is open is taken back.
//! What a trial staged, on the way to the events that break the plugin, is taken back the same way.

use std::time::Duration;

use bytes::Bytes;
use millrace_core::{Batch, DeliveryToken, SinkError};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower};

use super::{Done, WasmSink};
use crate::{
    bindings::{DeliveryNote, Failure, PrepareParams, RecoverParams, TokenParams},
    edits::REASON_BYTES_MAX,
    error::Fault,
    host::escaped,
    role::TwoPhaseExports,
};

/// Longest token. It is noted on disk for every delivery.
const TOKEN_BYTES_MAX: usize = 4 << 10;

/// What the host remembers of a sink's transactions.
pub(super) struct TwoPhase {
    exports: TwoPhaseExports,
    /// The delivery that is staged and not prepared.
    staged: Option<String>,
    /// Prepared and neither committed nor aborted.
    prepared: Vec<DeliveryToken>,
    /// Something else may be open at the destination.
    unclean: bool,
    /// What is staged now is taken back in any case.
    pub(super) is_trial: bool,
}

impl TwoPhase {
    pub(super) fn new(exports: TwoPhaseExports) -> Self {
        Self { exports, staged: None, prepared: Vec::new(), unclean: true, is_trial: false }
    }

    /// A delivery begins; what an earlier one staged was not wanted, or it would be prepared.
    pub(super) fn begin(&mut self) {
        if self.staged.is_some() {
            self.soil();
        }
    }

    /// Notes what a delivery came to.
    pub(super) fn delivered(&mut self, id: &str, outcome: &Result<(), SinkError>) {
        match outcome {
            Ok(()) | Err(SinkError::Partial { .. }) => self.staged = Some(id.to_owned()),
            Err(_) => self.soil(),
        }
    }

    /// What is open and not prepared has to be taken back.
    pub(super) fn soil(&mut self) {
        self.staged = None;
        self.unclean = true;
    }
}

impl WasmSink {
    /// Takes back what a failed call may have left. An error: it does not work now.
    pub(super) async fn clean(&mut self) -> Result<(), SinkError> {
        let Some(two_phase) = self.two_phase.as_mut().filter(|two_phase| two_phase.unclean) else {
            return Ok(());
        };
        let tokens = two_phase.prepared.clone();
        self.settle_open(&tokens).await
    }

    /// Calls `recover`.
    pub(super) async fn settle_open(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let Some(two_phase) = &mut self.two_phase else { return Ok(()) };
        two_phase.staged = None;
        let recover = two_phase.exports.recover;
        self.step::<RecoverParams, ()>("recover", recover, (tokens.to_vec(),)).await?;
        if let Some(two_phase) = &mut self.two_phase {
            two_phase.unclean = false;
            two_phase.prepared.clear();
        }
        Ok(())
    }

    /// Prepares what the last delivery staged.
    pub(super) async fn prepare_staged(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        let Some(two_phase) = &mut self.two_phase else { return Ok(Vec::new()) };
        let Some(id) = two_phase.staged.take() else { return Ok(Vec::new()) };
        let prepare = two_phase.exports.prepare;
        let answer = self.step::<PrepareParams, Bytes>("prepare", prepare, (id,)).await;
        let answer = answer.and_then(|token| match token.len() {
            0..=TOKEN_BYTES_MAX => Ok(token),
            bytes => Err(SinkError::retryable(format!(
                "the plugin's token has {bytes} bytes, at most {TOKEN_BYTES_MAX} are allowed"
            ))),
        });
        let Some(two_phase) = &mut self.two_phase else { return Ok(Vec::new()) };
        match answer {
            // A slice of a larger allocation would keep all of it.
            Ok(token) => {
                let token = Bytes::copy_from_slice(&token);
                two_phase.prepared.push(token.clone());
                Ok(vec![token])
            }
            Err(error) => {
                two_phase.soil();
                Err(error)
            }
        }
    }

    /// Shows what was prepared.
    pub(super) async fn commit_prepared(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let Some(commit) = self.two_phase.as_ref().map(|two_phase| two_phase.exports.commit) else {
            return Ok(());
        };
        for token in tokens {
            self.step::<TokenParams, ()>("commit", commit, (token.clone(),)).await?;
        }
        self.forget(tokens);
        Ok(())
    }

    /// Takes back what was prepared.
    pub(super) async fn abort_prepared(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let Some(abort) = self.two_phase.as_ref().map(|two_phase| two_phase.exports.abort) else {
            return Ok(());
        };
        self.forget(tokens);
        let mut result = Ok(());
        for token in tokens {
            let aborted = self.step::<TokenParams, ()>("abort", abort, (token.clone(),)).await;
            result = result.and(aborted);
        }
        if let (Err(_), Some(two_phase)) = (&result, &mut self.two_phase) {
            two_phase.soil();
        }
        result
    }

    fn forget(&mut self, tokens: &[DeliveryToken]) {
        if let Some(two_phase) = &mut self.two_phase {
            two_phase.prepared.retain(|token| !tokens.contains(token));
        }
    }

    /// The plugin breaks on the batch but on none of its events alone: stages as much of its front as works. Its number
    /// of rows; an error: nothing works.
    pub(super) async fn stage_front(
        &mut self,
        batch: &Batch,
        note: &DeliveryNote,
    ) -> Result<usize, SinkError> {
        let mut rows = batch.len() / 2;
        while rows > 0 {
            let done = self.attempt(&batch.part(0..rows), note.clone()).await;
            match done {
                Ok(Done::All) => return Ok(rows),
                Ok(Done::Later { reason, after }) => return Err(SinkError::Retryable { reason, after }),
                // Alone, its events were taken: it does not answer twice in the same way.
                Ok(Done::Some { .. } | Done::Never(_)) | Err(_) => rows /= 2,
            }
            self.two_phase.iter_mut().for_each(TwoPhase::soil);
        }
        Err(SinkError::retryable("the plugin breaks on every part of the batch"))
    }

    /// One call that is not about a batch. After a fault the instance is gone.
    async fn step<Params, R>(
        &mut self,
        name: &str,
        function: ComponentExportIndex,
        params: Params,
    ) -> Result<R, SinkError>
    where
        Params: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Send + Sync + 'static,
        (Result<R, Failure>,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let instance = match self.lane.instance(&self.template).await {
            Ok(instance) => instance,
            Err(error) => return Err(SinkError::retryable(error.to_string())),
        };
        let call = async {
            let function = instance.function::<Params, (Result<R, Failure>,)>(function)?;
            instance.call(function, params).await
        };
        let answer: Result<Result<R, Failure>, Fault> = call.await;
        match answer {
            Ok(Ok(result)) => {
                self.lane.recycle(self.recycling);
                Ok(result)
            }
            Ok(Err(Failure::Retry(pause))) => Err(SinkError::Retryable {
                reason: format!("the plugin asks to try `{name}` again later"),
                after: pause.map(|ms| Duration::from_millis(ms.into())),
            }),
            Ok(Err(Failure::Reject(reason))) => {
                Err(SinkError::rejected(format!("{name}: {}", escaped(&reason, REASON_BYTES_MAX))))
            }
            Ok(Err(Failure::Fatal(reason))) => {
                self.lane.discard();
                let reason = escaped(&reason, REASON_BYTES_MAX);
                Err(SinkError::retryable(format!("the plugin gave up in `{name}`: {reason}")))
            }
            Err(fault) => {
                self.broke(&fault, 0);
                Err(SinkError::retryable(format!("the plugin broke in `{name}`: {fault}")))
            }
        }
    }
}
