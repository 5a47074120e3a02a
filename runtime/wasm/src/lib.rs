//! The plugin host: WebAssembly components as sources, interceptors and sinks, run by wasmtime.
//!
//! | module | holds |
//! |---|---|
//! | `plugin_host`, `factory` | what the engine and the registry see |
//! | `component`, `imports`, `role`, `signature`, `inspect` | from a file to something checked |
//! | `grants`, `capabilities`, `http`, `refusals` | what the operator allows beyond looking at events, and how it is done |
//! | `engine`, `ticker`, `cache` | wasmtime, its clock, native code on disk |
//! | `bindings`, `state`, `host` | what crosses the boundary, and what guests may call |
//! | `instance`, `lanes`, `off_worker` | running guests: one store each, as many as run at once |
//! | `manifest`, `schema`, `minisig` | what a plugin says about itself, its options, who signed it |
//! | `edits` | from an answer to a changed batch: check everything, then apply |
//! | `interceptor`, `generation`, `held`, `rescue`, `fault`, `error` | calls, faults, and the search for the event that breaks a guest |
//! | `script` | scripts: an engine as the plugin, the text as its option |
//! | `swap` | one version after another: replay, handover, trial |
//! | `metrics` | what is counted about each plugin |
//!
//! This is the only crate that names wasmtime.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at files themselves"))]
#![deny(missing_docs)]

mod bindings;
mod cache;
mod capabilities;
mod codec;
mod component;
mod diagnostics;
mod edits;
mod engine;
mod error;
mod factory;
mod fault;
mod generation;
mod grants;
mod held;
mod host;
mod http;
mod imports;
mod inspect;
mod instance;
mod interceptor;
mod lanes;
mod manifest;
mod metrics;
mod minisig;
mod off_worker;
mod origin;
mod plugin_host;
mod refusals;
mod rescue;
mod role;
mod schema;
mod script;
mod signature;
mod sink;
mod source;
mod state;
mod swap;
mod ticker;
mod trail;

pub use component::FILE_BYTES_MAX;
pub use error::HostError;
pub use factory::{interceptors, sinks, sources};
pub use inspect::{InspectedImport, Inspection};
pub use manifest::{
    MANIFEST_BYTES_MAX, MANIFEST_SECTION, Manifest, ManifestError, MetricDeclaration, StateForm, Want,
    WantedLimits,
};
pub use minisig::{SIGNATURE_EXTENSION, signature_path, verify_signature};
pub use plugin_host::WasmHost;
pub use schema::ConfigSchema;
