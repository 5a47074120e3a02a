//! The sink `hdfs`: a bucket writer over HDFS.
//!
//! The client is `hdfs-native`, no JVM is needed. All of it runs on threads that may block, so nothing here is ever
//! cancelled in the middle of a write, which that client would not survive. HDFS cannot cut a file, so a file in which
//! a write has failed is given up (see [`millrace_components::bucket`]): its lease is recovered and it is finished with
//! exactly what was confirmed.

mod connection;
mod error;
mod file;
mod settings;
mod sink;
mod store;

pub use connection::Connection;
pub use sink::factories;
pub use store::HdfsStore;
