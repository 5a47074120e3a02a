//! Runs one source in front of a recording channel, and runs it again as after a restart.

use std::{net::SocketAddr, path::Path, sync::Arc};

use millrace_core::{
    BoundSocket, BuildContext, ChannelProcessor, Health, Listen, Pipeline, PipelineChannel, Route, Selector,
    Source, SourceContext, SourceError, SourceFactory,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{MemoryPositions, RecordingChannel, TestClock, build_context, section};

/// A running source, the channel it fills, and what it was built from.
pub struct SourceRig {
    /// What the source committed.
    pub channel: RecordingChannel,
    /// The clock the source sees.
    pub clock: Arc<TestClock>,
    /// Where the source's sockets are, in the order it asked for them.
    pub addresses: Vec<SocketAddr>,
    /// Counters and the rest of what the source was built with.
    pub context: BuildContext,
    /// How the source says it is doing.
    pub health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), SourceError>>,
}

struct Everything;

impl Selector for Everything {
    fn select(&self, _event: &millrace_core::Event) -> Route<'_> {
        Route { required: &[0], optional: &[] }
    }

    fn uniform(&self) -> Option<Route<'_>> {
        Some(Route { required: &[0], optional: &[] })
    }
}

impl SourceRig {
    /// Builds a source from KDL and runs it. Positions in `channel` are those of a former run.
    ///
    /// # Panics
    /// The configuration has a mistake or a socket cannot be bound.
    pub fn start(factory: &SourceFactory, kdl: &str, channel: RecordingChannel, data_dir: &Path) -> Self {
        let clock = Arc::new(TestClock::at(1_700_000_000_000));
        let context = build_context(data_dir, Arc::clone(&clock) as _);
        let source = match (factory.build)(&section(factory.options, kdl), &context) {
            Ok(source) => source,
            Err(findings) => unreachable!("{kdl}: {findings:?}"),
        };
        Self::with_source(source, channel, clock, context)
    }

    /// Runs a source that a test has built by other means.
    ///
    /// # Panics
    /// A socket cannot be bound.
    pub fn with_source(
        source: Box<dyn Source>,
        channel: RecordingChannel,
        clock: Arc<TestClock>,
        context: BuildContext,
    ) -> Self {
        let sockets: Vec<BoundSocket> = source.listens().iter().map(bind).collect();
        let addresses = sockets.iter().map(address).collect();
        let health = Health::default();
        let shutdown = CancellationToken::new();
        let name = context.component.clone();
        let metrics = context.metrics.source(&name);
        let pipeline = Pipeline {
            interceptors: Vec::new(),
            selector: Arc::new(Everything),
            channels: Arc::new([PipelineChannel {
                name: "recording".into(),
                channel: Arc::new(channel.clone()),
            }]),
            dead_letter: Some(PipelineChannel {
                name: "rejects".into(),
                channel: Arc::new(RecordingChannel::default()),
            }),
            position_home: Some(0),
        };
        let store = Arc::new(MemoryPositions::default());
        let processor = ChannelProcessor::new(
            name.clone(),
            pipeline,
            store,
            Arc::clone(&clock) as _,
            metrics.clone(),
            health.clone(),
        );
        let cx = SourceContext {
            name: name.clone(),
            processor,
            shutdown: shutdown.clone(),
            sockets,
            positions: millrace_core::Channel::positions(&channel, &name).unwrap_or_default(),
            data_dir: context.data_dir.clone(),
            clock: Arc::clone(&clock) as _,
            metrics,
            health: health.clone(),
        };
        let task = tokio::spawn(source.run(cx));
        Self { channel, clock, addresses, context, health, shutdown, task }
    }

    /// Asks the source to finish and waits for it.
    ///
    /// # Panics
    /// It does not finish, or it panicked.
    pub async fn stop(self) -> (RecordingChannel, Result<(), SourceError>) {
        self.shutdown.cancel();
        self.finished().await
    }

    /// Waits for a source that ends by itself.
    ///
    /// # Panics
    /// It does not end, or it panicked.
    pub async fn finished(self) -> (RecordingChannel, Result<(), SourceError>) {
        match crate::within("end of the source", self.task).await {
            Ok(result) => (self.channel, result),
            Err(error) => unreachable!("the source panicked: {error}"),
        }
    }

    /// Stops the source in the middle of whatever it does, as a crash would.
    pub async fn kill(self) -> RecordingChannel {
        self.task.abort();
        drop(self.task.await);
        self.channel
    }
}

fn bind(listen: &Listen) -> BoundSocket {
    let bound = match listen {
        Listen::Tcp(address) => std::net::TcpListener::bind(address.as_str())
            .and_then(|socket| socket.set_nonblocking(true).map(|()| BoundSocket::Tcp(socket))),
        Listen::Udp(address) => std::net::UdpSocket::bind(address.as_str())
            .and_then(|socket| socket.set_nonblocking(true).map(|()| BoundSocket::Udp(socket))),
    };
    match bound {
        Ok(socket) => socket,
        Err(error) => unreachable!("{listen:?}: {error}"),
    }
}

fn address(socket: &BoundSocket) -> SocketAddr {
    let address = match socket {
        BoundSocket::Tcp(listener) => listener.local_addr(),
        BoundSocket::Udp(socket) => socket.local_addr(),
    };
    match address {
        Ok(address) => address,
        Err(error) => unreachable!("a bound socket has an address: {error}"),
    }
}
