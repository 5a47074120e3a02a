//! `file-roll`: writes events into local files and begins a new one now and then.
//!
//! What it promises:
//! - **A delivered batch is in the files.** With `sync "batch"` (the default) it has been forced to the disk and
//!   survives a power failure. With `sync "roll"` that is so once a file is finished, with `sync "none"` when the
//!   system gets to it; both survive the end of the process, however sudden, because the contents are with the
//!   system then.
//! - **A failed batch leaves nothing.** Files are cut back to what was confirmed, so the retry repeats no event.
//!   After a crash the same happens at the next start (`recovery`), with one exception: the one batch that was
//!   delivered, but not yet committed in the channel, comes again.
//! - **A file with its final name is complete** and never changes again. While in progress it is called `.tmp`.
//!   No file is empty, none is overwritten.
//! - **Header values cannot leave the folder** that stands before them (see `escape`).
//!
//! Differences from Flume's `file_roll`: names in progress, rules by size and count, compression, escapes, no
//! empty files, no overwriting, syncs. `sink.directory` is `directory`, `sink.rollInterval` is `roll interval=`,
//! `sink.pathManager ROLLTIME` is `name-time "roll"`, its `prefix` and `extension` keep their names.

mod settings;

use std::sync::Arc;

use millrace_config::{Diagnostics, Section};
use millrace_core::{BuildContext, Sink, SinkFactory};

use crate::bucket::{BucketSink, Disk};

/// The sink type.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "file-roll",
    summary: "Writes events into local files, by header and time, and finishes them by time, size or count",
    options: settings::OPTIONS,
    open: false,
    example: r#"file-roll "archive" channel="durable" {
    directory "/srv/archive/%Y-%m-%d/%{host}"
    extension "log"
    roll interval="5m" size="128MiB"
    compression "zstd"
    use-local-time-stamp
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let settings = settings::settings(section, cx.data_dir.clone())?;
    let disk = Disk::default();
    Ok(Box::new(FileRollSink::new(settings, Arc::clone(&cx.clock), disk.clone(), disk)))
}

/// The sink.
pub type FileRollSink = BucketSink<Disk>;

#[cfg(test)]
pub(crate) mod tests;
