//! A bucket writer as a sink.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_core::{Batch, Clock, Sink, SinkError};
use parking_lot::Mutex;

use super::{BucketError, BucketWriter, Disk, Settings, Store};

/// A sink that is a bucket writer. All work on files happens on a thread that may block, once per batch.
pub struct BucketSink<S: Store> {
    files: Arc<Mutex<BucketWriter<S>>>,
    clock: Arc<dyn Clock>,
}

impl<S: Store> BucketSink<S> {
    /// A sink into a store, with its journal on a disk.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, store: S, disk: Disk) -> Self {
        let files = BucketWriter::new(settings, clock.unix_millis(), store, disk);
        Self { files: Arc::new(Mutex::new(files)), clock }
    }

    /// Runs a job on the files. If the caller goes away the job still ends, and the next one waits for it.
    async fn work(
        &self,
        job: impl FnOnce(&mut BucketWriter<S>) -> Result<(), SinkError> + Send + 'static,
    ) -> Result<(), SinkError> {
        let files = Arc::clone(&self.files);
        match tokio::task::spawn_blocking(move || job(&mut files.lock())).await {
            Ok(result) => result,
            Err(error) => Err(SinkError::retryable(format!("writing files was interrupted: {error}"))),
        }
    }
}

#[async_trait]
impl<S: Store> Sink for BucketSink<S> {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (batch, now) = (batch.clone(), self.clock.now());
        self.work(move |files| files.deliver(&batch, now)).await
    }

    fn batch_events(&self) -> usize {
        10_000
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        let now = self.clock.now();
        self.work(move |files| files.idle(now).map_err(to_sink_error)).await
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.work(|files| files.close().map_err(to_sink_error)).await
    }
}

fn to_sink_error(error: BucketError) -> SinkError {
    SinkError::retryable(error.to_string())
}
