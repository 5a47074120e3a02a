//! Lines that wait to become a batch: handed on when there are enough of them or the first has waited long enough.

use std::time::Duration;

use bytes::Bytes;
use millrace_core::{Batch, Event, Headers, ProcessError, SourceContext};
use tokio::time::Instant;

use super::lines::{LineCutter, without_carriage_return};
use crate::charset::Charset;

/// The waiting lines of one source and the rules by which they go on.
pub(crate) struct LineBatch {
    events: Vec<Event>,
    due: Option<Instant>,
    pub(crate) events_max: usize,
    pub(crate) wait_max: Duration,
    pub(crate) line_bytes_max: usize,
    pub(crate) charset: Charset,
}

impl LineBatch {
    pub(crate) fn new(
        events_max: usize,
        wait_max: Duration,
        line_bytes_max: usize,
        charset: Charset,
    ) -> Self {
        Self { events: Vec::new(), due: None, events_max, wait_max, line_bytes_max, charset }
    }

    /// Waits until the batch has to go on; for ever while it is empty.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Takes all complete lines, and hands on every batch that gets full. What follows them waits in the cutter,
    /// unless it is longer than a line may be: then it is cut.
    pub(crate) async fn take_lines(
        &mut self,
        lines: &mut LineCutter,
        headers: &Headers,
        cx: &SourceContext,
    ) -> Result<(), ProcessError> {
        loop {
            let room = self.events_max - self.events.len();
            let mut taken = Vec::with_capacity(room.min(64));
            if lines.cut(room, |line| taken.push(line)) == 0 {
                break;
            }
            for line in taken {
                self.push(without_carriage_return(line), headers, cx).await?;
            }
            self.commit_if_full(cx).await?;
        }
        while lines.waiting().len() > self.line_bytes_max {
            let piece = lines.take(self.line_bytes_max);
            self.push(piece, headers, cx).await?;
        }
        Ok(())
    }

    /// Takes what stands behind the last line feed.
    pub(crate) async fn take_rest(
        &mut self,
        lines: &mut LineCutter,
        headers: &Headers,
        cx: &SourceContext,
    ) -> Result<(), ProcessError> {
        self.take_lines(lines, headers, cx).await?;
        let rest = lines.take(usize::MAX);
        if !rest.is_empty() {
            self.push(without_carriage_return(rest), headers, cx).await?;
        }
        Ok(())
    }

    /// A line above the limit becomes several events; nothing of it is lost.
    async fn push(
        &mut self,
        mut line: Bytes,
        headers: &Headers,
        cx: &SourceContext,
    ) -> Result<(), ProcessError> {
        loop {
            self.commit_if_full(cx).await?;
            let piece = line.split_to(line.len().min(self.line_bytes_max));
            self.events.push(Event::with_headers(headers.clone(), self.charset.to_utf8(piece)));
            if self.due.is_none() {
                self.due = Some(Instant::now() + self.wait_max);
            }
            if line.is_empty() {
                return Ok(());
            }
            cx.metrics.read_failures.inc();
        }
    }

    async fn commit_if_full(&mut self, cx: &SourceContext) -> Result<(), ProcessError> {
        if self.events.len() >= self.events_max { self.commit(cx).await } else { Ok(()) }
    }

    /// Hands on what there is. Waits for room as long as the source runs: whoever writes the lines waits, too.
    pub(crate) async fn commit(&mut self, cx: &SourceContext) -> Result<(), ProcessError> {
        self.due = None;
        let events = std::mem::take(&mut self.events);
        let count = events.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let accepted = cx.processor.accept(Batch::new(events), &cx.shutdown).await;
        if accepted.is_err() {
            cx.metrics.events_dropped.inc_by(count);
            tracing::warn!(source = %cx.name, events = count, "lines lost: they could not be committed at the end");
        }
        accepted
    }
}
