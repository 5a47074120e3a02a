//! A batch as a transaction that holds the offsets of the sources it comes from, too.
//!
//! Each event says which consumer it came from and has a number there. Events that the consumer cannot answer for any more are
//! not sent: they are read again. Rows that can never be sent become dead letters first, and the others come again without
//! them: only then may offsets pass them.

use std::sync::Arc;

use millrace_core::{Batch, Refusal, SinkError};
use rdkafka::producer::Producer;

use super::{
    KafkaSink, Outcome,
    outgoing::Prepared,
    settings::{Settings, SinkHeaders},
    transaction::{self, call},
};
use crate::{
    connection::told_error,
    exactly_once::{Concluded, Freight, Ledger},
    producer::{Sender, is_too_large},
    record::PLACE,
};

/// How often a transaction begins anew at once because partitions went meanwhile.
const STALE_MAX: usize = 3;

/// Which offsets a sink commits.
pub(super) struct Offsets {
    agent: String,
    sources: Vec<String>,
    /// What the last batch held: settled with it, whatever became of each event.
    carried: Vec<(Arc<Ledger>, Vec<u64>)>,
    /// How many events of it had a consumer that is no more.
    orphans: u64,
}

impl Offsets {
    pub(super) fn new(agent: &str, sources: Vec<String>) -> Self {
        Self { agent: agent.to_owned(), sources, carried: Vec::new(), orphans: 0 }
    }

    /// The last batch is taken for good, unless it comes again. Returns how many of its events nobody answered for.
    pub(super) fn settled(&mut self, committed: bool) -> u64 {
        let orphans = std::mem::take(&mut self.orphans);
        for (ledger, serials) in self.carried.drain(..).filter(|_| committed) {
            ledger.settle(&serials);
        }
        if committed { orphans } else { 0 }
    }

    /// The consumers with offsets to commit although no event is left.
    pub(super) fn left(&self) -> Vec<Freight> {
        let ledgers = Ledger::of(&self.agent, &self.sources).into_iter();
        ledgers
            .filter(|ledger| ledger.has_offsets_left())
            .map(|ledger| Freight { ledger, serials: Vec::new(), rows: Vec::new() })
            .collect()
    }
}

/// The events without the header that is between source and sink only, where headers are sent.
pub(super) fn without_places(settings: &Settings, batch: &Batch) -> Option<Batch> {
    if !settings.is_flume_event && !matches!(settings.headers, SinkHeaders::All) {
        return None;
    }
    let mut clean = batch.clone();
    clean.change_headers(|headers| _ = headers.remove(PLACE));
    Some(clean)
}

/// A batch on its way into one transaction.
pub(super) struct Load {
    freights: Vec<Freight>,
    /// Rows that do not say where they come from.
    strays: Vec<usize>,
}

impl KafkaSink {
    /// Reads where the events of a batch come from.
    pub(super) fn load(&mut self, batch: &Batch) -> Load {
        let (freights, orphans, strays) = Freight::of(batch);
        // What of a batch comes again is a part of it.
        if let Some(offsets) = self.offsets.as_mut().filter(|offsets| offsets.carried.is_empty()) {
            let carried = |freight: &Freight| (Arc::clone(&freight.ledger), freight.serials.clone());
            offsets.carried = freights.iter().map(carried).collect();
            offsets.orphans = offsets.orphans.max(orphans.len() as u64);
        }
        Load { freights, strays }
    }

    /// Everything with its offsets, or nothing.
    ///
    /// # Errors
    /// Nothing was committed, or it is in doubt whether all was: another client finds out.
    pub(super) async fn deliver_with_offsets(
        &self,
        sender: &Sender,
        prepared: &Prepared<'_>,
        refusals: Vec<Refusal>,
        load: Load,
    ) -> Result<Outcome, SinkError> {
        let Load { mut freights, strays } = load;
        settle_doubts(&freights).await?;
        let mut rows = Vec::new();
        for _ in 0..STALE_MAX {
            let given_back: u64 = freights.iter_mut().map(Freight::sort_out).sum();
            self.metrics.events_given_back.inc_by(given_back);
            let mut wanted: Vec<usize> =
                freights.iter().flat_map(|freight| freight.rows.iter().copied()).collect();
            wanted.sort_unstable();
            rows = prepared.rows();
            rows.retain(|row| wanted.binary_search(row).is_ok());
            let mut refused = stray_refusals(&strays);
            refused.extend(
                refusals.iter().filter(|refusal| wanted.binary_search(&refusal.row).is_ok()).cloned(),
            );
            if !refused.is_empty() || rows.is_empty() {
                return Ok(Outcome { refusals: refused, again: rows, reason: None });
            }
            let begun = call(sender, |client| client.begin_transaction()).await;
            begun.map_err(|error| in_doubt(&told_error(&error)))?;
            let failures = sender.send(prepared.records(&rows)).await;
            if !failures.is_empty() {
                return self.give_up_for(sender, prepared, rows, &failures).await;
            }
            let (concluded, used) = conclude(sender, freights).await?;
            freights = used;
            match concluded {
                Concluded::Committed => {
                    self.metrics.transactions.inc();
                    return Ok(Outcome::default());
                }
                Concluded::Stale => self.metrics.transactions_aborted.inc(),
                Concluded::Aborted(error) => {
                    self.metrics.transactions_aborted.inc();
                    let reason = Some(format!("transaction aborted: {}", told_error(&error)));
                    return Ok(Outcome { again: rows, reason, ..Outcome::default() });
                }
                Concluded::InDoubt(error) => return Err(in_doubt(&told_error(&error))),
            };
        }
        let reason = Some("transaction aborted: partitions are on their way to other members".to_owned());
        Ok(Outcome { again: rows, reason, ..Outcome::default() })
    }

