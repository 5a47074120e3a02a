//! What stands between the exported functions and the plugin: one instance, its options, its panics.
//!
//! A guest is single-threaded, and the agent never calls into it while a call is under way, so the
//! instance lives in a thread-local cell that is never found borrowed.

mod calls;
mod export;

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::bindings::lifecycle::exports::millrace::plugin::lifecycle;
use crate::bindings::millrace::plugin::types;
use crate::{Instance, Issue, config};

/// Holds the one instance of a plugin. [`export!`](crate::export) declares it.
#[derive(Debug)]
pub struct Slot<T> {
    plugin: RefCell<Option<T>>,
}

impl<T> Slot<T> {
    /// Makes an empty slot.
    #[allow(clippy::new_without_default, reason = "a thread-local wants a const")]
    pub const fn new() -> Self {
        Self { plugin: RefCell::new(None) }
    }

    /// Parses the options and makes the instance.
    pub fn configure<C: DeserializeOwned>(
        &self,
        config: &str,
        instance: lifecycle::Instance,
        configure: fn(C, &Instance) -> Result<T, Vec<Issue>>,
    ) -> Result<(), Vec<lifecycle::Issue>> {
        log_panics();
        let made = config::parse(config).and_then(|config| configure(config, &instance.into()));
        match made {
            Ok(plugin) => {
                self.plugin.replace(Some(plugin));
                Ok(())
            }
            Err(issues) => Err(issues.into_iter().map(Into::into).collect()),
        }
    }

    /// Lets the instance finish, and drops it.
    pub fn stop(&self, deadline_ms: u32, stop: fn(&mut T, u32)) {
        if let Some(mut plugin) = self.plugin.take() {
            stop(&mut plugin, deadline_ms);
        }
    }

    /// Passes a call on to the instance.
    fn call<R, E: From<Missing>>(&self, call: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        match self.plugin.borrow_mut().as_mut() {
            Some(plugin) => call(plugin),
            None => Err(Missing.into()),
        }
    }
}

/// There is no instance yet, which only an agent with a mistake can bring about.
struct Missing;

const MISSING: &str = "called before configure";

impl From<Missing> for types::Failure {
    fn from(_: Missing) -> Self {
        Self::Fatal(MISSING.to_owned())
    }
}

impl From<Missing> for String {
    fn from(_: Missing) -> Self {
        MISSING.to_owned()
    }
}

/// Logs every panic before it becomes a trap: without a standard error it would be silent.
fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        crate::log::emit(crate::log::Level::Error, &panic.to_string(), &[]);
    }));
}
