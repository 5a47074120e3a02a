//! The native components: sources, interceptors, selectors, sinks and sink processors.
//!
//! One file or folder per component, which holds its options, its factory, its code and its tests. The lists
//! in each kind's `mod.rs` are all that the command line needs to fill a registry.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at files themselves"))]

mod avro_rpc;
pub mod bucket;
pub mod escape;
pub mod flume_event;
pub mod interceptors;
pub mod selectors;
pub mod serializers;
pub mod sink_processors;
pub mod sinks;
pub mod sources;

mod charset;
#[cfg(test)]
mod examples;
