//! What the instances of one component may do beyond looking at their events: its grants, and what carries them out.

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use millrace_core::Clock;

use crate::{
    grants::Grants,
    http::{HttpClient, Resolve},
    refusals::Refusals,
};

/// Where the monotonic clock of all plugins starts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The means of one component. Its instances share them.
pub(crate) struct Capabilities {
    pub(crate) grants: Arc<Grants>,
    pub(crate) http: HttpClient,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Capabilities {
    /// `memory_bytes_max` is what one instance can hold: no more is ever read for it in one call.
    pub(crate) fn new(
        grants: Arc<Grants>,
        resolver: Arc<dyn Resolve>,
        refusals: Arc<Refusals>,
        clock: Arc<dyn Clock>,
        memory_bytes_max: u64,
    ) -> Self {
        LazyLock::force(&START);
        let http = HttpClient::new(
            Arc::clone(&grants),
            Arc::clone(&resolver),
            Arc::clone(&refusals),
            memory_bytes_max,
        );
        Self { grants, http, resolver, refusals, clock }
    }

    /// Nanoseconds since the first plugin of the agent was loaded.
    pub(crate) fn monotonic_nanos(&self) -> u64 {
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
