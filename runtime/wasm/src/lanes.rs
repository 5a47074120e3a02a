//! The instances of one component: as many as run at the same time, up to a limit.
//!
//! Lanes start empty and get an instance when they are first used. The lane used last is used next, so a quiet
//! component keeps one instance warm instead of all of them.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    bindings::Snapshot,
    edits::REASON_BYTES_MAX,
    host::escaped,
    instance::{Instance, StartError, Template},
};

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
    on_trial: AtomicBool,
}

/// A place for one instance.
pub(crate) struct Lane {
    number: u32,
    instance: Option<Instance>,
    /// The instance is to be replaced, and hands over what it keeps.
    due: bool,
}

impl Lanes {
    /// Lanes of which the first has an instance already.
    pub(crate) fn new(template: Arc<Template>, first: Instance, recycling: Recycling) -> Self {
        let mut free: Vec<Lane> = (0..template.lanes).rev().map(Lane::empty).collect();
        if let Some(lane) = free.last_mut() {
            lane.instance = Some(first);
        }
        let permits = Arc::new(Semaphore::new(template.lanes as usize));
        Self { template, permits, free: Mutex::new(free), recycling, on_trial: AtomicBool::new(false) }
    }

    /// Waits until a lane is free.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Waits until all lanes are free and keeps them so.
    pub(crate) async fn acquire_all(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_many_owned(self.template.lanes).await.ok()
    }

    /// While it is on trial no instance is replaced unless something is wrong with it.
    pub(crate) fn set_on_trial(&self, on_trial: bool) {
        self.on_trial.store(on_trial, Ordering::Relaxed);
    }

    fn is_due(&self, instance: &Instance) -> bool {
        !self.on_trial.load(Ordering::Relaxed) && self.recycling.is_due(instance)
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
        let hands_over = self.lanes.template.plugin.exports.handover.is_some();
        let is_due = instance.as_ref().is_some_and(|instance| self.lanes.is_due(instance));
        // One that hands over what it keeps is replaced when the next call comes.
        let retired = if is_due && !hands_over { instance.take() } else { None };
        self.lanes.free.lock().push(Lane { number, instance, due: is_due && hands_over });
        if let Some(instance) = retired {
            instance.retire();
        }
    }
}

impl Lane {
    /// The instance, started if there is none.
    pub(crate) async fn instance(&mut self, template: &Arc<Template>) -> Result<&mut Instance, StartError> {
        if std::mem::take(&mut self.due) {
            self.renew(template).await;
        }
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(template, self.number).await?,
        };
        Ok(self.instance.insert(instance))
    }

    /// Replaces the instance by a fresh one that takes over what it keeps; where that fails it goes on.
    async fn renew(&mut self, template: &Arc<Template>) {
        let handed = match self.save().await {
            Some(Ok(snapshot)) => self.take_in(template, snapshot, true).await,
            Some(Err(why)) => Err(why),
            None => Ok(()),
        };
        if let Err(why) = handed {
            tracing::warn!(target: "plugin", component = template.component, why,
                "an old instance cannot be replaced: it does not hand over what it keeps");
        }
    }

    /// What the instance keeps in memory; None: it keeps nothing, or there is none.
    pub(crate) async fn save(&mut self) -> Option<Result<Snapshot, String>> {
        let instance = self.instance.as_mut()?;
        let saved = match instance.save().await? {
            Ok(Ok(snapshot)) => Ok(snapshot),
            Ok(Err(reason)) => Err(escaped(&reason, REASON_BYTES_MAX)),
            Err(fault) => {
                instance.note(&fault);
                self.discard();
                Err(fault.to_string())
            }
        };
        Some(saved)
    }

    /// Gives what another instance kept to this one, or to a fresh one that takes its place. An instance that fails
    /// does not take the place of one that works.
    pub(crate) async fn take_in(
        &mut self,
        template: &Arc<Template>,
        snapshot: Snapshot,
        fresh: bool,
    ) -> Result<(), String> {
        let mut instance = match self.instance.take_if(|_| !fresh) {
            Some(instance) => instance,
            None => {
                let started = Instance::start(template, self.number).await;
                started.map_err(|error| error.to_string())?
            }
        };
        match instance.restore(snapshot).await {
            None | Some(Ok(Ok(()))) => {
                if let Some(before) = self.instance.replace(instance) {
                    before.retire();
                }
                Ok(())
            }
            Some(Ok(Err(reason))) => Err(escaped(&reason, REASON_BYTES_MAX)),
            Some(Err(fault)) => {
                template.metrics.fault(fault.kind).inc();
                Err(fault.to_string())
            }
        }
    }

    fn empty(number: u32) -> Self {
        Self { number, instance: None, due: false }
    }

    /// A lane of its own for one instance.
    pub(crate) fn with(instance: Instance, number: u32) -> Self {
        Self { instance: Some(instance), ..Self::empty(number) }
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
