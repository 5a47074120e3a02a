//! One client: read a block, commit its lines as one batch, answer, read on.

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use millrace_core::{Batch, ChannelProcessor, Event, ProcessError, SourceMetrics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Rules, decoder::StreamDecoder};
use crate::sources::lines::LineCutter;

/// How much of what a client goes on sending is still read when the agent stops.
const DRAIN_BYTES_MAX: usize = 1 << 20;
/// For how long.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// A client that sends nothing for so long has nothing on its way.
const DRAIN_PAUSE: Duration = Duration::from_millis(20);
/// How long a closed connection waits for the client to read the last answer.
const LINGER: Duration = Duration::from_secs(1);
/// Answers are written in pieces of so many lines.
const ANSWERS_AT_ONCE: usize = 1024;

pub(super) struct Connection {
    stream: TcpStream,
    rules: Arc<Rules>,
    processor: ChannelProcessor,
    shutdown: CancellationToken,
    metrics: SourceMetrics,
    lines: LineCutter,
    decoder: Option<StreamDecoder>,
    /// Bytes before decoding; unused without a decoder.
    raw: BytesMut,
}

/// Whether to go on with a client.
#[derive(PartialEq)]
enum Next {
    Read,
    Close,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        rules: Arc<Rules>,
        processor: ChannelProcessor,
        shutdown: CancellationToken,
        metrics: SourceMetrics,
    ) -> Self {
        let decoder = StreamDecoder::new(rules.charset);
        let (lines, raw) = (LineCutter::new(), BytesMut::new());
        Self { stream, rules, processor, shutdown, metrics, lines, decoder, raw }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let shutdown = self.shutdown.clone();
        loop {
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.drain().await,
                read = self.read() => read?,
            };
            if read == 0 {
                return self.end().await;
            }
            if self.commit_lines().await? == Next::Close {
                return self.linger().await;
            }
        }
    }

    /// Reads one block. 0: the client has closed.
    ///
    /// # Cancel safety
    /// A dropped call has read nothing.
    async fn read(&mut self) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else {
            let read = timed(self.rules.idle, self.stream.read_buf(self.lines.room())).await?;
            self.lines.read(read);
            return Ok(read);
        };
        self.raw.clear();
        self.raw.reserve(8 << 10);
        let read = timed(self.rules.idle, self.stream.read_buf(&mut self.raw)).await?;
        decoder.decode(&self.raw, read == 0, &mut self.lines);
        Ok(read)
    }

    /// Commits and answers all complete lines.
    async fn commit_lines(&mut self) -> io::Result<Next> {
        loop {
            let mut events = Vec::new();
            let mut too_long = false;
            let line_length_max = self.rules.line_length_max;
            let lines = self.lines.cut(self.rules.batch_events_max, |line| {
                too_long |= is_too_long(&line, line_length_max);
                if !too_long {
                    events.push(Event::new(line));
                }
            });
            if self.commit(events).await? == Next::Close {
                return Ok(Next::Close);
            }
            if too_long || (lines == 0 && is_too_long(self.lines.waiting(), line_length_max)) {
                return self.refuse_long_line().await;
            }
            if lines == 0 {
                return Ok(Next::Read);
            }
        }
    }

    /// Commits one batch and answers each of its lines.
    async fn commit(&mut self, events: Vec<Event>) -> io::Result<Next> {
        let count = events.len();
        if count == 0 {
            return Ok(Next::Read);
        }
        match self.processor.accept(Batch::new(events), &self.shutdown).await {
            Ok(()) => {
                if self.rules.acknowledge {
                    self.answer("OK\n", count).await?;
                }
                Ok(Next::Read)
            }
            Err(error) => {
                self.refuse(&error, count).await?;
                Ok(Next::Close)
            }
        }
    }

    async fn refuse(&mut self, error: &ProcessError, count: usize) -> io::Result<()> {
        let reason = error.to_string().replace('\n', " ");
        self.answer(&format!("FAILED: {reason}\n"), count).await
    }

    async fn refuse_long_line(&mut self) -> io::Result<Next> {
        self.metrics.read_failures.inc();
        let max = self.rules.line_length_max;
        let answer = format!("FAILED: Event exceeds the maximum length ({max} chars, including newline)\n");
        self.answer(&answer, 1).await?;
        Ok(Next::Close)
    }

    async fn answer(&mut self, answer: &str, mut count: usize) -> io::Result<()> {
        let answers = answer.repeat(count.min(ANSWERS_AT_ONCE));
        while count > 0 {
            let now = count.min(ANSWERS_AT_ONCE);
            let bytes = answers.as_bytes().get(..now * answer.len()).unwrap_or_default();
            timed(self.rules.idle, self.stream.write_all(bytes)).await?;
            count -= now;
        }
        Ok(())
    }

    /// The client has closed its side: what stands behind the last line feed is a line, too.
    async fn end(&mut self) -> io::Result<()> {
        if self.commit_lines().await? == Next::Close {
            return self.linger().await;
        }
        let rest: Bytes = self.lines.take(usize::MAX);
        if !rest.is_empty() {
            self.commit(vec![Event::new(rest)]).await?;
        }
        self.stream.shutdown().await
    }

    /// The agent stops: commits and answers the lines that have arrived. Half a line is left to the client, who
    /// gets no answer to it.
    async fn drain(&mut self) -> io::Result<()> {
        let until = Instant::now() + DRAIN_TIME_MAX;
        let mut drained = 0;
        while drained < DRAIN_BYTES_MAX && Instant::now() < until {
            let Ok(read) = tokio::time::timeout(DRAIN_PAUSE, self.read()).await else { break };
            let read = read?;
            if read == 0 {
                return self.end().await;
            }
            drained += read;
            if self.commit_lines().await? == Next::Close {
                break;
            }
        }
        self.linger().await
    }

    /// Closes in a way that lets the client read the last answer: with unread bytes waiting, a plain close would
    /// reset the connection and take the answer with it.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut ignored = vec![0; 16 << 10];
        let until_closed = async {
            let mut left = DRAIN_BYTES_MAX;
            while left > 0 {
                match self.stream.read(&mut ignored).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok(())
        };
        tokio::time::timeout(LINGER, until_closed).await.unwrap_or(Ok(()))
    }
}

/// Java counts UTF-16 units and includes the line feed. A character has at most three bytes for each of its units.
fn is_too_long(line: &[u8], length_max: usize) -> bool {
    line.len() >= length_max && (line.len() >= 3 * length_max || utf16_units(line) >= length_max)
}

fn utf16_units(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum()
}

/// A read or write that may not take longer than this.
async fn timed<T>(limit: Option<Duration>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no progress for {limit:?}")))
        }),
    }
}
