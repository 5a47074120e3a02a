//! The end of a transaction: offsets into it, the commit, and the truth about a commit whose answer was lost. Everything here blocks.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use millrace_core::Batch;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult},
    producer::Producer,
    topic_partition_list::TopicPartitionListElem,
};

use super::{
    Ledger, Standing,
    queue::{Holding, Position, Tenure},
    read_stamp,
};
use crate::sink::transaction::{CALL_MAX, Client, repeated};

/// What stands before the number of delivered events in the metadata of an offset.
const PART: &str = "millrace-part:";

/// Events of one consumer in a batch.
pub(crate) struct Freight {
    pub(crate) ledger: Arc<Ledger>,
    /// Their numbers, ascending, each once.
    pub(crate) serials: Vec<u64>,
    /// The row of each.
    pub(crate) rows: Vec<usize>,
}

/// A commit of which nobody knows whether it happened.
#[derive(Clone)]
pub(super) struct Doubt {
    number: u64,
    serials: Vec<u64>,
    positions: Vec<(Tenure, Position)>,
}

/// How a transaction ended.
pub(crate) enum Concluded {
    /// It is committed.
    Committed,
    /// It is aborted since a partition went meanwhile: without its events it may succeed at once.
    Stale,
    /// It is aborted.
    Aborted(KafkaError),
    /// Whether it is committed will be known when another client has taken over its id.
    InDoubt(KafkaError),
}

impl Freight {
    /// The events of a batch by their consumers, the rows of which the consumer is gone, and the rows that do not say where
    /// they come from.
    pub(crate) fn of(batch: &Batch) -> (Vec<Self>, Vec<usize>, Vec<usize>) {
        let (mut orphans, mut strays) = (Vec::new(), Vec::new());
        let mut found: Vec<(u64, Option<Self>)> = Vec::new();
        for (row, event) in batch.iter().enumerate() {
            let Some((id, serial)) = read_stamp(event) else {
                strays.push(row);
                continue;
            };
            let place = found.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                let freight =
                    Ledger::find(id).map(|ledger| Self { ledger, serials: Vec::new(), rows: Vec::new() });
                found.push((id, freight));
                found.len() - 1
            });
            match found.get_mut(place).and_then(|(_, freight)| freight.as_mut()) {
                // One that comes twice was put twice, its batch having got into one of two channels only.
                Some(freight) if freight.serials.last().is_some_and(|last| *last >= serial) => {}
                Some(freight) => {
                    freight.serials.push(serial);
                    freight.rows.push(row);
                }
                None => orphans.push(row),
            }
        }
        (found.into_iter().filter_map(|(_, freight)| freight).collect(), orphans, strays)
    }

    /// Leaves what is to be sent. Returns how many events were given back.
    pub(crate) fn sort_out(&mut self) -> u64 {
        let standings = self.ledger.standings(&self.serials);
        let of = |standing: Standing| standings.iter().map(move |is| *is == standing);
        let given_back: Vec<u64> = self
            .serials
            .iter()
            .zip(of(Standing::GivenBack))
            .filter(|(_, is)| *is)
            .map(|(serial, _)| *serial)
            .collect();
        self.ledger.settle(&given_back);
        let mut waiting = of(Standing::Waiting);
        self.serials.retain(|_| waiting.next().unwrap_or_default());
        let mut waiting = of(Standing::Waiting);
        self.rows.retain(|_| waiting.next().unwrap_or_default());
        given_back.len() as u64
    }

    /// Adds the offsets to a transaction that has begun and commits it. What is settled by that is noted here and not by
    /// whoever waits: he may be gone.
    pub(crate) fn conclude(client: &Client, freights: &[Self]) -> Concluded {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let added = freights
            .iter()
            .map(|freight| freight.add_offsets(client, number))
            .find(|added| !matches!(added, Ok(true)));
        let error = match added {
            None => match repeated(|| client.commit_transaction(CALL_MAX)) {
                Ok(()) => {
                    freights.iter().for_each(|freight| freight.ledger.believe(number, true));
                    return Concluded::Committed;
                }
                Err(error) => Some(error),
            },
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error),
        };
        let aborted = repeated(|| client.abort_transaction(CALL_MAX));
        match (aborted, error) {
            (Ok(()), error) => {
                freights.iter().for_each(|freight| freight.ledger.believe(number, false));
                error.map_or(Concluded::Stale, Concluded::Aborted)
            }
            (Err(_), Some(error)) | (Err(error), None) => Concluded::InDoubt(error),
        }
    }

    /// False: a partition went meanwhile, or the consumer is no member.
    fn add_offsets(&self, client: &Client, number: u64) -> KafkaResult<bool> {
        let Some(consumer) = self.ledger.consumer() else { return Ok(false) };
        // In this order: what is the consumer's after its metadata were taken was so in that generation of the group. One that has lost
        // its membership has metadata that brokers do not check.
        let Some(metadata) = consumer.group_metadata() else { return Ok(false) };
        if consumer.assignment_lost() {
            return Ok(false);
        }
        let Some(positions) = self.ledger.queue.lock().positions(&self.serials) else { return Ok(false) };
        let list = self.ledger.list(positions.iter().copied());
        if list.count() < positions.len() {
            return Ok(false);
        }
        *self.ledger.doubt.lock() = Some(Doubt { number, serials: self.serials.clone(), positions });
        if list.count() > 0 {
            repeated(|| client.send_offsets_to_transaction(&list, &metadata, CALL_MAX))?;
        }
        Ok(true)
    }
}

