//! What stands between the exported functions and the plugin: one instance, its options, its panics.
//!
//! A guest is single-threaded, and the agent never calls into it while a call is under way, so the
//! instance lives in a thread-local cell that is never found borrowed.

use std::cell::RefCell;

use crate::bindings::exports::millrace::plugin::lifecycle;
use crate::bindings::millrace::plugin::types;
use crate::{Batch, Edits, Interceptor, config};

/// Holds the one instance of a plugin. [`export!`](crate::export) declares it.
#[derive(Debug)]
pub struct Slot<T> {
    plugin: RefCell<Option<T>>,
}

impl<T: Interceptor> Slot<T> {
    /// Makes an empty slot.
    #[allow(clippy::new_without_default, reason = "a thread-local wants a const")]
    pub const fn new() -> Self {
        Self { plugin: RefCell::new(None) }
    }

    /// Parses the options and makes the instance.
    pub fn configure(
        &self,
        config: &str,
        instance: lifecycle::Instance,
    ) -> Result<(), Vec<lifecycle::Issue>> {
        log_panics();
        let made = config::parse(config).and_then(|config| T::configure(config, &instance.into()));
        match made {
            Ok(plugin) => {
                self.plugin.replace(Some(plugin));
                Ok(())
            }
            Err(issues) => Err(issues.into_iter().map(Into::into).collect()),
        }
    }

    /// Passes a batch to the instance and its edits back.
    pub fn intercept(&self, batch: &types::Batch) -> Result<Vec<types::Edit>, types::Failure> {
        let mut plugin = self.plugin.borrow_mut();
        let Some(plugin) = plugin.as_mut() else {
            return Err(types::Failure::Fatal("intercept was called before configure".into()));
        };
        let mut edits = Edits::default();
        plugin.intercept(&Batch::lent(batch), &mut edits)?;
        Ok(edits.finish())
    }

    /// Lets the instance finish, and drops it.
    pub fn stop(&self, deadline_ms: u32) {
        if let Some(mut plugin) = self.plugin.take() {
            plugin.stop(deadline_ms);
        }
    }
}

/// Logs every panic before it becomes a trap: without a standard error it would be silent.
fn log_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        crate::log::emit(crate::log::Level::Error, &panic.to_string(), &[]);
    }));
}

/// Exports an [`Interceptor`] as the plugin of this crate: `millrace_plugin::export!(MyInterceptor);`. The
/// crate must be a `cdylib`, and it can export one plugin. The [crate](crate) shows a whole one.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static SLOT: $crate::Slot<$plugin> = const { $crate::Slot::new() };
            }

            struct Exported;

            impl $crate::bindings::exports::millrace::plugin::lifecycle::Guest for Exported {
                fn configure(
                    config: ::std::string::String,
                    instance: $crate::bindings::exports::millrace::plugin::lifecycle::Instance,
                ) -> ::core::result::Result<
                    (),
                    ::std::vec::Vec<$crate::bindings::exports::millrace::plugin::lifecycle::Issue>,
                > {
                    SLOT.with(|slot| slot.configure(&config, instance))
                }

                fn stop(deadline_ms: u32) {
                    SLOT.with(|slot| slot.stop(deadline_ms))
                }
            }

            impl $crate::bindings::exports::millrace::plugin::interceptor::Guest for Exported {
                fn intercept(
                    batch: &$crate::bindings::millrace::plugin::types::Batch,
                ) -> ::core::result::Result<
                    ::std::vec::Vec<$crate::bindings::millrace::plugin::types::Edit>,
                    $crate::bindings::millrace::plugin::types::Failure,
                > {
                    SLOT.with(|slot| slot.intercept(batch))
                }
            }

    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
        // Elsewhere there is nothing to export to; this only checks that the trait is there.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::Slot<$plugin> = $crate::Slot::<$plugin>::new;
    };
}
