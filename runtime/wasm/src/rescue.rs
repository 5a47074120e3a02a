//! Finds the events that break a plugin, so that they alone go to the dead-letter channel.
//!
//! Called after a batch broke the plugin twice, the second time on a fresh instance. The batch is halved: a half
//! that passes is done; when the first half passes, the second one is known to be bad without being tried, and is
//! halved at once. One bad event among n costs at most 2·log2(n) + 1 further calls; the rest keeps its order.
//!
//! A plugin that breaks on every event has no bad event, it is broken itself. Throwing the whole stream into the
//! dead-letter channel would help nobody, so that case is recognised and reported instead, and the batch is held.

use std::ops::Range;

use millrace_core::{Batch, Diverted, Event};

use crate::error::Fault;

/// Events that may break the plugin one after the other, with nothing that passes, before others are probed.
const SUSPICIOUS: usize = 8;

/// Events, spread over the rest of the batch, that are tried before a plugin is called broken.
const PROBES: usize = 8;

/// What is left of the batch.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    /// Events that came out, in order.
    pub(crate) events: Vec<Event>,
    /// What the plugin itself sent elsewhere.
    pub(crate) diverted: Vec<Diverted>,
    /// The rows that broke it, each with its fault.
    pub(crate) bad: Vec<(usize, Fault)>,
}

/// What the search wants next.
pub(crate) enum Next {
    /// Try this part, then say [`Search::passed`] or [`Search::broke`].
    Try { rows: Range<usize>, part: Batch },
    /// Every event has passed, alone or with others, or has broken the plugin alone.
    Done(Rescued),
    /// Every event that was tried broke the plugin; the last fault.
    Systematic(Fault),
}

/// The search, one call at a time, so that it does not matter how a call is made.
pub(crate) struct Search<'a> {
    batch: &'a Batch,
    guard: bool,
    /// Whether any call has passed.
    passed: bool,
    rescued: Rescued,
    /// What is still to be looked at, the next one last. Its length is bounded by the logarithm of the batch.
    tasks: Vec<Task>,
    /// What the call under way is about.
    asked: Option<Asked>,
}

enum Task {
    /// A part that is bad: seen to be (`fault`), or concluded.
    Bad { rows: Range<usize>, fault: Option<Fault> },
    /// A part that may be bad.
    Unknown(Range<usize>),
    /// Single events from `start` on, to tell a broken plugin from bad events.
    Probe { start: usize, probe: usize, fault: Fault },
}

enum Asked {
    /// The first half of a bad part.
    Half {
        first: Range<usize>,
        second: Range<usize>,
    },
    Part(Range<usize>),
    Probe {
        start: usize,
        probe: usize,
    },
}

