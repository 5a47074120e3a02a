//! The time in which a new version is watched and the old one is kept.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use millrace_core::{Batch, Event, InterceptorError};
use parking_lot::Mutex;

use super::{Mode, Settings, compare::Tally};
use crate::{
    bindings::Snapshot,
    edits::Row,
    generation::{Generation, State},
    held::Later,
};

/// How a trial ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The new version is in force.
    Promote,
    /// The old one is again, for this reason.
    RollBack(String),
}

/// What one batch came to.
pub(crate) struct Passed {
    pub(crate) result: Result<Batch, InterceptorError>,
    pub(crate) state: State,
    /// Events that the new version worked on.
    pub(crate) events: u64,
    pub(crate) tally: Tally,
    /// The new version broke and the old one did not.
    pub(crate) fault: Option<String>,
    pub(crate) verdict: Option<Verdict>,
}

impl Passed {
    fn new(result: Result<Batch, InterceptorError>, state: State) -> Self {
        let (tally, fault, verdict) = (Tally::default(), None, None);
        Self { result, state, events: 0, tally, fault, verdict }
    }
}

/// Two versions while it is open which one stays.
pub(crate) struct Trial {
    pub(crate) old: Arc<Generation>,
    pub(crate) new: Arc<Generation>,
    pub(crate) settings: Settings,
    /// Whether memory goes from one to the other. Both have one lane then, so there is one batch at a time.
    pub(crate) hands_over: bool,
    begun: Instant,
    counts: Mutex<Counts>,
    /// What the new version kept in memory after its last batch.
    latest: Mutex<Option<Snapshot>>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Counts {
    batches: u64,
    /// When the last faults were.
    faults: VecDeque<Instant>,
}

impl Trial {
    pub(crate) fn new(
        old: Arc<Generation>,
        new: Arc<Generation>,
        settings: Settings,
        hands_over: bool,
    ) -> Self {
        old.lanes.set_on_trial(true);
        new.lanes.set_on_trial(true);
        Self {
            old,
            new,
            settings,
            hands_over,
            begun: Instant::now(),
            counts: Mutex::default(),
            latest: Mutex::new(None),
            ended: AtomicBool::new(false),
        }
    }

    /// Whose results count where only one can.
    pub(crate) fn stable(&self) -> &Arc<Generation> {
        if self.settings.mode == Mode::Immediate { &self.new } else { &self.old }
    }

    /// The other one.
    pub(crate) fn unstable(&self) -> &Arc<Generation> {
        if self.settings.mode == Mode::Immediate { &self.old } else { &self.new }
    }

    /// Ends it; false: somebody else has.
    pub(crate) fn end(&self) -> bool {
        let first = !self.ended.swap(true, Ordering::AcqRel);
        if first {
            self.old.lanes.set_on_trial(false);
            self.new.lanes.set_on_trial(false);
        }
        first
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self) -> bool {
        let time = self.settings.time.is_some_and(|time| self.begun.elapsed() >= time);
        time || self.settings.batches.is_some_and(|batches| self.counts.lock().batches >= batches)
    }

    /// Takes a batch through one or both versions. Whoever calls holds the permits of [`Trial::stable`], and for other
    /// modes than `immediate` of both.
    pub(crate) async fn pass(&self, batch: Batch, state: State) -> Passed {
        let mut passed = match &self.settings.mode {
            Mode::Immediate => self.immediate(batch, state).await,
            Mode::Canary { percent, by } => self.canary(batch, state, *percent, by.as_deref()).await,
            Mode::Shadow => self.shadow(batch, state).await,
        };
        self.counts.lock().batches += 1;
        if passed.verdict.is_none() {
            passed.verdict = match &passed.fault {
                Some(why) => self.fault(why),
                None => None,
            };
        }
        if passed.verdict.is_none() && self.is_over() {
            passed.verdict = Some(Verdict::Promote);
        }
        passed
    }

    /// Counts a fault; says whether it is one too many.
    fn fault(&self, why: &str) -> Option<Verdict> {
        let faults_max = self.settings.faults_max?;
        if self.hands_over {
            // What the broken instance kept in memory is gone with it.
            return Some(Verdict::RollBack(why.to_owned()));
        }
        let now = Instant::now();
        let faults = &mut self.counts.lock().faults;
        faults.push_back(now);
        while faults.front().is_some_and(|at| now - *at > self.settings.faults_within) {
            faults.pop_front();
        }
        if faults.len() < faults_max {
            return None;
        }
        let within = self.settings.faults_within;
        Some(Verdict::RollBack(format!("{} faults within {within:?}, the last one: {why}", faults.len())))
    }

    async fn immediate(&self, batch: Batch, mut state: State) -> Passed {
        let events = batch.len() as u64;
        let input = self.hands_over.then(|| batch.clone());
        let (batch, why) = match (self.new.once(batch, &mut state).await, input) {
            (Err(broken), _) => broken,
            (Ok(batch), None) => return Passed { events, ..Passed::new(Ok(batch), state) },
            (Ok(batch), Some(input)) => match self.remember().await {
                Ok(()) => return Passed { events, ..Passed::new(Ok(batch), state) },
                // What it made of this batch counts only together with what it keeps of it.
                Err(why) => (input, why),
            },
        };
        forget(&mut state);
        let Some(_permit) = self.old.lanes.acquire().await else {
            return Passed::new(Err(self.old.held(batch, Later::stopped())), state);
        };
        let mut verdict = None;
        if self.hands_over && self.settings.faults_max.is_some() {
            self.give_back().await;
            verdict = Some(Verdict::RollBack(why.clone()));
        }
        let (result, whole) = self.old_alone(batch, &mut state).await;
        Passed { fault: whole.then_some(why), verdict, events, ..Passed::new(result, state) }
    }

