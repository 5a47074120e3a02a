//! `avro`: takes events from Flume agents, Flume clients, other agents of this kind and any Avro IPC client.
//!
//! A call is answered OK only after every required channel has committed its events. Connections are
//! independent of each other; what one of them sends can close that connection, never more.
//!
//! Bounds: connections, bytes of a frame, events and headers of a request, requests in flight per connection,
//! bytes in flight of all connections, time for a frame, idle time.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, HealthState, Listen, Source, SourceContext, SourceError, SourceFactory};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

use self::{budget::Budget, connection::Connection, ip_filter::IpFilter, known_clients::KnownClients};
use crate::avro_rpc::{Compression, EventLimits, FrameLimits};

mod budget;
mod connection;
mod ip_filter;
mod known_clients;

#[cfg(test)]
mod tests;

/// Flume compresses its answers with this level.
const ANSWER_COMPRESSION_LEVEL: u32 = 6;
/// Headers of a request, for each event that it may have: far more than agents send.
const HEADERS_PER_EVENT_MAX: usize = 16;
/// Pause after an `accept` that failed, for instance because there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Address to listen on"),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "deflate"]),
        "none",
        "Compression of both directions; every client must use the same",
    ),
    OptionSpec::with_default(
        "frame-max",
        OptionKind::Size,
        "64MiB",
        "Largest request; a larger one closes the connection",
    ),
    OptionSpec::with_default(
        "events-max",
        OptionKind::Integer { min: 1, max: 10_000_000 },
        "100000",
        "Largest number of events in one request; a larger one is refused",
    ),
    OptionSpec::with_default(
        "bytes-in-flight-max",
        OptionKind::Size,
        "256MiB",
        "Bytes of all requests being received or waiting for their channels; at this limit reading pauses",
    ),
    OptionSpec::with_default(
        "requests-in-flight-max",
        OptionKind::Integer { min: 1, max: 1024 },
        "16",
        "Requests of one connection worked on at the same time; 1 keeps the order of clients that do not wait for answers",
    ),
    OptionSpec::with_default(
        "connections-max",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Connections at the same time; further ones are closed at once",
    ),
    OptionSpec::with_default(
        "idle-timeout",
        OptionKind::Duration,
        "30m",
        "Time after which a connection that sends nothing is closed; 0s for never",
    ),
    OptionSpec::with_default(
        "frame-timeout",
        OptionKind::Duration,
        "60s",
        "Time a request may take from its first byte to its last, and an answer to be sent",
    ),
    OptionSpec::optional(
        "ip-filter",
        OptionKind::Texts,
        "Rules allow|deny:ip|name:pattern, the first that matches decides; without a match a client is allowed",
    ),
];

/// Declares the source.
pub const FACTORY: SourceFactory = SourceFactory {
    name: "avro",
    summary: "Takes events over Flume's Avro RPC from agents and clients",
    options: OPTIONS,
    open: false,
    example: r#"avro "collector" channel="durable" {
    listen "0.0.0.0:4141"
    compression "deflate"
    ip-filter "allow:ip:10.0.0.0/8" "deny:ip:*"
}"#,
    build,
};

/// What every connection needs to know.
#[derive(Debug, Clone)]
struct Settings {
    compression: Compression,
    frame_limits: FrameLimits,
    event_limits: EventLimits,
    requests_in_flight_max: usize,
    idle_timeout: Option<Duration>,
    frame_timeout: Duration,
}

struct AvroSource {
    listen: String,
    settings: Arc<Settings>,
    connections_max: usize,
    bytes_in_flight_max: usize,
    ip_filter: Arc<IpFilter>,
}

