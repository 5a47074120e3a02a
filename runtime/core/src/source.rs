//! Sources: where events enter the agent.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytestring::ByteString;
use tokio_util::sync::CancellationToken;

use crate::{
    channel_processor::ChannelProcessor, clock::Clock, error::SourceError, health::Health,
    metrics::SourceMetrics, position::Positions,
};

/// Something that brings events in.
#[async_trait]
pub trait Source: Send {
    /// The sockets this source listens on. The engine binds them before the source starts and keeps them over a
    /// reload, so that no connection is refused while one source follows another.
    fn listens(&self) -> Vec<Listen> {
        Vec::new()
    }

    /// Whether it may come to an end: return by itself, or have read everything for now and say so
    /// ([`crate::HealthState::Idle`]). A source that waits for others to connect never does.
    fn may_end(&self) -> bool {
        self.listens().is_empty()
    }

    /// Runs until `cx.shutdown` is cancelled, then finishes the batch in hand and returns. A source that has
    /// read everything there will ever be returns `Ok` earlier.
    ///
    /// A producer is acknowledged only after `cx.process` returned `Ok`.
    ///
    /// # Errors
    /// The supervisor builds the source anew and runs it after a pause.
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError>;
}

/// A socket to be bound: `host:port`; port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// A TCP listener.
    Tcp(String),
    /// A UDP socket.
    Udp(String),
}

/// A bound socket, non-blocking, shared with the engine.
#[derive(Debug)]
pub enum BoundSocket {
    /// A TCP listener.
    Tcp(std::net::TcpListener),
    /// A UDP socket.
    Udp(std::net::UdpSocket),
}

/// What a running source has.
pub struct SourceContext {
    /// The source's name.
    pub name: ByteString,
    /// The way into the channels. Cheap to clone, one for every connection.
    pub processor: ChannelProcessor,
    /// Cancelled when the source shall finish.
    pub shutdown: CancellationToken,
    /// The sockets asked for by [`Source::listens`], in that order.
    pub sockets: Vec<BoundSocket>,
    /// Where the source stood when it last committed.
    pub positions: Positions,
    /// A folder of the source's own, created on first use by the source.
    pub data_dir: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: SourceMetrics,
    /// Where the source reports trouble it lives with.
    pub health: Health,
}

impl SourceContext {
    /// The next TCP listener, as a tokio one.
    ///
    /// # Errors
    /// The source asked for none, or the runtime refuses the socket.
    pub fn tcp_listener(&mut self) -> Result<tokio::net::TcpListener, SourceError> {
        let at = self.sockets.iter().position(|socket| matches!(socket, BoundSocket::Tcp(_)));
        match at.map(|at| self.sockets.remove(at)) {
            Some(BoundSocket::Tcp(listener)) => tokio::net::TcpListener::from_std(listener)
                .map_err(|error| SourceError::failed("cannot use the listener", error)),
            _ => Err(SourceError::failed("cannot use the listener", "no TCP socket was asked for")),
        }
    }

    /// The next UDP socket, as a tokio one.
    ///
    /// # Errors
    /// The source asked for none, or the runtime refuses the socket.
    pub fn udp_socket(&mut self) -> Result<tokio::net::UdpSocket, SourceError> {
        let at = self.sockets.iter().position(|socket| matches!(socket, BoundSocket::Udp(_)));
        match at.map(|at| self.sockets.remove(at)) {
            Some(BoundSocket::Udp(socket)) => tokio::net::UdpSocket::from_std(socket)
                .map_err(|error| SourceError::failed("cannot use the socket", error)),
            _ => Err(SourceError::failed("cannot use the socket", "no UDP socket was asked for")),
        }
    }
}
