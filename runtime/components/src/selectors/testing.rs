//! What the tests of all selectors share: four channels, and a source whose own channels are the first two.

use std::{path::Path, sync::Arc};

use millrace_config::Diagnostics;
use millrace_core::{Event, Selector, SelectorContext, SelectorFactory};
use millrace_testkit::{TestClock, build_context, section};

pub(super) fn build(
    factory: &SelectorFactory,
    kdl: &str,
    default: &[usize],
) -> Result<Box<dyn Selector>, Diagnostics> {
    let channels = ["alpha", "beta", "gamma", "delta"].map(str::to_owned).to_vec();
    let cx = SelectorContext { channels, default: default.to_vec() };
    let context = build_context(Path::new("unused"), Arc::new(TestClock::default()));
    (factory.build)(&section(factory.options, kdl), &cx, &context)
}

pub(super) fn event(name: &'static str, value: &'static str) -> Event {
    Event::with_headers([(name.into(), value.into())].into_iter().collect(), "x")
}

/// Required and optional channels of an event.
pub(super) fn route(selector: &dyn Selector, event: &Event) -> (Vec<usize>, Vec<usize>) {
    let route = selector.select(event);
    (route.required.to_vec(), route.optional.to_vec())
}
