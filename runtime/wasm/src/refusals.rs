//! What plugins tried and were not allowed to do: counted by kind, and told in the log without flooding it.

use std::{
    collections::HashMap,
    fmt::Display,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use crate::host::escaped;

/// A kind is told at most this often.
const SILENCE: Duration = Duration::from_secs(10);

/// Longest text of a plugin in a line.
const DETAIL_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RefusedLabels {
    component: String,
    plugin: String,
    what: &'static str,
}

/// The counter of all plugins.
pub(crate) type RefusedFamily = Family<RefusedLabels, Counter>;

/// The refusals of one component.
pub(crate) struct Refusals {
    component: String,
    plugin: String,
    family: RefusedFamily,
    /// When a kind was last told, and how many were not since.
    told: Mutex<HashMap<&'static str, (Instant, u64)>>,
}

impl Refusals {
    pub(crate) fn new(component: &str, plugin: &str, family: RefusedFamily) -> Self {
        Self { component: component.to_owned(), plugin: plugin.to_owned(), family, told: Mutex::default() }
    }

    /// Counts one and tells it, unless the same kind was told just now.
    pub(crate) fn note(&self, what: &'static str, detail: &dyn Display) {
        let labels = RefusedLabels { component: self.component.clone(), plugin: self.plugin.clone(), what };
        self.family.get_or_create(&labels).inc();
        let Some(untold) = self.untold(what, Instant::now()) else { return };
        let detail = escaped(&detail.to_string(), DETAIL_BYTES_MAX);
        let Self { component, plugin, .. } = self;
        tracing::warn!(target: "plugin", component, plugin, what, detail, untold, "refused to a plugin");
    }

    /// How many were not told since the last one; None: this one is not told either.
    fn untold(&self, what: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.told.lock();
        match told.get_mut(what) {
            Some((last, untold)) if now.duration_since(*last) < SILENCE => {
                *untold += 1;
                None
            }
            Some((last, untold)) => {
                *last = now;
                Some(std::mem::take(untold))
            }
            None => {
                told.insert(what, (now, 0));
                Some(0)
            }
        }
    }

    /// How many of a kind were counted.
    #[cfg(test)]
    pub(crate) fn count(&self, what: &'static str) -> u64 {
        let labels = RefusedLabels { component: self.component.clone(), plugin: self.plugin.clone(), what };
        self.family.get_or_create(&labels).get()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Refusals, SILENCE};

    #[test]
    fn a_kind_is_told_once_in_a_while_with_how_many_were_not() {
        let refusals = Refusals::new("c", "p", Default::default());
        let start = Instant::now();
        assert_eq!(refusals.untold("address", start), Some(0));
        assert_eq!(refusals.untold("address", start), None);
        assert_eq!(refusals.untold("address", start), None);
        assert_eq!(refusals.untold("secret", start), Some(0));
        assert_eq!(refusals.untold("address", start + SILENCE), Some(2));
        refusals.note("address", &"x");
        assert_eq!((refusals.count("address"), refusals.count("secret")), (1, 0));
    }
}