    /// The old version alone: its result, and whether it got through without a fault.
    async fn old_alone(&self, batch: Batch, state: &mut State) -> (Result<Batch, InterceptorError>, bool) {
        match self.old.once(batch, state).await {
            Ok(batch) => (Ok(batch), true),
            Err((batch, _)) => {
                forget(state);
                (self.old.process(batch, state).await, false)
            }
        }
    }

    async fn canary(&self, batch: Batch, mut state: State, percent: u64, by: Option<&str>) -> Passed {
        let chosen: Vec<bool> = batch.iter().map(|event| is_chosen(event, percent, by)).collect();
        let count = chosen.iter().filter(|chosen| **chosen).count();
        if count == 0 {
            let result = self.old.process(batch, &mut state).await;
            return Passed::new(result, state);
        }
        let part = |wanted: bool| {
            let rows = batch.iter().zip(&chosen).filter(|(_, chosen)| **chosen == wanted);
            let mut part = Batch::new(rows.map(|(event, _)| event.clone()).collect());
            part.note_formed_at(|| batch.formed_at().unwrap_or_default());
            part
        };
        let (for_old, for_new) = (part(false), part(true));
        let old = if for_old.is_empty() {
            Ok(Vec::new())
        } else {
            self.old.once_by_rows(for_old, &mut state).await
        };
        let why = match old {
            // It breaks on what is its own: nothing that the new version can be blamed for.
            Err(_) => None,
            Ok(old) => match self.new.once_by_rows(for_new, &mut state).await {
                Ok(new) => {
                    let (mut old, mut new) = (old.into_iter(), new.into_iter());
                    let rows =
                        chosen.iter().filter_map(|chosen| if *chosen { new.next() } else { old.next() });
                    let result = Ok(assemble(batch.clone(), rows.collect()));
                    return Passed { events: count as u64, ..Passed::new(result, state) };
                }
                Err(why) => Some(why),
            },
        };
        forget(&mut state);
        let (result, whole) = self.old_alone(batch, &mut state).await;
        Passed { events: count as u64, fault: why.filter(|_| whole), ..Passed::new(result, state) }
    }

    async fn shadow(&self, batch: Batch, mut state: State) -> Passed {
        let mut fork = state.as_ref().map(|state| state.fork());
        let input = batch.part(0..batch.len());
        let Ok(old) = self.old.once_by_rows(input.clone(), &mut state).await else {
            forget(&mut state);
            let result = self.old.process(batch, &mut state).await;
            return Passed::new(result, state);
        };
        let mut tally = Tally::default();
        let mut fault = None;
        match self.new.once_by_rows(input.clone(), &mut fork).await {
            Ok(new) => tally.compare(&input, &old, &new),
            Err(why) => {
                tally.broke(&input, &why);
                fault = Some(why);
            }
        }
        let events = input.len() as u64;
        drop(input);
        Passed { events, tally, fault, ..Passed::new(Ok(assemble(batch, old)), state) }
    }

    /// Asks the new version for what it keeps in memory, so that a fault to come does not take it away.
    async fn remember(&self) -> Result<(), String> {
        match self.new.save().await {
            Some(Ok(snapshot)) => *self.latest.lock() = Some(snapshot),
            Some(Err(why)) => return Err(format!("it cannot hand over what it keeps: {why}")),
            None => {}
        }
        Ok(())
    }

    /// Gives what the new version kept after its last good batch to a fresh instance of the old one. Without a good
    /// batch the old instance still has it all.
    async fn give_back(&self) {
        let Some(snapshot) = self.latest.lock().take() else { return };
        if let Err(why) = self.old.take_in(snapshot, true).await {
            tracing::error!(target: "plugin", component = %self.old.origin.component, why,
                "the old version does not take back what the new one kept; it goes on with what it had before");
        }
    }
}

/// Puts a batch together out of what became of its rows.
fn assemble(batch: Batch, rows: Vec<Row>) -> Batch {
    let mut diverted = Vec::new();
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        match row.destination {
            None => events.extend(row.events),
            Some(destination) => {
                diverted.extend(row.events.into_iter().map(|event| (event, destination.clone())));
            }
        }
    }
    let mut batch = batch.map_events(|_| events);
    for (event, destination) in diverted {
        batch.divert(event, destination);
    }
    batch
}

fn forget(state: &mut State) {
    if let Some(state) = state {
        state.forget();
    }
}

/// Whether an event goes through the new version: the same one for all events of one key.
fn is_chosen(event: &Event, percent: u64, by: Option<&str>) -> bool {
    let key: Option<Bytes> = by.and_then(|name| event.header(name)).map(|value| value.as_bytes().clone());
    // FNV-1a, then mixed: its low bits alone are poor.
    let hash = key.as_ref().unwrap_or(&event.body).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 33) % 100 < percent
}

#[cfg(test)]
mod tests {
    use millrace_core::Event;

    use super::is_chosen;

    #[test]
    fn about_the_wanted_share_is_chosen_and_always_by_the_same_key() {
        let event = |number: u32| {
            let headers = [("user".into(), format!("user-{}", number % 1000).into())].into_iter().collect();
            Event::with_headers(headers, number.to_string())
        };
        for percent in [0, 1, 10, 50, 99, 100] {
            let chosen = (0..10_000).filter(|number| is_chosen(&event(*number), percent, None)).count();
            let wanted = usize::try_from(percent).unwrap() * 100;
            assert!(chosen.abs_diff(wanted) <= 200, "{chosen} for {percent} percent");
            for user in 0..1000 {
                let first = is_chosen(&event(user), percent, Some("user"));
                assert!((1..10).all(|n| is_chosen(&event(user + n * 1000), percent, Some("user")) == first));
            }
        }
    }
}
