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

/// What one call on a part of the batch came to.
pub(crate) enum Attempt {
    /// It passed; this is what came out.
    Passed(Batch),
    /// It broke the plugin.
    Broke(Fault),
}

/// Why the batch cannot go on at all now.
#[derive(Debug)]
pub(crate) enum GaveUp<E> {
    /// Every event that was tried broke the plugin; the last fault.
    Systematic(Fault),
    /// A call failed in a way that concerns the batch as a whole.
    Failed(E),
}

/// What is left of the batch.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    /// Events that came out, in order.
    pub(crate) events: Vec<Event>,
    /// What the plugin itself sent elsewhere.
    pub(crate) diverted: Vec<Diverted>,
    /// The events that broke it, each with its fault.
    pub(crate) bad: Vec<(Event, Fault)>,
}

/// Tries parts of `batch` until every event has passed alone or with others, or has broken the plugin alone.
pub(crate) fn rescue<E>(
    batch: &Batch,
    fault: Fault,
    guard: bool,
    attempt: impl FnMut(Batch) -> Result<Attempt, E>,
) -> Result<Rescued, GaveUp<E>> {
    let mut search = Search { batch, attempt, guard, passed: false, rescued: Rescued::default() };
    search.bad(0..batch.len(), Some(fault))?;
    Ok(search.rescued)
}

struct Search<'a, A> {
    batch: &'a Batch,
    attempt: A,
    guard: bool,
    /// Whether any call has passed.
    passed: bool,
    rescued: Rescued,
}

impl<E, A: FnMut(Batch) -> Result<Attempt, E>> Search<'_, A> {
    /// A part that is bad: seen to be (`fault`), or concluded. Its depth is the logarithm of the batch.
    fn bad(&mut self, rows: Range<usize>, fault: Option<Fault>) -> Result<(), GaveUp<E>> {
        if rows.len() <= 1 {
            return match fault {
                Some(fault) => self.dead(rows, fault),
                None => self.try_single(rows),
            };
        }
        let middle = rows.start + rows.len() / 2;
        match self.call(rows.start..middle)? {
            // What is bad must be in the second half.
            None => self.bad(middle..rows.end, None),
            Some(fault) => {
                self.bad(rows.start..middle, Some(fault))?;
                match self.call(middle..rows.end)? {
                    None => Ok(()),
                    Some(fault) => self.bad(middle..rows.end, Some(fault)),
                }
            }
        }
    }

    fn try_single(&mut self, rows: Range<usize>) -> Result<(), GaveUp<E>> {
        match self.call(rows.clone())? {
            None => Ok(()),
            Some(fault) => self.dead(rows, fault),
        }
    }

    /// Calls; keeps what came out, or returns the fault.
    fn call(&mut self, rows: Range<usize>) -> Result<Option<Fault>, GaveUp<E>> {
        match (self.attempt)(self.batch.part(rows)).map_err(GaveUp::Failed)? {
            Attempt::Passed(batch) => {
                self.passed = true;
                self.rescued.diverted.extend_from_slice(batch.diverted());
                self.rescued.events.extend(batch.into_events());
                Ok(None)
            }
            Attempt::Broke(fault) => Ok(Some(fault)),
        }
    }

    fn dead(&mut self, rows: Range<usize>, fault: Fault) -> Result<(), GaveUp<E>> {
        let Some(event) = self.batch.events().get(rows.start) else { return Ok(()) };
        self.rescued.bad.push((event.clone(), fault.clone()));
        if self.guard && !self.passed && self.rescued.bad.len() == SUSPICIOUS.min(self.batch.len()) {
            self.probe(rows.end, fault)?;
        }
        Ok(())
    }

    /// Tries single events from the rest. What comes out is thrown away: the search goes on where it was.
    fn probe(&mut self, start: usize, fault: Fault) -> Result<(), GaveUp<E>> {
        if self.rescued.bad.len() < SUSPICIOUS {
            // Too few events to tell a broken plugin from bad events.
            return Ok(());
        }
        let rest = self.batch.len() - start;
        for probe in 1..=PROBES.min(rest) {
            let row = start + rest * probe / (PROBES.min(rest) + 1);
            let attempt = (self.attempt)(self.batch.part(row..row + 1)).map_err(GaveUp::Failed)?;
            if matches!(attempt, Attempt::Passed(_)) {
                self.passed = true;
                return Ok(());
            }
        }
        Err(GaveUp::Systematic(fault))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millrace_core::{Batch, Event};

    use super::{Attempt, GaveUp, Rescued, rescue};
    use crate::error::{Fault, FaultKind};

    fn batch(count: usize) -> Batch {
        Batch::new((0..count).map(|row| Event::new(row.to_string())).collect())
    }

    fn fault() -> Fault {
        Fault { kind: FaultKind::Trap, reason: "boom".into(), backtrace: String::new() }
    }

    /// Runs the search over a plugin that breaks on these rows; counts the calls.
    fn run(count: usize, bad: &BTreeSet<usize>) -> (usize, Result<Rescued, GaveUp<()>>) {
        let mut calls = 0;
        let result = rescue(&batch(count), fault(), true, |part| {
            calls += 1;
            let broke = part.iter().any(|event| {
                bad.contains(&std::str::from_utf8(&event.body).unwrap().parse::<usize>().unwrap())
            });
            Ok(if broke { Attempt::Broke(fault()) } else { Attempt::Passed(part) })
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
                assert_eq!(rows(rescued.bad.into_iter().map(|(event, _)| event)), [bad]);
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
            let found = rows(rescued.bad.into_iter().map(|(event, _)| event));
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
        assert!(matches!(result, Err(GaveUp::Systematic(_))));
        assert!(calls < 40, "{calls} calls");
        let (_, result) = run(8, &BTreeSet::from_iter(0..8));
        assert!(matches!(result, Err(GaveUp::Systematic(_))));
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
        let rescued = rescue::<()>(&batch(100), fault(), true, |part| {
            calls += 1;
            Ok(if part.len() > 10 { Attempt::Broke(fault()) } else { Attempt::Passed(part) })
        });
        let rescued = rescued.unwrap();
        assert_eq!(rows(rescued.events.into_iter()), (0..100).collect::<Vec<_>>());
        assert!(rescued.bad.is_empty());
    }
}