fn build(section: &Section, _context: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let mut findings = Diagnostics::default();
    let mut ip_filter = IpFilter::default();
    for rule in section.texts("ip-filter") {
        if let Err(reason) = ip_filter.add(&rule.value) {
            findings.push(
                Diagnostic::error("avro::ip-filter", rule.span, reason)
                    .label("not a rule")
                    .help(r#"write a rule such as "allow:ip:10.0.0.0/8" or "deny:ip:*""#),
            );
        }
    }
    let frame_bytes_max = usize::try_from(section.size("frame-max")).unwrap_or(usize::MAX);
    let bytes_in_flight_max = usize::try_from(section.size("bytes-in-flight-max")).unwrap_or(usize::MAX);
    if bytes_in_flight_max / 2 < frame_bytes_max {
        findings.push(
            Diagnostic::error(
                "avro::in-flight",
                section.span_of("bytes-in-flight-max"),
                "bytes-in-flight-max leaves no room for a request of the size of frame-max",
            )
            .label("smaller than twice frame-max")
            .help("give at least twice frame-max, or make frame-max smaller"),
        );
    }
    if findings.has_errors() {
        return Err(findings);
    }
    let events_max = section.count("events-max");
    let idle_timeout = section.duration("idle-timeout");
    let settings = Settings {
        compression: match section.text("compression") {
            "deflate" => Compression::Deflate(ANSWER_COMPRESSION_LEVEL),
            _ => Compression::None,
        },
        frame_limits: FrameLimits { frame_bytes_max },
        event_limits: EventLimits {
            events_max,
            headers_max: events_max.saturating_mul(HEADERS_PER_EVENT_MAX).max(4096),
        },
        requests_in_flight_max: section.count("requests-in-flight-max"),
        idle_timeout: (!idle_timeout.is_zero()).then_some(idle_timeout),
        frame_timeout: section.duration("frame-timeout"),
    };
    Ok(Box::new(AvroSource {
        listen: section.text("listen").to_owned(),
        settings: Arc::new(settings),
        connections_max: section.count("connections-max"),
        bytes_in_flight_max,
        ip_filter: Arc::new(ip_filter),
    }))
}

#[async_trait]
impl Source for AvroSource {
    fn listens(&self) -> Vec<Listen> {
        vec![Listen::Tcp(self.listen.clone())]
    }

    async fn run(self: Box<Self>, mut cx: SourceContext) -> Result<(), SourceError> {
        let listener = cx.tcp_listener()?;
        let places = Arc::new(Semaphore::new(self.connections_max));
        let budget = Budget::new(self.bytes_in_flight_max, self.settings.frame_limits.frame_bytes_max);
        let known_clients = Arc::new(KnownClients::default());
        let is_failing = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        let mut is_full = false;
        cx.health.set(HealthState::Running);
        loop {
            let accepted = tokio::select! {
                () = cx.shutdown.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(source = %cx.name, %error, "cannot accept a connection");
                    cx.health.failed(cx.clock.now(), &error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                cx.metrics.read_failures.inc();
                if !is_full {
                    let max = self.connections_max;
                    tracing::warn!(source = %cx.name, %peer, max, "connection closed: there are as many as allowed");
                }
                is_full = true;
                continue;
            };
            is_full = false;
            prepare(&stream);
            let filter = Arc::clone(&self.ip_filter);
            let (name, metrics) = (cx.name.clone(), cx.metrics.clone());
            let connection = Connection {
                settings: Arc::clone(&self.settings),
                budget: budget.clone(),
                known_clients: Arc::clone(&known_clients),
                processor: cx.processor.clone(),
                metrics: cx.metrics.clone(),
                name: cx.name.clone(),
                peer,
                health: cx.health.clone(),
                clock: Arc::clone(&cx.clock),
                is_failing: Arc::clone(&is_failing),
                shutdown: cx.shutdown.clone(),
            };
            connections.spawn(async move {
                let _place = place;
                if !filter.allows(peer.ip()).await {
                    metrics.read_failures.inc();
                    tracing::warn!(source = %name, %peer, "connection closed: denied by ip-filter");
                    return;
                }
                connection.serve(stream).await;
            });
        }
        // Connections see the shutdown themselves and answer what they have begun.
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// Answers go out at once, and a peer that vanished is noticed some time. Neither is worth an error.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_keepalive(true);
}
