//! What makes time pass for guests: a thread of its own that advances the engine's epoch.
//!
//! An OS thread, because a guest that spins may sit on the thread that would run a timer. It sleeps without a
//! wake-up while no call was made for a second, so that an idle agent costs nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::Thread,
    time::Duration,
};

use wasmtime::Engine;

/// One step of the epoch: deadlines are rounded up to it.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// So many steps without a call, then the thread sleeps.
const IDLE_TICKS: u32 = 200;

/// The handle of the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// Calls under way.
    running: AtomicU64,
    /// Calls ever begun: tells "idle" from "busy between two looks".
    begun: AtomicU64,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

/// A call under way; the epoch moves at least until it is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::Release);
    }
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, owned) = (engine.weak(), Arc::clone(&shared));
        let handle = std::thread::Builder::new().name("plugin-ticker".into()).spawn(move || {
            let mut seen = 0;
            let mut idle = 0;
            while !owned.stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                drop(engine);
                let begun = owned.begun.load(Ordering::Relaxed);
                idle = if begun == seen && owned.running.load(Ordering::Relaxed) == 0 { idle + 1 } else { 0 };
                seen = begun;
                if idle > IDLE_TICKS {
                    owned.sleep();
                    idle = 0;
                }
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Says that a call begins.
    pub(crate) fn begin(&self) -> Running {
        self.shared.begun.fetch_add(1, Ordering::Relaxed);
        // Sequentially consistent with the thread's `asleep` and `running`: either it sees this call before it
        // sleeps, or this call sees it asleep and wakes it.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running { shared: Arc::clone(&self.shared) }
    }
}

impl Shared {
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}
