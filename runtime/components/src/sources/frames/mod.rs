//! Frames over TCP, cut and decoded by a codec plugin: for protocols that the agent does not know.
//!
//! - What has arrived in whole frames is one batch, committed before more is read: a full channel holds the client back.
//! - A frame that the codec refuses goes to the dead-letter channel as it came; the others of its batch are not held up.
//! - Bytes that are no such stream, and frames over the limit, close the connection.
//! - The protocol is the client's and has no answers here: what a client has sent and what the agent had not read when
//!   one of them stopped is lost to it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Codec, Listen, Source, SourceContext, SourceError, SourceFactory};

use crate::sources::listener;
use connection::Connection;

mod connection;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Address to listen on"),
    OptionSpec::required(
        "codec",
        OptionKind::Plugin,
        "The plugin that cuts and decodes, with its own options",
    ),
    OptionSpec::with_default(
        "frame-bytes-max",
        OptionKind::Size,
        "16MiB",
        "Largest frame; a connection whose next frame is larger is closed",
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
        "Closes a connection that sends nothing for so long",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "frames",
    summary: "Listens for frames over TCP that a codec plugin cuts and decodes",
    options: OPTIONS,
    open: false,
    example: "frames \"meters\" channel=\"durable\" {\n    listen \"127.0.0.1:5170\"\n    codec \"meter-frames\"\n}",
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(FramesSource {
        listen: section.text("listen").to_owned(),
        connections_max: section.count("connections-max"),
        rules: Rules {
            codec: cx.codec(section)?,
            frame_bytes_max: usize::try_from(section.size("frame-bytes-max")).unwrap_or(usize::MAX),
            idle: section.optional_duration("idle-timeout"),
        },
    }))
}

struct FramesSource {
    listen: String,
    connections_max: usize,
    rules: Rules,
}

/// What holds for every connection.
#[derive(Clone)]
struct Rules {
    codec: Arc<dyn Codec>,
    frame_bytes_max: usize,
    idle: Option<Duration>,
}

#[async_trait]
impl Source for FramesSource {
    fn listens(&self) -> Vec<Listen> {
        vec![Listen::Tcp(self.listen.clone())]
    }

    async fn run(self: Box<Self>, mut cx: SourceContext) -> Result<(), SourceError> {
        let listener = cx.tcp_listener()?;
        listener::serve(listener, self.connections_max, &cx, |stream, peer| {
            let connection = Connection::new(
                stream,
                self.rules.clone(),
                cx.processor.clone(),
                cx.shutdown.clone(),
                cx.metrics.clone(),
            );
            let name = cx.name.clone();
            async move {
                if let Err(error) = connection.run().await {
                    tracing::warn!(source = %name, %peer, %error, "connection ended");
                }
            }
        })
        .await;
        self.rules.codec.close().await;
        Ok(())
    }
}
