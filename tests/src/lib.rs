//! What end-to-end tests share: the real binary in a folder of its own, real plugins, waiting with a deadline.
#![expect(clippy::disallowed_methods, reason = "tests look at files themselves")]

mod agent;
mod build;
mod files;
mod hadoop;
mod http_server;
mod kafka;
mod peers;
mod registry;
mod s3;
mod tables;
mod transactions;

pub use agent::{Agent, eventually, eventually_within};
pub use build::{binary, guest, root, temporary_folder};
pub use files::{json_events, json_events_so_far, lines_of, rolled_files};
pub use hadoop::Hdfs;
pub use http_server::Receiver;
pub use kafka::{KafkaBroker, Record, USER};
pub use peers::{Peer, Server, avsc, flume, flume_kafka};
pub use registry::Registry;
pub use s3::S3Server;
pub use tables::{Row, rows};
pub use transactions::{Transaction, TransactionServer, Transactions};