impl<'a> Search<'a> {
    /// A search in a batch that broke the plugin with this fault. `guard`: give up when every event breaks it.
    pub(crate) fn new(batch: &'a Batch, fault: Fault, guard: bool) -> Self {
        let tasks = vec![Task::Bad { rows: 0..batch.len(), fault: Some(fault) }];
        Self { batch, guard, passed: false, rescued: Rescued::default(), tasks, asked: None }
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Next {
        loop {
            let Some(task) = self.tasks.pop() else { return Next::Done(std::mem::take(&mut self.rescued)) };
            let (rows, asked) = match task {
                Task::Bad { rows, fault: Some(fault) } if rows.len() <= 1 => {
                    self.dead(rows, fault);
                    continue;
                }
                Task::Bad { rows, fault: None } if rows.len() <= 1 => (rows.clone(), Asked::Part(rows)),
                Task::Bad { rows, .. } => {
                    let middle = rows.start + rows.len() / 2;
                    let (first, second) = (rows.start..middle, middle..rows.end);
                    (first.clone(), Asked::Half { first, second })
                }
                Task::Unknown(rows) => (rows.clone(), Asked::Part(rows)),
                Task::Probe { start, probe, fault } => {
                    let rest = self.batch.len() - start;
                    let probes = PROBES.min(rest);
                    if probe > probes {
                        return Next::Systematic(fault);
                    }
                    let row = start + rest * probe / (probes + 1);
                    (row..row + 1, Asked::Probe { start, probe })
                }
            };
            self.asked = Some(asked);
            return Next::Try { part: self.batch.part(rows.clone()), rows };
        }
    }

    /// The part passed; this is what came out.
    pub(crate) fn passed(&mut self, batch: Batch) {
        self.passed = true;
        match self.asked.take() {
            // What a probe brings out is thrown away: the search goes on where it was.
            None | Some(Asked::Probe { .. }) => return,
            // What is bad must be in the second half.
            Some(Asked::Half { second, .. }) => self.tasks.push(Task::Bad { rows: second, fault: None }),
            Some(Asked::Part(_)) => {}
        }
        self.rescued.diverted.extend_from_slice(batch.diverted());
        self.rescued.events.extend(batch.into_events());
    }

    /// The part broke the plugin.
    pub(crate) fn broke(&mut self, fault: Fault) {
        match self.asked.take() {
            None => {}
            Some(Asked::Half { first, second }) => {
                self.tasks.push(Task::Unknown(second));
                self.tasks.push(Task::Bad { rows: first, fault: Some(fault) });
            }
            Some(Asked::Part(rows)) => self.tasks.push(Task::Bad { rows, fault: Some(fault) }),
            Some(Asked::Probe { start, probe }) => {
                self.tasks.push(Task::Probe { start, probe: probe + 1, fault });
            }
        }
    }

    /// Whether what the call under way brings out is thrown away.
    pub(crate) fn is_probing(&self) -> bool {
        matches!(self.asked, Some(Asked::Probe { .. }))
    }

    /// Whether any call has passed so far.
    pub(crate) fn has_passed(&self) -> bool {
        self.passed
    }

    fn dead(&mut self, rows: Range<usize>, fault: Fault) {
        if rows.is_empty() {
            return;
        }
        self.rescued.bad.push((rows.start, fault.clone()));
        // With fewer events there is no telling a broken plugin from bad events.
        if self.guard && !self.passed && self.rescued.bad.len() == SUSPICIOUS {
            self.tasks.push(Task::Probe { start: rows.end, probe: 1, fault });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millrace_core::{Batch, Event};

    use super::{Next, Rescued, Search};
    use crate::error::{Fault, FaultKind};

    /// Runs a search to its end; None: given up. `passes` is the plugin.
    fn rescue(batch: &Batch, mut passes: impl FnMut(&Batch) -> bool) -> Option<Rescued> {
        let mut search = Search::new(batch, fault(), true);
        loop {
            match search.next() {
                Next::Done(rescued) => return Some(rescued),
                Next::Systematic(_) => return None,
                Next::Try { part, .. } if passes(&part) => search.passed(part),
                Next::Try { .. } => search.broke(fault()),
            }
        }
    }

    fn batch(count: usize) -> Batch {
        Batch::new((0..count).map(|row| Event::new(row.to_string())).collect())
    }

    fn fault() -> Fault {
        Fault { kind: FaultKind::Trap, reason: "boom".into(), backtrace: String::new() }
    }

    /// Runs the search over a plugin that breaks on these rows; counts the calls.
    fn run(count: usize, bad: &BTreeSet<usize>) -> (usize, Option<Rescued>) {
        let mut calls = 0;
        let result = rescue(&batch(count), |part| {
            calls += 1;
            !part.iter().any(|event| {
                bad.contains(&std::str::from_utf8(&event.body).unwrap().parse::<usize>().unwrap())
            })
        });
        (calls, result)
    }

    fn rows(events: impl Iterator<Item = Event>) -> Vec<usize> {
        events.map(|event| std::str::from_utf8(&event.body).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn one_bad_event_is_found_within_the_promised_calls_wherever_it_is() {
        for count in (1..=130).chain([255, 256, 257, 999, 1000, 1023, 1024, 1025]) {
            for bad in 0..count {
                let (calls, result) = run(count, &BTreeSet::from([bad]));
                let rescued = result.unwrap();
                assert_eq!(rescued.bad.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [bad]);
                let rest: Vec<_> = (0..count).filter(|row| *row != bad).collect();
                assert_eq!(rows(rescued.events.into_iter()), rest);
                // The repetition on a fresh instance came before and is the one that is missing here.
                let allowed = (2.0 * (count as f64).log2() + 2.0).floor() as usize;
                assert!(calls < allowed, "{calls} calls for row {bad} of {count}, {allowed} allowed");
            }
        }
    }

    #[test]
    fn several_bad_events_are_found_and_the_rest_keeps_its_order() {
        for bad in [vec![0, 1], vec![0, 99], vec![3, 50, 51, 52, 99], (0..7).collect(), (20..60).collect()] {
            let bad = BTreeSet::from_iter(bad);
            let rescued = run(100, &bad).1.unwrap();
            let found: Vec<_> = rescued.bad.iter().map(|(row, _)| *row).collect();
            assert_eq!(found, bad.iter().copied().collect::<Vec<_>>());
            let rest: Vec<_> = (0..100).filter(|row| !bad.contains(row)).collect();
            assert_eq!(rows(rescued.events.into_iter()), rest);
        }
    }

    #[test]
    fn a_batch_that_begins_with_many_bad_events_is_still_rescued() {
        let bad = BTreeSet::from_iter(0..50);
        let rescued = run(100, &bad).1.unwrap();
        assert_eq!(rescued.bad.len(), 50);
        assert_eq!(rows(rescued.events.into_iter()), (50..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_plugin_that_breaks_on_everything_is_given_up_after_few_calls() {
        let (calls, result) = run(1000, &BTreeSet::from_iter(0..1000));
        assert!(result.is_none());
        assert!(calls < 40, "{calls} calls");
        let (_, result) = run(8, &BTreeSet::from_iter(0..8));
        assert!(result.is_none());
    }

    #[test]
    fn a_few_events_that_all_break_it_go_to_the_dead_letters() {
        for count in 1..8 {
            let rescued = run(count, &BTreeSet::from_iter(0..count)).1.unwrap();
            assert_eq!((rescued.bad.len(), rescued.events.len()), (count, 0));
        }
    }

    #[test]
    fn a_plugin_that_breaks_on_large_batches_only_loses_nothing() {
        let mut calls = 0;
        let rescued = rescue(&batch(100), |part| {
            calls += 1;
            part.len() <= 10
        });
        let rescued = rescued.unwrap();
        assert_eq!(rows(rescued.events.into_iter()), (0..100).collect::<Vec<_>>());
        assert!(rescued.bad.is_empty());
    }
}
