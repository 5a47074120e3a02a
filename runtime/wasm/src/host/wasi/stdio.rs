//! Standard output and standard error: lines in the plugin's log.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::{bindings::Level, host::GuestLog};

/// Bytes that a guest may write at once, as it is told.
const WRITE_BYTES_MAX: usize = 4096;

/// A line that is longer is cut into several.
const LINE_BYTES_MAX: usize = 2048;

/// One of the two streams. Clones write to the same lines.
#[derive(Clone)]
pub(super) struct LogStream {
    log: Arc<Mutex<GuestLog>>,
    level: Level,
    /// The line under way: guests write in pieces.
    line: Arc<Mutex<Vec<u8>>>,
}

impl LogStream {
    pub(super) fn new(log: Arc<Mutex<GuestLog>>, level: Level) -> Self {
        Self { log, level, line: Arc::default() }
    }

    fn print(&self, bytes: &[u8]) {
        let mut line = self.line.lock();
        for byte in bytes {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LINE_BYTES_MAX {
                let whole = std::mem::take(&mut *line);
                self.log.lock().print(self.level, &String::from_utf8_lossy(&whole));
            }
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
