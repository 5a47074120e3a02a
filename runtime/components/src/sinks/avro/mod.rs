//! `avro`: sends events to the next agent over Flume's Avro RPC.
//!
//! One connection, one request in flight: a batch is delivered when the other side has answered OK, which it
//! does after its channels committed. Any other outcome leaves the delivery in doubt, closes the connection
//! and lets the same events come again. Several requests at the same time are the engine's business
//! (`concurrency`).

use std::time::Duration;

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Sink, SinkError, SinkFactory};
use tokio::time::{Instant, timeout};

use self::connection::{CallError, Connection};
use crate::avro_rpc::{Compression, Hash, Response, Status};

mod connection;

#[cfg(test)]
mod tests;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("connect", OptionKind::Address, "Address of the next agent's avro source"),
    OptionSpec::with_default(
        "connect-timeout",
        OptionKind::Duration,
        "20s",
        "Time for looking up the name and connecting",
    ),
    OptionSpec::with_default(
        "request-timeout",
        OptionKind::Duration,
        "20s",
        "Time for sending a batch and getting its answer",
    ),
    OptionSpec::with_default(
        "reset-connection-interval",
        OptionKind::Duration,
        "0s",
        "Age at which the connection is opened anew, for balancers in between; 0s for never",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "deflate"]),
        "none",
        "Compression of both directions; must be the same as the other side's",
    ),
    OptionSpec::with_default(
        "compression-level",
        OptionKind::Integer { min: 0, max: 9 },
        "6",
        "Effort of deflate, from 0 (none) to 9 (most)",
    ),
];

/// Declares the sink.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "avro",
    summary: "Sends events to the next agent over Flume's Avro RPC",
    options: OPTIONS,
    open: false,
    example: r#"avro "next" channel="durable" {
    connect "collector-1:4141"
    compression "deflate"
    batch events=1000
}"#,
    build,
};

struct AvroSink {
    address: String,
    connect_timeout: Duration,
    request_timeout: Duration,
    reset_interval: Option<Duration>,
    compression: Compression,
    /// Taken out for a request, so that one that fails or is dropped leaves none behind.
    connection: Option<Connection>,
    /// The digest of the server's protocol, as far as known; spares a round next time.
    server_hash: Hash,
}

fn build(section: &Section, _context: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let reset_interval = section.duration("reset-connection-interval");
    let level = u32::try_from(section.integer("compression-level")).unwrap_or(6);
    Ok(Box::new(AvroSink {
        address: section.text("connect").to_owned(),
        connect_timeout: section.duration("connect-timeout"),
        request_timeout: section.duration("request-timeout"),
        reset_interval: (!reset_interval.is_zero()).then_some(reset_interval),
        compression: match section.text("compression") {
            "deflate" => Compression::Deflate(level),
            _ => Compression::None,
        },
        connection: None,
        server_hash: crate::avro_rpc::MD5,
    }))
}

impl AvroSink {
    /// The connection that is open, unless it is too old or the other side has closed it; else a new one.
    async fn connected(&mut self) -> Result<Connection, SinkError> {
        if let Some(connection) = self.connection.take() {
            let is_old = self.reset_interval.is_some_and(|age| connection.opened().elapsed() >= age);
            if !is_old && connection.is_open() {
                return Ok(connection);
            }
            tracing::debug!(address = self.address, is_old, "connecting anew");
        }
        let opening = Connection::open(&self.address, self.compression);
        match timeout(self.connect_timeout, opening).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                Err(SinkError::retryable(format!("cannot connect to {}: {error}", self.address)))
            }
            Err(_) => Err(SinkError::retryable(format!(
                "cannot connect to {}: no answer within {:?}",
                self.address, self.connect_timeout
            ))),
        }
    }
}

#[async_trait]
impl Sink for AvroSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut connection = self.connected().await?;
        let begun = Instant::now();
        let call = connection.append_batch(batch.events(), &mut self.server_hash);
        let response = match timeout(self.request_timeout, call).await {
            Ok(Ok(response)) => response,
            // No connection will ever carry it.
            Ok(Err(CallError::TooLarge(error))) => {
                return Err(SinkError::rejected(format!("{}: {error}", self.address)));
            }
            Ok(Err(CallError::Failed(error))) => {
                return Err(SinkError::retryable(format!("{}: {error}", self.address)));
            }
            Err(_) => {
                return Err(SinkError::retryable(format!(
                    "{}: no answer within {:?}",
                    self.address,
                    begun.elapsed()
                )));
            }
        };
        match response {
            Response::Status(Status::Ok) => {
                self.connection = Some(connection);
                Ok(())
            }
            // A new connection may lead to another agent behind the same name.
            Response::Status(status) => Err(SinkError::retryable(format!(
                "{} did not accept the batch: status {status:?}",
                self.address
            ))),
            Response::Error(reason) => {
                Err(SinkError::retryable(format!("{} refused the call: {reason}", self.address)))
            }
        }
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_open()) {
            self.connection = None;
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
        Ok(())
    }
}
