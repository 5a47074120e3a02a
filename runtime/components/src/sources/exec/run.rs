//! One run of the command, from its start to its end.

use std::{io, process::ExitStatus, time::Duration};

use millrace_core::{Headers, SourceContext, SourceError};
use rustix::process::Signal;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdout},
};

use super::{Stderr, process::Process};
use crate::sources::{line_batch::LineBatch, lines::LineCutter};

/// How long the group may take to end by itself after `SIGTERM`.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How a run came to its end.
pub(super) enum Ending {
    /// The source was to stop.
    Stopped,
    /// The command ended by itself.
    Exited(ExitStatus),
}

pub(super) struct Run {
    process: Process,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    stdout_lines: LineCutter,
    stderr_lines: LineCutter,
    stderr_goes_to: Stderr,
    waiting: LineBatch,
    headers: [Headers; 2],
}

impl Run {
    pub(super) fn start(
        command: &[String],
        stderr_goes_to: Stderr,
        waiting: LineBatch,
        headers: [Headers; 2],
    ) -> Result<Self, SourceError> {
        let mut process = Process::start(command, stderr_goes_to)?;
        Ok(Self {
            stdout: process.child.stdout.take(),
            stderr: process.child.stderr.take(),
            process,
            stdout_lines: LineCutter::new(),
            stderr_lines: LineCutter::new(),
            stderr_goes_to,
            waiting,
            headers,
        })
    }

    pub(super) async fn run(mut self, cx: &SourceContext) -> Result<Ending, SourceError> {
        while self.stdout.is_some() || self.stderr.is_some() {
            tokio::select! {
                biased;
                () = cx.shutdown.cancelled() => return self.stop(cx).await,
                () = self.waiting.due() => self.commit(cx).await?,
                read = read(&mut self.stdout, &mut self.stdout_lines) => self.take_stdout(read, cx).await?,
                read = read(&mut self.stderr, &mut self.stderr_lines) => self.take_stderr(read, cx).await?,
            }
        }
        self.commit(cx).await?;
        tokio::select! {
            biased;
            () = cx.shutdown.cancelled() => self.stop(cx).await,
            status = self.process.child.wait() => {
                self.process.release();
                let status = status.map_err(|error| SourceError::failed("cannot wait for the command", error))?;
                Ok(Ending::Exited(status))
            }
        }
    }

    /// Asks the group to end, takes what it still writes, and ends it.
    async fn stop(mut self, cx: &SourceContext) -> Result<Ending, SourceError> {
        self.process.signal(Signal::TERM);
        let last_words = async {
            while self.stdout.is_some() || self.stderr.is_some() {
                tokio::select! {
                    read = read(&mut self.stdout, &mut self.stdout_lines) => self.take_stdout(read, cx).await?,
                    read = read(&mut self.stderr, &mut self.stderr_lines) => self.take_stderr(read, cx).await?,
                }
            }
            Ok::<_, SourceError>(())
        };
        // Whatever goes wrong now, the group has to end; what could not be committed is counted already.
        if tokio::time::timeout(STOP_GRACE, last_words).await.is_err() {
            let _ = self.waiting.take_rest(&mut self.stdout_lines, &self.headers[0], cx).await;
        }
        let _ = self.waiting.commit(cx).await;
        self.process.signal(Signal::KILL);
        let _ = self.process.child.wait().await;
        self.process.release();
        Ok(Ending::Stopped)
    }

    async fn commit(&mut self, cx: &SourceContext) -> Result<(), SourceError> {
        stopping_is_no_failure(self.waiting.commit(cx).await, cx)
    }

    async fn take_stdout(&mut self, read: io::Result<usize>, cx: &SourceContext) -> Result<(), SourceError> {
        let read = read.map_err(|error| SourceError::failed("cannot read the command's output", error))?;
        let lines = &mut self.stdout_lines;
        let taken = if read == 0 {
            self.stdout = None;
            self.waiting.take_rest(lines, &self.headers[0], cx).await
        } else {
            self.waiting.take_lines(lines, &self.headers[0], cx).await
        };
        stopping_is_no_failure(taken, cx)
    }

    async fn take_stderr(&mut self, read: io::Result<usize>, cx: &SourceContext) -> Result<(), SourceError> {
        let read = read.map_err(|error| SourceError::failed("cannot read the command's errors", error))?;
        let lines = &mut self.stderr_lines;
        if read == 0 {
            self.stderr = None;
        }
        if self.stderr_goes_to == Stderr::Events {
            let taken = match read {
                0 => self.waiting.take_rest(lines, &self.headers[1], cx).await,
                _ => self.waiting.take_lines(lines, &self.headers[1], cx).await,
            };
            return stopping_is_no_failure(taken, cx);
        }
        let log = |line: &[u8]| {
            tracing::info!(source = %cx.name, line = %String::from_utf8_lossy(line), "stderr");
        };
        lines.cut(usize::MAX, |line| log(&line));
        if read == 0 || lines.waiting().len() > self.waiting.line_bytes_max {
            let rest = lines.take(usize::MAX);
            if !rest.is_empty() {
                log(&rest);
            }
        }
        Ok(())
    }
}

/// Lines that found no room while the source stops are counted; the run is to end in order.
fn stopping_is_no_failure(
    result: Result<(), millrace_core::ProcessError>,
    cx: &SourceContext,
) -> Result<(), SourceError> {
    match result {
        Err(_) if cx.shutdown.is_cancelled() => Ok(()),
        result => Ok(result?),
    }
}

/// Reads one block; for ever where there is nothing to read from.
///
/// # Cancel safety
/// A dropped call has read nothing.
async fn read(from: &mut Option<impl AsyncReadExt + Unpin>, lines: &mut LineCutter) -> io::Result<usize> {
    let Some(from) = from else { return std::future::pending().await };
    let read = from.read_buf(lines.room()).await?;
    lines.read(read);
    Ok(read)
}