impl Ledger {
    /// What was in doubt has happened, or not.
    fn believe(&self, number: u64, happened: bool) {
        let mut doubt = self.doubt.lock();
        let Some(known) = doubt.take_if(|doubt| doubt.number == number) else { return };
        drop(doubt);
        if happened {
            self.queue.lock().committed(&known.serials, &known.positions);
            self.settled.notify_all();
        }
    }

    /// Whether a commit is in doubt.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.lock().is_some()
    }

    /// Finds out whether a commit in doubt has happened. Only once another client has taken over the transactional id: then the
    /// offsets tell, since nobody else commits them while the partitions are the consumer's.
    ///
    /// # Errors
    /// The broker does not say.
    pub(crate) fn settle_doubt(&self) -> KafkaResult<()> {
        let Some(doubt) = self.doubt.lock().clone() else { return Ok(()) };
        let Some(consumer) = self.consumer() else { return Ok(()) };
        let held = |tenure: &Tenure| self.queue.lock().holding(*tenure).is_some();
        let tenures: Vec<Tenure> = doubt.positions.iter().map(|(tenure, _)| *tenure).filter(held).collect();
        let known: HashMap<Tenure, Position> = match tenures.is_empty() {
            true => HashMap::new(),
            false => self.look_up(&consumer, &tenures)?.into_iter().collect(),
        };
        // All or nothing: one partition tells for all.
        let happened = doubt
            .positions
            .iter()
            .any(|(tenure, position)| known.get(tenure).is_some_and(|known| known >= position));
        tracing::info!(source = %self.source, happened, "a commit that was in doubt was looked up");
        self.believe(doubt.number, happened);
        Ok(())
    }
}

/// A position as an offset with metadata.
pub(super) fn add_position(list: &mut TopicPartitionList, holding: &Holding, position: Position) {
    let mut element = list.add_partition(&holding.topic, holding.partition);
    // Refused only where an offset has no raw form; this is a plain number.
    drop(element.set_offset(Offset::Offset(position.offset)));
    if position.part > 0 {
        element.set_metadata(format!("{PART}{}", position.part));
    }
}

/// An offset with metadata as a position.
pub(super) fn position_of(element: &TopicPartitionListElem<'_>) -> Position {
    match element.offset() {
        Offset::Offset(offset) => {
            let part = element.metadata().strip_prefix(PART).and_then(|part| part.parse().ok());
            Position { offset, part: part.unwrap_or_default() }
        }
        _ => Position::default(),
    }
}
