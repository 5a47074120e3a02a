//! Events of one consumer on their way through a channel, in the channel's order, and how far each partition is done with. Pure.
//!
//! Every event is a step; so is the end of a batch for a partition of which no event is left, which is done at once. A
//! partition is done with up to the first step of it that is not done. A partition that goes and comes back is another
//! tenure: steps of a tenure that has ended are never committed.

use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;

/// How far a partition is done with: all records before `offset`, and so many events of the record there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    pub(crate) part: u32,
}

/// A time in which a partition is a consumer's, by a number that never comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tenure(u32);

/// What is known of a tenure that lasts.
pub(super) struct Holding {
    pub(super) topic: ByteString,
    pub(super) partition: i32,
    /// Where it began; None: nobody has asked yet.
    pub(super) start: Option<Position>,
    /// How far Kafka knows that it is done with.
    committed: Option<Position>,
}

/// What an event in the channel is to its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is to be sent.
    Waiting,
    /// Its partition has gone: whoever has it now reads the event again.
    GivenBack,
    /// It was sent before, or went elsewhere.
    Settled,
}

struct Step {
    tenure: Tenure,
    /// How far its partition is done with once all steps up to this one are.
    after: Position,
    done: bool,
}

/// The steps that are not committed yet.
#[derive(Default)]
pub(super) struct Queue {
    /// The number of the first step.
    first: u64,
    steps: VecDeque<Step>,
    holdings: HashMap<Tenure, Holding>,
    tenures: u32,
    closed: bool,
}

impl Queue {
    /// A partition is the consumer's from now on.
    pub(super) fn assign(&mut self, topic: &ByteString, partition: i32) {
        self.revoke(topic, partition);
        self.tenures += 1;
        let holding = Holding { topic: topic.clone(), partition, start: None, committed: None };
        self.holdings.insert(Tenure(self.tenures), holding);
    }

    /// A partition has gone.
    pub(super) fn revoke(&mut self, topic: &str, partition: i32) {
        self.holdings.retain(|_, holding| holding.partition != partition || holding.topic != topic);
        self.pop();
    }

    /// All have gone, and nothing is added any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.holdings.clear();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn tenure(&self, topic: &str, partition: i32) -> Option<Tenure> {
        let is_it = |holding: &Holding| holding.partition == partition && holding.topic == topic;
        self.holdings.iter().find(|(_, holding)| is_it(holding)).map(|(tenure, _)| *tenure)
    }

    pub(super) fn holding(&self, tenure: Tenure) -> Option<&Holding> {
        self.holdings.get(&tenure)
    }

    /// Where a tenure began.
    pub(super) fn begin(&mut self, tenure: Tenure, start: Position) {
        if let Some(holding) = self.holdings.get_mut(&tenure) {
            holding.start = Some(start);
            holding.committed = Some(start);
        }
    }

    /// The number of the step to come.
    pub(super) fn next(&self) -> u64 {
        self.first + self.steps.len() as u64
    }

    /// Adds a step behind all others and returns its number.
    pub(super) fn push(&mut self, tenure: Tenure, after: Position, done: bool) -> u64 {
        let serial = self.next();
        self.steps.push_back(Step { tenure, after, done });
        serial
    }

    /// Takes back all steps from this one on: they never came into the channel, or are read again.
    pub(super) fn withdraw(&mut self, from: u64) {
        let length = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.steps.truncate(length);
        self.closed = true;
    }

    fn step(&mut self, serial: u64) -> Option<&mut Step> {
        self.steps.get_mut(usize::try_from(serial.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn standing(&mut self, serial: u64) -> Standing {
        match self.step(serial).map(|step| (step.done, step.tenure)) {
            Some((false, tenure)) if self.holdings.contains_key(&tenure) => Standing::Waiting,
            Some((false, _)) => Standing::GivenBack,
            _ => Standing::Settled,
        }
    }

    /// The channel has handed these out, and keeps its order: what was before them and is not among them went elsewhere.
    pub(super) fn overtaken(&mut self, serials: &[u64]) {
        let Some(last) = serials.last() else { return };
        let mut among = serials.iter().copied().peekable();
        for (serial, step) in (self.first..*last).zip(&mut self.steps) {
            while among.next_if(|next| *next < serial).is_some() {}
            step.done |= among.peek() != Some(&serial);
        }
    }

    /// How far partitions are done with once these steps are, where Kafka does not know it yet; ascending by tenure. None: one of
    /// the steps shall not be committed.
    pub(super) fn positions(&self, serials: &[u64]) -> Option<Vec<(Tenure, Position)>> {
        let mut chosen = serials.iter().copied().peekable();
        let last = serials.last().copied().unwrap_or_default();
        // None: a step is in the way.
        let mut reached: HashMap<Tenure, (Option<Position>, bool)> = HashMap::new();
        for (serial, step) in (self.first..).zip(&self.steps) {
            let is_chosen = chosen.next_if_eq(&serial).is_some();
            let is_held = self.holdings.contains_key(&step.tenure);
            if is_chosen && (step.done || !is_held) {
                return None;
            }
            if !is_held {
                continue;
            }
            let (position, blocked) = reached.entry(step.tenure).or_default();
            if !is_chosen && !step.done {
                if serial > last {
                    break;
                }
                *blocked = true;
            } else if !*blocked {
                *position = Some(step.after);
            }
        }
        if chosen.next().is_some() {
            return None;
        }
        let mut positions: Vec<_> = reached
            .into_iter()
            .filter_map(|(tenure, (position, _))| Some((tenure, position?)))
            .filter(|(tenure, position)| {
                self.holdings.get(tenure).and_then(|holding| holding.committed) < Some(*position)
            })
            .collect();
        positions.sort_unstable();
        Some(positions)
    }

    /// These steps are done; Kafka may not know it yet.
    pub(super) fn settle(&mut self, serials: &[u64]) {
        for serial in serials {
            if let Some(step) = self.step(*serial) {
                step.done = true;
            }
        }
        self.pop();
    }

    /// These steps are done, and Kafka knows these positions.
    pub(super) fn committed(&mut self, serials: &[u64], positions: &[(Tenure, Position)]) {
        for (tenure, position) in positions {
            if let Some(holding) = self.holdings.get_mut(tenure) {
                holding.committed = holding.committed.max(Some(*position));
            }
        }
        self.settle(serials);
    }

    /// Forgets what is done with for good.
    fn pop(&mut self) {
        while let Some(step) = self.steps.front().filter(|step| step.done) {
            let holding = self.holdings.get(&step.tenure);
            if holding.is_some_and(|holding| holding.committed < Some(step.after)) {
                return;
            }
            self.steps.pop_front();
            self.first += 1;
        }
    }

    /// Whether nothing of these partitions, or of any, is on its way.
    pub(super) fn is_settled(&self, partitions: Option<&[(ByteString, i32)]>) -> bool {
        let counts = |holding: &Holding| match partitions {
            Some(partitions) => crate::marks::is_among(partitions, &holding.topic, holding.partition),
            None => true,
        };
        !self.steps.iter().any(|step| {
            self.holdings
                .get(&step.tenure)
                .is_some_and(|holding| counts(holding) && holding.committed < Some(step.after))
        })
    }
}
