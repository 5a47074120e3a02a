//! The instances of one component: as many as run at the same time, up to a limit.
//!
//! Lanes start empty and get an instance when they are first used. The lane used last is used next, so a quiet
//! component keeps one instance warm instead of all of them.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::instance::{Instance, StartError, Template};

/// Calls after which an instance is replaced: what leaks slowly is gone with it.
const CALLS_MAX: u64 = 1_000_000;

/// Age after which an instance is replaced.
const AGE_MAX: Duration = Duration::from_secs(3600);

/// Share of the memory limit, in percent, from which an instance is replaced: memory never shrinks, and a fault
/// at the limit would cost more than a fresh start.
const MEMORY_PERCENT_MAX: u64 = 75;

/// When instances are replaced although nothing is wrong with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recycling {
    pub(crate) calls_max: u64,
    pub(crate) age_max: Duration,
    pub(crate) memory_bytes_max: u64,
}

impl Recycling {
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        Self {
            calls_max: CALLS_MAX,
            age_max: AGE_MAX,
            memory_bytes_max: memory_bytes_max / 100 * MEMORY_PERCENT_MAX,
        }
    }

    fn is_due(&self, instance: &Instance) -> bool {
        instance.calls() >= self.calls_max
            || instance.memory_bytes() as u64 >= self.memory_bytes_max
            || instance.age() >= self.age_max
    }
}

/// All lanes of a component.
pub(crate) struct Lanes {
    template: Arc<Template>,
    permits: Arc<Semaphore>,
    free: Mutex<Vec<Lane>>,
    recycling: Recycling,
}

/// A place for one instance.
pub(crate) struct Lane {
    number: u32,
    instance: Option<Instance>,
}

impl Lanes {
    /// Lanes of which the first has an instance already.
    pub(crate) fn new(template: Arc<Template>, first: Instance, recycling: Recycling) -> Self {
        let mut free: Vec<Lane> =
            (0..template.lanes).rev().map(|number| Lane { number, instance: None }).collect();
        if let Some(lane) = free.last_mut() {
            lane.instance = Some(first);
        }
        let permits = Arc::new(Semaphore::new(template.lanes as usize));
        Self { template, permits, free: Mutex::new(free), recycling }
    }

    /// Waits until a lane is free.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Takes a lane; whoever holds a permit finds one. It comes back when the guard is dropped.
    pub(crate) fn take(&self) -> Option<LaneGuard<'_>> {
        let lane = self.free.lock().pop()?;
        Some(LaneGuard { lanes: self, lane })
    }

    /// Waits for calls under way, lets nobody in any more, and hands out what has to be stopped.
    pub(crate) async fn close(&self) -> Vec<Instance> {
        let Ok(_permits) = self.permits.acquire_many(self.template.lanes).await else { return Vec::new() };
        self.permits.close();
        let lanes = std::mem::take(&mut *self.free.lock());
        lanes.into_iter().filter_map(|lane| lane.instance).collect()
    }
}

/// A lane in use.
pub(crate) struct LaneGuard<'a> {
    lanes: &'a Lanes,
    lane: Lane,
}

impl Deref for LaneGuard<'_> {
    type Target = Lane;
    fn deref(&self) -> &Lane {
        &self.lane
    }
}

impl DerefMut for LaneGuard<'_> {
    fn deref_mut(&mut self) -> &mut Lane {
        &mut self.lane
    }
}

impl Drop for LaneGuard<'_> {
    fn drop(&mut self) {
        let number = self.lane.number;
        // A call that panicked or was given up in the middle leaves an instance behind that cannot go on.
        let mut instance = self.lane.instance.take().filter(Instance::is_whole);
        let due = instance.take_if(|instance| self.lanes.recycling.is_due(instance));
        self.lanes.free.lock().push(Lane { number, instance });
        if let Some(instance) = due {
            instance.retire();
        }
    }
}

impl Lane {
    /// The instance, started if there is none.
    pub(crate) async fn instance(&mut self, template: &Arc<Template>) -> Result<&mut Instance, StartError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(template, self.number).await?,
        };
        Ok(self.instance.insert(instance))
    }

    /// A lane of its own for one instance.
    pub(crate) fn with(instance: Instance) -> Self {
        Self { number: 0, instance: Some(instance) }
    }

    /// Replaces the instance if it is old or large: the next call gets a fresh one.
    pub(crate) fn recycle(&mut self, recycling: Recycling) {
        if let Some(instance) = self.instance.take_if(|instance| recycling.is_due(instance)) {
            instance.retire();
        }
    }

    /// The instance, to end it.
    pub(crate) fn take(&mut self) -> Option<Instance> {
        self.instance.take()
    }

    /// Throws the instance away after a fault.
    pub(crate) fn discard(&mut self) {
        self.instance = None;
    }
}