    /// Some records were not taken: those that never will be are refused, all others come again.
    async fn give_up_for(
        &self,
        sender: &Sender,
        prepared: &Prepared<'_>,
        mut rows: Vec<usize>,
        failures: &[crate::producer::Failed],
    ) -> Result<Outcome, SinkError> {
        let failed = |error| in_doubt(&told_error(&error));
        self.abort(sender).await.map_err(failed)?;
        let mut outcome = Outcome::default();
        let mut company = Vec::new();
        for failure in failures {
            if is_too_large(failure.code) && rows.len() > 1 && prepared.fits(failure.row, &self.settings) {
                company.push(failure.row);
            } else {
                self.judge(sender, prepared, *failure, &mut outcome);
            }
        }
        outcome.refusals.extend(self.find_too_large(sender, prepared, company).await.map_err(failed)?);
        rows.retain(|row| !outcome.refusals.iter().any(|refusal| refusal.row == *row));
        outcome.again = rows;
        Ok(outcome)
    }

    /// Commits offsets of events that interceptors have dropped, where no event follows that would take them along.
    pub(super) async fn commit_offsets_left(&mut self) -> Result<(), SinkError> {
        let Some(offsets) = &self.offsets else { return Ok(()) };
        let freights = offsets.left();
        // Even with nothing to do: what a run before left open keeps the source from learning its offsets.
        let sender = self.sender().await?;
        if freights.is_empty() {
            self.keep(sender).await;
            return Ok(());
        }
        let ended = async {
            settle_doubts(&freights).await?;
            let begun = call(&sender, |client| client.begin_transaction()).await;
            begun.map_err(|error| in_doubt(&told_error(&error)))?;
            conclude(&sender, freights).await
        };
        match ended.await {
            Ok((Concluded::Committed, _)) => self.metrics.transactions.inc(),
            Ok((Concluded::Stale | Concluded::Aborted(_), _)) => self.metrics.transactions_aborted.inc(),
            Ok((Concluded::InDoubt(error), _)) => {
                sender.close().await;
                return Err(in_doubt(&told_error(&error)));
            }
            Err(error) => {
                sender.close().await;
                return Err(error);
            }
        };
        self.keep(sender).await;
        Ok(())
    }
}

fn stray_refusals(strays: &[usize]) -> Vec<Refusal> {
    let reason =
        "it does not say which record it comes from: not of a source whose offsets this sink commits";
    strays.iter().map(|row| Refusal { row: *row, reason: reason.to_owned() }).collect()
}

/// Finds out about commits whose answers were lost. The client of this sink has taken over its id by now.
async fn settle_doubts(freights: &[Freight]) -> Result<(), SinkError> {
    let doubtful: Vec<_> = freights
        .iter()
        .filter(|freight| freight.ledger.is_in_doubt())
        .map(|freight| Arc::clone(&freight.ledger))
        .collect();
    if doubtful.is_empty() {
        return Ok(());
    }
    let asked =
        tokio::task::spawn_blocking(move || doubtful.iter().try_for_each(|ledger| ledger.settle_doubt()));
    match asked.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(in_doubt(&told_error(&error))),
        Err(error) => Err(in_doubt(&error.to_string())),
    }
}

/// Ends a transaction on a thread that may block; it goes on there should the caller go away.
async fn conclude(sender: &Sender, freights: Vec<Freight>) -> Result<(Concluded, Vec<Freight>), SinkError> {
    let client: transaction::Client = sender.client();
    let ended = tokio::task::spawn_blocking(move || (Freight::conclude(&client, &freights), freights));
    ended.await.map_err(|error| in_doubt(&error.to_string()))
}

fn in_doubt(reason: &str) -> SinkError {
    SinkError::retryable(format!("transaction not committed: {reason}"))
}
