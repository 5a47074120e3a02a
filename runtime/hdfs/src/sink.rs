//! The sink type.

use std::sync::Arc;

use millrace_components::bucket::{BucketSink, Disk};
use millrace_config::{Diagnostics, Section};
use millrace_core::{BuildContext, Sink, SinkFactory};

use crate::{connection::Connection, settings, store::HdfsStore};

const FACTORY: SinkFactory = SinkFactory {
    name: "hdfs",
    summary: "Writes events into files on HDFS, by header and time: SequenceFiles, text, JSON, Avro, compressed",
    options: settings::OPTIONS,
    open: false,
    example: r#"hdfs "lake" channel="durable" {
    path "hdfs://nn.example.com:8020/logs/%Y-%m-%d/%H/%{host}"
    file-type "compressed-stream"
    compression "gzip"
    roll interval="10m" size="128MiB"
}"#,
    build,
};

/// All of this crate's sinks.
pub fn factories() -> Vec<SinkFactory> {
    vec![FACTORY]
}

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let settings = settings::settings(section, cx.data_dir.clone())?;
    let store = HdfsStore::new(Connection::new(settings.connection), settings.files);
    Ok(Box::new(BucketSink::new(settings.bucket, Arc::clone(&cx.clock), store, Disk::default())))
}
