//! End-to-end tests: the real binary, real files, real sockets, real plugins.
#![expect(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

mod avro_interop;
mod chain;
mod check;
mod codec;
mod command_line;
mod crash;
mod examples;
mod hdfs;
mod hdfs_crash;
mod hostile_set;
mod kafka;
mod languages;
mod misbehaving;
mod object_store;
mod plugin_author;
mod plugin_delivery;
mod reload_under_load;
mod script;
mod shutdown;
mod state;
mod swap;
mod tables;
mod two_phase;
mod versions;
mod watch;
