//! Each event goes to one of the channels of its source.
//!
//! As in Flume the choice is made event by event, so a batch of n is spread over the channels; it is still one
//! batch to the producer: it is acknowledged when all channels have committed their share. A channel that is
//! full is not skipped, it holds the source back.

use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Event, Route, Selector, SelectorContext, SelectorFactory, Way};
use rand::Rng;

const OPTIONS: &[OptionSpec] = &[OptionSpec::with_default(
    "policy",
    OptionKind::Choice(&["round-robin", "random"]),
    "round-robin",
    "How the next channel is chosen",
)];

pub(super) const FACTORY: SelectorFactory = SelectorFactory {
    name: "load-balancing",
    summary: "Spreads events over the channels of the source, one channel for each event",
    options: OPTIONS,
    example: "selector \"load-balancing\" policy=\"random\"",
    ways,
    build,
};

fn build(
    section: &Section,
    cx: &SelectorContext,
    _context: &BuildContext,
) -> Result<Box<dyn Selector>, Diagnostics> {
    if cx.default.is_empty() {
        let reason = "the source names no channels to balance";
        return Err(Diagnostic::error("components::no-channel-to-balance", section.span(), reason)
            .help("add `channel \"a\" \"b\"` to the source")
            .into());
    }
    Ok(Box::new(LoadBalancingSelector {
        channels: cx.default.clone(),
        next: (section.text("policy") == "round-robin").then(AtomicUsize::default),
    }))
}

fn ways(section: &Section, own: &[String]) -> Vec<Way> {
    let when = if section.text("policy") == "random" { "by chance" } else { "in turn" };
    own.iter().map(|name| Way { channel: name.clone(), when: Some(when.into()) }).collect()
}

struct LoadBalancingSelector {
    channels: Vec<usize>,
    /// Whose turn it is; None: chance decides.
    next: Option<AtomicUsize>,
}

impl Selector for LoadBalancingSelector {
    fn select(&self, _event: &Event) -> Route<'_> {
        let turn = match &self.next {
            Some(next) => next.fetch_add(1, Ordering::Relaxed) % self.channels.len(),
            None => rand::rng().random_range(0..self.channels.len()),
        };
        Route { required: self.channels.get(turn..=turn).unwrap_or_default(), optional: &[] }
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::Event;

    use super::FACTORY;
    use crate::selectors::testing::{build, route};

    #[test]
    fn round_robin_takes_turns() {
        let selector = build(&FACTORY, "load-balancing", &[0, 2, 3]).unwrap();
        let taken: Vec<_> = (0..7).map(|_| route(&*selector, &Event::default()).0).collect();
        assert_eq!(taken, [[0], [2], [3], [0], [2], [3], [0]]);
    }

    #[test]
    fn random_uses_every_channel_and_no_other() {
        let selector = build(&FACTORY, "load-balancing policy=\"random\"", &[1, 3]).unwrap();
        let mut taken = [0; 4];
        (0..1000).for_each(|_| taken[route(&*selector, &Event::default()).0[0]] += 1);
        assert_eq!((taken[0], taken[2], taken[1] + taken[3]), (0, 0, 1000));
        // Fewer than 350 of 1000 fair choices happen once in 10^21 runs.
        assert!(taken[1] > 350 && taken[3] > 350, "{taken:?}");
    }

    #[test]
    fn a_source_without_channels_cannot_be_balanced() {
        let found = build(&FACTORY, "load-balancing", &[]).err().unwrap();
        assert_eq!(found.iter().next().unwrap().code, "components::no-channel-to-balance");
    }
}
