//! `taildir`: follows files that grow, through every kind of rotation.
//!
//! Each line, or group of lines, is an event; bytes pass unchanged. How far each file was delivered is stored
//! in the commit of the events themselves, so that in front of a file channel a crash at any point neither
//! loses nor repeats a line.
//!
//! | module | holds |
//! |---|---|
//! | `discovery`, `hints` | which paths there are; when to look again |
//! | `fingerprint`, `position`, `known` | which file is which, stored and remembered |
//! | `scan` | what a path found is: known, copied, written anew, new |
//! | `block` | memory that events are slices of |
//! | `frame` | where events begin and end |
//! | `file`, `filling`, `tail` | one file's turn; the batch; all files |
//!
//! Invariants:
//! - An offset is the start of an unfinished event, so what is not delivered is read again, whole.
//! - A file stays open until it was read to its end and that was delivered, whatever happens to its name.
//! - Reading runs one batch ahead of the channel, not more.
#![expect(clippy::disallowed_methods, reason = "following files is what this source is for")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_config::{Diagnostics, Section};
use millrace_core::{BuildContext, ProcessError, Source, SourceContext, SourceError, SourceFactory};
use tokio::sync::Notify;

use self::{
    hints::Hints,
    options::{OPTIONS, Settings},
    tail::{Filled, Tail},
};

mod block;
mod discovery;
mod file;
mod filling;
mod fingerprint;
mod frame;
mod hints;
mod known;
mod options;
mod position;
mod scan;
mod tail;

/// Declares `taildir`.
pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "taildir",
    summary: "Follows growing files through rotation, truncation and restarts",
    options: OPTIONS,
    open: false,
    example: r#"taildir "web" channel="durable" { path "/var/log/nginx/*.log" }"#,
    build,
};

/// After a batch that took all there was: how long lines may gather for the next one.
const GATHER: Duration = Duration::from_millis(10);

fn build(section: &Section, _: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(TaildirSource { settings: Arc::new(Settings::read(section)?) }))
}

struct TaildirSource {
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for TaildirSource {
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let changed = Arc::new(Notify::new());
        let hints = if self.settings.watch { Hints::new(Arc::clone(&changed)) } else { Hints::default() };
        let tail = Tail::new(Arc::clone(&self.settings), &cx, hints);
        let run = Run { cx, changed, poll: self.settings.poll, delivered: 0, undelivered: false };
        run.until_shutdown(tail).await
    }
}

/// The part that waits: for the disk, for the channel, for something to happen.
struct Run {
    cx: SourceContext,
    changed: Arc<Notify>,
    poll: Duration,
    delivered: u64,
    /// A batch was given up at shutdown: nothing read after it may be delivered.
    undelivered: bool,
}

impl Run {
    async fn until_shutdown(mut self, mut tail: Tail) -> Result<(), SourceError> {
        loop {
            let filled;
            (tail, filled) = self.fill(tail).await?;
            tail = match filled {
                Filled { batch: Some(batch), more: true } => self.deliver_and_read(tail, batch).await?,
                Filled { batch: Some(batch), more: false } => {
                    self.deliver(batch).await?;
                    self.pause(GATHER).await;
                    tail
                }
                Filled { batch: None, more: true } => tail,
                Filled { batch: None, more: false } => {
                    self.wait_for_change().await;
                    tail
                }
            };
            if self.undelivered || self.cx.shutdown.is_cancelled() {
                return self.finish(tail).await;
            }
        }
    }

    /// Delivers one batch while the next is read, as long as there is a next.
    async fn deliver_and_read(
        &mut self,
        mut tail: Tail,
        mut batch: millrace_core::Batch,
    ) -> Result<Tail, SourceError> {
        loop {
            let reading = self.fill(tail);
            let (read, delivered) = tokio::join!(reading, self.cx.processor.accept(batch, &self.cx.shutdown));
            let filled;
            (tail, filled) = read?;
            if !self.is_delivered(delivered)? {
                return Ok(tail);
            }
            match filled {
                Filled { batch: Some(next), more: true } if !self.cx.shutdown.is_cancelled() => batch = next,
                Filled { batch: Some(next), .. } => {
                    self.deliver(next).await?;
                    return Ok(tail);
                }
                Filled { batch: None, .. } => return Ok(tail),
            }
        }
    }

    fn fill(&self, mut tail: Tail) -> impl Future<Output = Result<(Tail, Filled), SourceError>> + use<> {
        let delivered = self.delivered;
        let reading = tokio::task::spawn_blocking(move || {
            let filled = tail.fill(delivered);
            (tail, filled)
        });
        async { reading.await.map_err(|error| SourceError::failed("reading files", error)) }
    }

    async fn deliver(&mut self, batch: millrace_core::Batch) -> Result<(), SourceError> {
        let delivered = self.cx.processor.accept(batch, &self.cx.shutdown).await;
        self.is_delivered(delivered).map(drop)
    }

    /// Whether a batch is in the channels. A shutdown in between is no error: nothing was acknowledged, so the
    /// lines are read again at the next start.
    fn is_delivered(&mut self, result: Result<(), ProcessError>) -> Result<bool, SourceError> {
        match result {
            Ok(()) => self.delivered += 1,
            Err(ProcessError::ShuttingDown) => {
                self.undelivered = true;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Files without a name cannot be found again: what they hold is delivered now, as far as the channel takes it.
    async fn finish(mut self, mut tail: Tail) -> Result<(), SourceError> {
        while !self.undelivered {
            let reading = tokio::task::spawn_blocking(move || {
                let filled = tail.fill_from_unlinked();
                (tail, filled)
            });
            let filled;
            (tail, filled) = reading.await.map_err(|error| SourceError::failed("reading files", error))?;
            let Some(batch) = filled.batch else { return Ok(()) };
            self.deliver(batch).await?;
            if !filled.more {
                break;
            }
        }
        Ok(())
    }

    async fn wait_for_change(&self) {
        tokio::select! {
            () = self.cx.shutdown.cancelled() => return,
            () = tokio::time::sleep(self.poll) => return,
            () = self.changed.notified() => {}
        }
        self.pause(GATHER).await;
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.cx.shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests;
