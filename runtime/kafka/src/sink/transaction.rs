//! A batch as a transaction.

use std::time::Duration;

use millrace_core::{Refusal, SinkError};
use rdkafka::{
    error::{KafkaError, KafkaResult},
    producer::{Producer, ThreadedProducer},
};

use super::{KafkaSink, Outcome, outgoing::Prepared};
use crate::{
    connection::told_error,
    producer::{Deliveries, Sender, is_final, is_too_large},
};

/// How long one call about a transaction may take; a call that may be repeated is.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(30);
/// How often a call is repeated before the batch comes again as a whole.
const CALLS_MAX: usize = 4;

/// What sends.
pub(crate) type Client = ThreadedProducer<Deliveries>;

/// A client that has taken over its transactional id: what a former one left open is aborted.
pub(super) async fn initialised(sender: Sender) -> Result<Sender, SinkError> {
    match call(&sender, |client| client.init_transactions(CALL_MAX)).await {
        Ok(()) => Ok(sender),
        Err(error) => {
            let reason = sender.deliveries().voice.explain(&told_error(&error));
            sender.close().await;
            Err(SinkError::retryable(format!("transactions cannot begin: {reason}")))
        }
    }
}

impl KafkaSink {
    /// Everything or nothing. Rows that can never be sent are left out, and the transaction begins anew without them.
    ///
    /// # Errors
    /// Nothing was committed, or it is in doubt whether all was.
    pub(super) async fn deliver_in_transaction(
        &self,
        sender: &Sender,
        prepared: &Prepared<'_>,
        refusals: Vec<Refusal>,
    ) -> Result<Outcome, SinkError> {
        let mut outcome = Outcome { refusals, ..Outcome::default() };
        let mut rows = prepared.rows();
        loop {
            if rows.is_empty() {
                return Ok(outcome);
            }
            let failed = |error| retryable(sender_reason(&error));
            call(sender, Client::begin_transaction).await.map_err(failed)?;
            let failures = sender.send(prepared.records(&rows)).await;
            if failures.is_empty() {
                return match call(sender, |client| client.commit_transaction(CALL_MAX)).await {
                    Ok(()) => {
                        self.metrics.transactions.inc();
                        Ok(outcome)
                    }
                    Err(error) => {
                        self.abort(sender).await.ok();
                        Err(retryable(sender_reason(&error)))
                    }
                };
            }
            self.abort(sender).await.map_err(failed)?;
            let mut bad = Vec::new();
            let mut temporary = Outcome::default();
            for failure in &failures {
                let company = is_too_large(failure.code) && rows.len() > 1;
                if is_final(failure.code) && company && prepared.fits(failure.row, &self.settings) {
                    bad.push(failure.row);
                } else {
                    self.judge(sender, prepared, *failure, &mut temporary);
                }
            }
            let found = self.find_too_large(sender, prepared, bad).await.map_err(failed)?;
            let before = outcome.refusals.len();
            outcome.refusals.extend(temporary.refusals);
            outcome.refusals.extend(found);
            rows.retain(|row| !outcome.refusals.iter().any(|refusal| refusal.row == *row));
            // Where no row is to blame, all comes again later. Otherwise others were given up with the transaction only.
            if outcome.refusals.len() == before {
                outcome.reason = temporary.reason;
                outcome.again = rows;
                return Ok(outcome);
            }
        }
    }

    /// Which of these rows a broker refuses when they come alone. Each is tried in a transaction that is aborted.
    pub(super) async fn find_too_large(
        &self,
        sender: &Sender,
        prepared: &Prepared<'_>,
        rows: Vec<usize>,
    ) -> KafkaResult<Vec<Refusal>> {
        let mut outcome = Outcome::default();
        let mut portions = vec![rows];
        while let Some(portion) = portions.pop() {
            if portion.is_empty() {
                continue;
            }
            call(sender, Client::begin_transaction).await?;
            let failures = sender.send(prepared.records(&portion)).await;
            self.abort(sender).await?;
            if !failures.iter().any(|failure| is_too_large(failure.code)) {
                continue;
            }
            if let [failure] = failures.as_slice()
                && portion.len() == 1
            {
                self.judge(sender, prepared, *failure, &mut outcome);
                continue;
            }
            let (first, second) = portion.split_at(portion.len() / 2);
            portions.push(second.to_vec());
            portions.push(first.to_vec());
        }
        Ok(outcome.refusals)
    }

    pub(super) async fn abort(&self, sender: &Sender) -> KafkaResult<()> {
        self.metrics.transactions_aborted.inc();
        call(sender, |client| client.abort_transaction(CALL_MAX)).await
    }
}

fn retryable(reason: String) -> SinkError {
    SinkError::retryable(reason)
}

fn sender_reason(error: &KafkaError) -> String {
    format!("transaction not committed: {}", told_error(error))
}

/// Runs a call that blocks where that is allowed, and repeats it where the client says that this is the thing to do.
pub(super) async fn call(sender: &Sender, what: fn(&Client) -> KafkaResult<()>) -> KafkaResult<()> {
    let client = sender.client();
    let called = tokio::task::spawn_blocking(move || repeated(|| what(&client)));
    called.await.unwrap_or(Err(KafkaError::Canceled))
}

/// Repeats a call where the client says that this is the thing to do. Blocks.
pub(crate) fn repeated(what: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
    let mut last = Ok(());
    for _ in 0..CALLS_MAX {
        last = what();
        match &last {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {}
            _ => break,
        }
    }
    last
}
