//! Lines in UDP datagrams.
//!
//! UDP cannot hold its sender back. While the channel is full a batch waits for `full-wait`, during which the
//! system's own queue takes what arrives; then the batch is dropped, and counted.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use memchr::memchr;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{
    Batch, BuildContext, ByteString, Event, Headers, Listen, ProcessError, Source, SourceContext,
    SourceError, SourceFactory,
};
use tokio::net::UdpSocket;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Datagrams are received one behind the other into blocks of this size.
const BLOCK_BYTES: usize = 256 << 10;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Address to listen on"),
    OptionSpec::with_default(
        "lines",
        OptionKind::Choice(&["all", "first", "whole"]),
        "all",
        "Which part of a datagram: each line an event, the first line only (as Flume), or the whole as one event",
    ),
    OptionSpec::optional(
        "remote-address",
        OptionKind::Text,
        "Header that takes the sender as `ip:port`; without it no header is set",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 100_000 },
        "1000",
        "Most datagrams committed together",
    ),
    OptionSpec::with_default(
        "full-wait",
        OptionKind::Duration,
        "1s",
        "How long a batch waits for a full channel before it is dropped",
    ),
    OptionSpec::optional("receive-buffer", OptionKind::Size, "Size of the system's queue for the socket"),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "netcatudp",
    summary: "Listens for datagrams and makes an event of each line",
    options: OPTIONS,
    open: false,
    example: "netcatudp \"datagrams\" channel=\"fast\" { listen \"0.0.0.0:6666\" }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(NetcatUdpSource {
        listen: section.text("listen").to_owned(),
        lines: match section.text("lines") {
            "first" => Lines::First,
            "whole" => Lines::Whole,
            _ => Lines::All,
        },
        sender_header: section.optional_text("remote-address").map(|name| name.to_owned().into()),
        batch_datagrams_max: section.count("batch-size"),
        full_wait: section.duration("full-wait"),
        receive_bytes: section.optional_size("receive-buffer"),
    }))
}

struct NetcatUdpSource {
    listen: String,
    lines: Lines,
    sender_header: Option<ByteString>,
    batch_datagrams_max: usize,
    full_wait: Duration,
    receive_bytes: Option<u64>,
}

#[derive(Clone, Copy)]
enum Lines {
    All,
    First,
    Whole,
}

#[async_trait]
impl Source for NetcatUdpSource {
    fn listens(&self) -> Vec<Listen> {
        vec![Listen::Udp(self.listen.clone())]
    }

    async fn run(self: Box<Self>, mut cx: SourceContext) -> Result<(), SourceError> {
        let socket = cx.udp_socket()?;
        if let Some(bytes) = self.receive_bytes {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            socket2::SockRef::from(&socket)
                .set_recv_buffer_size(bytes)
                .map_err(|error| SourceError::failed("cannot set the size of the receive queue", error))?;
        }
        let mut block = BytesMut::new();
        loop {
            let mut events = Vec::new();
            tokio::select! {
                biased;
                readable = socket.readable() => {
                    readable.map_err(|error| SourceError::failed("cannot receive", error))?;
                    self.receive(&socket, &mut block, &mut events, &cx)?;
                }
                () = cx.shutdown.cancelled() => return Ok(()),
            }
            if !events.is_empty() {
                self.commit(events, &cx).await;
            }
            if cx.shutdown.is_cancelled() {
                return self.drain(&socket, block, &cx).await;
            }
        }
    }
}

impl NetcatUdpSource {
    /// Takes the datagrams that have arrived, up to a batch.
    fn receive(
        &self,
        socket: &UdpSocket,
        block: &mut BytesMut,
        events: &mut Vec<Event>,
        cx: &SourceContext,
    ) -> Result<(), SourceError> {
        for _ in 0..self.batch_datagrams_max {
            if block.capacity() - block.len() < DATAGRAM_BYTES_MAX {
                block.reserve(BLOCK_BYTES);
            }
            match socket.try_recv_buf_from(block) {
                Ok((_, sender)) => {
                    let headers = match &self.sender_header {
                        Some(name) => [(name.clone(), sender.to_string().into())].into_iter().collect(),
                        None => Headers::default(),
                    };
                    self.cut(block.split().freeze(), &headers, events);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // An answer of ours that nobody wanted comes back as an error of the next receive.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    cx.metrics.read_failures.inc();
                }
                Err(error) => return Err(SourceError::failed("cannot receive", error)),
            }
        }
        Ok(())
    }

    fn cut(&self, datagram: Bytes, headers: &Headers, events: &mut Vec<Event>) {
        let mut rest = datagram;
        if matches!(self.lines, Lines::Whole) {
            events.push(Event::with_headers(headers.clone(), rest));
            return;
        }
        while let Some(end) = memchr(b'\n', &rest) {
            let line = rest.split_to(end);
            let _ = rest.split_to(1);
            events.push(Event::with_headers(headers.clone(), line));
            if rest.is_empty() || matches!(self.lines, Lines::First) {
                return;
            }
        }
        events.push(Event::with_headers(headers.clone(), rest));
    }

    async fn commit(&self, events: Vec<Event>, cx: &SourceContext) {
        let count = events.len() as u64;
        if let Err(error) = self.accept(Batch::new(events), cx).await {
            cx.metrics.events_dropped.inc_by(count);
            tracing::warn!(source = %cx.name, events = count, %error, "events dropped: the channel stayed full");
        }
    }

    /// Tries for as long as a batch may wait. The attempt in hand is never cut off: it could be a commit.
    async fn accept(&self, batch: Batch, cx: &SourceContext) -> Result<(), ProcessError> {
        let patience = cx.shutdown.child_token();
        let attempt = cx.processor.accept(batch, &patience);
        tokio::pin!(attempt);
        tokio::select! {
            result = &mut attempt => return result,
            () = tokio::time::sleep(self.full_wait) => patience.cancel(),
        }
        attempt.await
    }

    /// What the system has queued when the agent stops, once.
    async fn drain(
        &self,
        socket: &UdpSocket,
        mut block: BytesMut,
        cx: &SourceContext,
    ) -> Result<(), SourceError> {
        let mut events = Vec::new();
        self.receive(socket, &mut block, &mut events, cx)?;
        if !events.is_empty() {
            self.commit(events, cx).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
