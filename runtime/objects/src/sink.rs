//! The sink type.

use std::sync::Arc;

use millrace_components::bucket::{BucketSink, Disk};
use millrace_config::{Diagnostics, Section};
use millrace_core::{BuildContext, Sink, SinkFactory};

use crate::{settings, stage::Stage};

const FACTORY: SinkFactory = SinkFactory {
    name: "object-store",
    summary: "Writes events into objects of S3, Google Cloud Storage, Azure or a folder, by header and time",
    options: settings::OPTIONS,
    open: false,
    example: r#"object-store "lake" channel="durable" {
    url "s3://logs/web/%Y-%m-%d/%{host}"
    region "eu-central-1"
    extension "json"
    serializer "json"
    compression "zstd"
    roll interval="5m" size="128MiB"
}"#,
    build,
};

/// All of this crate's sinks.
pub fn factories() -> Vec<SinkFactory> {
    vec![FACTORY]
}

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let settings = settings::settings(section, cx.data_dir.clone())?;
    let disk = Disk::default();
    let stage = Stage::new(cx.data_dir.join("stage"), settings.address, settings.remote, disk.clone());
    Ok(Box::new(BucketSink::new(settings.bucket, Arc::clone(&cx.clock), stage, disk)))
}
