//! Supervises one source: runs it, and runs it again after a pause when it fails.

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use millrace_core::{
    Backoff, BoundSocket, ChannelProcessor, Clock, Health, HealthState, Positions, Source, SourceContext,
    SourceError, SourceMetrics,
};
use tokio_util::sync::CancellationToken;

/// A run this long counts as healthy: the next failure starts with a short pause again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// What a source needs for each of its runs.
pub(crate) struct SourceRunner {
    pub(crate) name: ByteString,
    pub(crate) processor: ChannelProcessor,
    pub(crate) shutdown: CancellationToken,
    pub(crate) data_dir: std::path::PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: SourceMetrics,
    pub(crate) health: Health,
    /// Builds the source anew; blocking.
    pub(crate) rebuild: Arc<dyn Fn() -> Result<Box<dyn Source>, String> + Send + Sync>,
    /// Duplicates of the source's sockets.
    pub(crate) sockets: Arc<dyn Fn() -> std::io::Result<Vec<BoundSocket>> + Send + Sync>,
    /// Where the source stands now.
    pub(crate) positions: Arc<dyn Fn() -> Positions + Send + Sync>,
}

impl SourceRunner {
    /// Runs until the source ends by itself or `shutdown` is cancelled.
    pub(crate) async fn run(self, first: Box<dyn Source>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        let mut next = Some(first);
        while !self.shutdown.is_cancelled() {
            let started = tokio::time::Instant::now();
            let error = match self.once(next.take()).await {
                Ok(()) => {
                    tracing::info!(source = %self.name, "source has ended");
                    break;
                }
                Err(error) => error,
            };
            if self.shutdown.is_cancelled() {
                break;
            }
            if started.elapsed() > HEALTHY_AFTER {
                backoff.reset();
            }
            let pause = backoff.failed();
            tracing::warn!(source = %self.name, %error, pause_ms = pause.as_millis() as u64, "source failed, starting it again");
            self.health.failed(self.clock.now(), &error);
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.health.set(HealthState::Stopped);
    }

    /// One run, in a task of its own so that a panic is an error like any other.
    async fn once(&self, built: Option<Box<dyn Source>>) -> Result<(), SourceError> {
        let source = match built {
            Some(source) => source,
            None => {
                let rebuild = Arc::clone(&self.rebuild);
                let built = tokio::task::spawn_blocking(move || rebuild()).await;
                built
                    .map_err(|error| SourceError::failed("cannot build the source", error))?
                    .map_err(|error| SourceError::failed("cannot build the source", error))?
            }
        };
        let cx = SourceContext {
            name: self.name.clone(),
            processor: self.processor.clone(),
            shutdown: self.shutdown.clone(),
            sockets: (self.sockets)()
                .map_err(|error| SourceError::failed("cannot use the sockets", error))?,
            positions: (self.positions)(),
            data_dir: self.data_dir.clone(),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
        };
        self.health.set(HealthState::Running);
        let mut task = AbortOnDrop(tokio::spawn(source.run(cx)));
        match (&mut task.0).await {
            Ok(result) => result,
            Err(error) => Err(SourceError::failed("the source panicked", error)),
        }
    }
}

/// The run of a source ends with its supervisor.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
