//! What the tests of all interceptors share: build one from KDL, run a batch through it, look at the result.

use std::{path::Path, sync::Arc};

use millrace_config::Diagnostics;
use millrace_core::{Batch, Event, Interceptor, InterceptorFactory};
use millrace_testkit::{TestClock, build_context, section};

/// Builds an interceptor at a clock that shows 1 700 000 000 000.
pub(super) fn build(factory: &InterceptorFactory, kdl: &str) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let clock = Arc::new(TestClock::at(1_700_000_000_000));
    (factory.build)(&section(factory.options, kdl), &build_context(Path::new("unused"), clock))
}

/// Runs one batch through an interceptor, twice: it must be safe to repeat. Returns the first result.
pub(super) async fn run(factory: &InterceptorFactory, kdl: &str, events: Vec<Event>) -> Vec<Event> {
    let interceptor = build(factory, kdl).unwrap();
    let first = interceptor.intercept(Batch::new(events.clone())).await.unwrap();
    let second = interceptor.intercept(Batch::new(events)).await.unwrap();
    assert_eq!(first.len(), second.len());
    assert!(first.diverted().is_empty());
    first.into_events()
}

pub(super) fn event(body: &'static str, headers: &[(&'static str, &'static str)]) -> Event {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Event::with_headers(headers, body)
}

pub(super) fn headers(events: &[Event]) -> Vec<Vec<(&str, &str)>> {
    events
        .iter()
        .map(|event| event.headers.iter().map(|(name, value)| (&**name, &**value)).collect())
        .collect()
}

pub(super) fn bodies(events: &[Event]) -> Vec<&[u8]> {
    events.iter().map(|event| &event.body[..]).collect()
}
