//! One client: read, cut, decode, commit, read on.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use millrace_core::{
    Backoff, Batch, ChannelProcessor, CodecError, Decoded, Destination, Event, ProcessError, SourceMetrics,
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_util::sync::CancellationToken;

use super::Rules;

/// What is read at once.
const READ_BYTES: usize = 64 << 10;

pub(super) struct Connection {
    stream: TcpStream,
    rules: Rules,
    processor: ChannelProcessor,
    shutdown: CancellationToken,
    metrics: SourceMetrics,
    /// What has arrived and is no whole frame yet.
    waiting: BytesMut,
}

/// Why a connection came to its end before the client closed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("a frame is larger than frame-bytes-max, which is {0}")]
    TooLarge(usize),
    #[error("nothing was sent for {0:?}")]
    Idle(Duration),
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        rules: Rules,
        processor: ChannelProcessor,
        shutdown: CancellationToken,
        metrics: SourceMetrics,
    ) -> Self {
        Self { stream, rules, processor, shutdown, metrics, waiting: BytesMut::new() }
    }

    pub(super) async fn run(mut self) -> Result<(), Ended> {
        let shutdown = self.shutdown.clone();
        let ended = loop {
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                read = self.read() => read,
            };
            let at_end = match read {
                Ok(read) => read == 0,
                Err(error) => break Err(error),
            };
            if let Err(error) = self.take_frames(at_end).await {
                break Err(error);
            }
            if at_end {
                break Ok(());
            }
        };
        match ended {
            // What the agent did not take while it stops is no mistake of the client.
            Err(Ended::Process(ProcessError::ShuttingDown)) => Ok(()),
            Err(error) => {
                self.metrics.read_failures.inc();
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// # Cancel safety
    /// A dropped call has read nothing.
    async fn read(&mut self) -> Result<usize, Ended> {
        self.waiting.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.waiting);
        match self.rules.idle {
            None => Ok(read.await?),
            Some(idle) => Ok(tokio::time::timeout(idle, read).await.map_err(|_| Ended::Idle(idle))??),
        }
    }

    /// Decodes, however long that takes: nobody sends these frames again.
    async fn decode(&self, frames: Vec<Bytes>) -> Result<Decoded, Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let error = match self.rules.codec.decode(frames.clone()).await {
                Ok(decoded) => return Ok(decoded),
                Err(error) => error,
            };
            let CodecError::Later { after, .. } = &error else { return Err(error.into()) };
            if backoff.failures() == 0 {
                tracing::warn!(%error, frames = frames.len(), "frames not decoded, trying again");
            }
            let pause = backoff.failed().max(after.unwrap_or_default());
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(ProcessError::ShuttingDown.into()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Commits the whole frames there are.
    async fn take_frames(&mut self, at_end: bool) -> Result<(), Ended> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let bytes = self.waiting.split().freeze();
        let ends = self.rules.codec.frame(bytes.clone(), at_end).await?;
        let mut start = 0;
        let mut frames: Vec<Bytes> = Vec::with_capacity(ends.len());
        for end in ends {
            frames.push(bytes.slice(start..end));
            start = end;
        }
        let largest = frames.iter().map(Bytes::len).max().unwrap_or(0).max(bytes.len() - start);
        if largest > self.rules.frame_bytes_max {
            return Err(Ended::TooLarge(self.rules.frame_bytes_max));
        }
        self.waiting = BytesMut::from(bytes.slice(start..).as_ref());
        if frames.is_empty() {
            return Ok(());
        }
        let Decoded { events, refused } = self.decode(frames).await?;
        let mut batch = Batch::new(events);
        for (frame, rejection) in refused {
            batch.divert(Event::new(frame), Destination::DeadLetter(rejection));
        }
        if !batch.is_empty() || !batch.diverted().is_empty() {
            self.processor.accept(batch, &self.shutdown).await?;
        }
        Ok(())
    }
}
