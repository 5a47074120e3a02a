//! Lines over TCP, one event each, answered with `OK` once they are committed.
//!
//! - All complete lines that have arrived form one batch; the answers come after its commit, one a line, in order.
//! - While the channel is full nothing is read, so the client is held back; Flume's `FAILED` answer remains for
//!   lines that a stopping agent could not commit.
//! - Only the line feed is cut off: a carriage return stays in the body, as in Flume. An empty line is an event.
//! - A last line without a line feed is an event too when the client closes; Flume loses it.
//! - Bodies in UTF-8 are passed on byte by byte, valid or not; other encodings are turned into UTF-8.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Listen, Source, SourceContext, SourceError, SourceFactory};

use crate::{charset::Charset, sources::listener};
use connection::Connection;

mod connection;
mod decoder;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Address to listen on"),
    OptionSpec::with_default(
        "max-line-length",
        OptionKind::Integer { min: 1, max: 1 << 30 },
        "512",
        "Longest line in characters, its line feed included; a longer one closes the connection",
    ),
    OptionSpec::with_default(
        "ack-every-event",
        OptionKind::Boolean,
        "#true",
        "Answers `OK` to every line that was committed",
    ),
    OptionSpec::with_default("encoding", OptionKind::Text, "utf-8", "Character set of the lines"),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Most lines committed together",
    ),
    OptionSpec::with_default(
        "connections-max",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Most connections at the same time; further ones wait",
    ),
    OptionSpec::optional(
        "idle-timeout",
        OptionKind::Duration,
        "Closes a connection that sends nothing, or takes no answers, for so long",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "netcat",
    summary: "Listens for lines over TCP and answers each once it is committed",
    options: OPTIONS,
    open: false,
    example: "netcat \"lines\" channel=\"durable\" { listen \"127.0.0.1:44444\" }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let charset = Charset::option(section, "encoding")?;
    if matches!(charset, Charset::Utf32(_)) {
        let reason = "`netcat` does not read lines in UTF-32";
        return Err(
            Diagnostic::error("components::unknown-charset", section.span_of("encoding"), reason).into()
        );
    }
    Ok(Box::new(NetcatSource {
        listen: section.text("listen").to_owned(),
        connections_max: section.count("connections-max"),
        rules: Arc::new(Rules {
            line_length_max: section.count("max-line-length"),
            acknowledge: section.boolean("ack-every-event"),
            charset,
            batch_events_max: section.count("batch-size"),
            idle: section.optional_duration("idle-timeout"),
        }),
    }))
}

struct NetcatSource {
    listen: String,
    connections_max: usize,
    rules: Arc<Rules>,
}

/// What holds for every connection.
struct Rules {
    line_length_max: usize,
    acknowledge: bool,
    charset: Charset,
    batch_events_max: usize,
    idle: Option<Duration>,
}

#[async_trait]
impl Source for NetcatSource {
    fn listens(&self) -> Vec<Listen> {
        vec![Listen::Tcp(self.listen.clone())]
    }

    async fn run(self: Box<Self>, mut cx: SourceContext) -> Result<(), SourceError> {
        let listener = cx.tcp_listener()?;
        let metrics = cx.metrics.clone();
        listener::serve(listener, self.connections_max, &cx, |stream, peer| {
            let connection = Connection::new(
                stream,
                Arc::clone(&self.rules),
                cx.processor.clone(),
                cx.shutdown.clone(),
                metrics.clone(),
            );
            let name = cx.name.clone();
            async move {
                if let Err(error) = connection.run().await {
                    tracing::debug!(source = %name, %peer, %error, "connection ended");
                }
            }
        })
        .await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
