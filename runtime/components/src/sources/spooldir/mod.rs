//! `spooldir`: reads whole files that are put into a directory, and marks each one when it is delivered.
//!
//! Files must be complete when they appear (moved in, not written in place). One that changes while it is
//! read, cannot be decoded, or whose finished name is taken does not stop the others: it is set aside where it
//! lies, counted and reported.
//!
//! | module | holds |
//! |---|---|
//! | `directory` | which file is next; the mark of a finished one |
//! | `deserializer` | lines, Avro datums, blobs |
//! | `position` | what is stored about a file with its events |
//! | `spool` | one file after the other |
#![expect(clippy::disallowed_methods, reason = "reading and marking files is what this source is for")]

use std::sync::Arc;

use async_trait::async_trait;
use millrace_config::{Diagnostics, Section};
use millrace_core::{
    BuildContext, HealthState, ProcessError, Source, SourceContext, SourceError, SourceFactory,
};

use self::{
    options::{OPTIONS, Settings},
    spool::Spool,
};

mod deserializer;
mod directory;
mod options;
mod position;
mod spool;

/// Declares `spooldir`.
pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "spooldir",
    summary: "Reads files put into a directory and marks them when delivered",
    options: OPTIONS,
    open: false,
    example: r#"spooldir "drop" channel="durable" { spool-dir "/var/spool/millrace" }"#,
    build,
};

fn build(section: &Section, _: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(SpoolDirSource { settings: Arc::new(Settings::read(section)?) }))
}

struct SpoolDirSource {
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for SpoolDirSource {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let mut spool = Spool::new(Arc::clone(&self.settings), &cx);
        while !cx.shutdown.is_cancelled() {
            let reading = tokio::task::spawn_blocking(move || {
                let batch = spool.next_batch();
                (spool, batch)
            });
            let batch;
            (spool, batch) =
                reading.await.map_err(|error| SourceError::failed("reading the spool", error))?;
            match batch {
                Some(batch) => match cx.processor.accept(batch, &cx.shutdown).await {
                    Ok(()) => {}
                    Err(ProcessError::ShuttingDown) => return Ok(()),
                    Err(error) => return Err(error.into()),
                },
                None => {
                    if spool.is_read() {
                        cx.health.set(HealthState::Idle);
                    }
                    tokio::select! {
                        () = cx.shutdown.cancelled() => {}
                        () = tokio::time::sleep(self.settings.poll_delay) => {}
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
