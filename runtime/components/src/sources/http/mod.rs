//! Events by HTTP: one request is one batch, and its answer comes after the commit.
//!
//! | status | when |
//! |---|---|
//! | 200 | all required channels have committed; no body |
//! | 400 | the JSON cannot be read or has the wrong shape, the compression is damaged |
//! | 403 | `OPTIONS` or `TRACE` |
//! | 405 | any other method than `POST`, and than `GET` and `HEAD` where these bring something |
//! | 408 | the body did not arrive within `read-timeout` |
//! | 413 | the body is larger than `body-max`, or the batch larger than a channel could ever hold |
//! | 415 | a content encoding other than gzip and deflate |
//! | 500 | a character set the `json` form does not know, no events at all (an empty body, `null`), a mandatory parameter missing |
//! | 503 | a channel or interceptor refused for now, or `bodies-max` is reached: try again after `Retry-After` seconds |
//!
//! Any path is accepted. As in Flume, `GET` with a body (or, for `blob`, with a query) is treated like `POST`, and
//! the statuses above are Flume's. What Flume answers with 500, or takes for an event, although nobody means to send
//! one (the `GET` of a browser or of a probe) is refused by its method here. A client that gets anything but 200 may send the same request again: nothing was
//! acknowledged. Errors say why in a line of text.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hyper_util::rt::{TokioIo, TokioTimer};
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Listen, Source, SourceContext, SourceError, SourceFactory};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::sources::listener;
use request::Requests;

mod blob;
mod body;
mod json;
mod request;

/// What a connection may hold of a request's head, and of its body at once.
const CONNECTION_BYTES_MAX: usize = 64 << 10;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Address to listen on"),
    OptionSpec::with_default(
        "handler",
        OptionKind::Choice(&["json", "blob"]),
        "json",
        "`json`: a list of events with headers and body; `blob`: the body is one event, the query its headers",
    ),
    OptionSpec::optional(
        "mandatory-parameters",
        OptionKind::Texts,
        "Query parameters without which `blob` refuses a request",
    ),
    OptionSpec::with_default("body-max", OptionKind::Size, "16MiB", "Largest body, also when unpacked"),
    OptionSpec::with_default(
        "bodies-max",
        OptionKind::Size,
        "256MiB",
        "What the bodies of all requests together may take",
    ),
    OptionSpec::with_default(
        "headers-max",
        OptionKind::Integer { min: 0, max: 1_000_000 },
        "1000",
        "Most headers of one event",
    ),
    OptionSpec::with_default(
        "connections-max",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1000",
        "Most connections at the same time; further ones wait",
    ),
    OptionSpec::with_default(
        "header-timeout",
        OptionKind::Duration,
        "30s",
        "Longest time until the head of the next request is there; an idle connection is closed after it",
    ),
    OptionSpec::with_default(
        "read-timeout",
        OptionKind::Duration,
        "30s",
        "Longest time until the body of a request is there",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "http",
    summary: "Takes events by HTTP and answers once they are committed",
    options: OPTIONS,
    open: false,
    example: "http \"ingest\" channel=\"durable\" { listen \"0.0.0.0:5080\" }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let bytes = |option: &str| usize::try_from(section.size(option)).unwrap_or(usize::MAX);
    let parameters = section.texts("mandatory-parameters").iter().map(|name| name.value.clone()).collect();
    Ok(Box::new(HttpSource {
        listen: section.text("listen").to_owned(),
        connections_max: section.count("connections-max"),
        header_timeout: section.duration("header-timeout"),
        rules: Rules {
            form: match section.text("handler") {
                "blob" => Form::Blob { mandatory: parameters },
                _ => Form::Json,
            },
            body_bytes_max: bytes("body-max"),
            bodies_bytes_max: bytes("bodies-max").min(Semaphore::MAX_PERMITS),
            headers_max: section.count("headers-max"),
            read_timeout: section.duration("read-timeout"),
        },
    }))
}

struct HttpSource {
    listen: String,
    connections_max: usize,
    header_timeout: Duration,
    rules: Rules,
}

/// What holds for every request.
struct Rules {
    form: Form,
    body_bytes_max: usize,
    bodies_bytes_max: usize,
    headers_max: usize,
    read_timeout: Duration,
}

/// How events stand in a request.
enum Form {
    Json,
    Blob { mandatory: Vec<String> },
}

#[async_trait]
impl Source for HttpSource {
    fn listens(&self) -> Vec<Listen> {
        vec![Listen::Tcp(self.listen.clone())]
    }

    async fn run(self: Box<Self>, mut cx: SourceContext) -> Result<(), SourceError> {
        let listener = cx.tcp_listener()?;
        let requests = Arc::new(Requests::new(self.rules, &cx));
        listener::serve(listener, self.connections_max, &cx, |stream, peer| {
            let (requests, shutdown) = (Arc::clone(&requests), cx.shutdown.clone());
            let (header_timeout, name) = (self.header_timeout, cx.name.clone());
            async move {
                if let Err(error) = connection(stream, requests, header_timeout, shutdown).await {
                    tracing::debug!(source = %name, %peer, %error, "connection ended");
                }
            }
        })
        .await;
        Ok(())
    }
}

/// Serves one client. At shutdown the request in hand is answered, then the connection is closed.
async fn connection(
    stream: TcpStream,
    requests: Arc<Requests>,
    header_timeout: Duration,
    shutdown: CancellationToken,
) -> Result<(), hyper::Error> {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| {
        let requests = Arc::clone(&requests);
        async move { Ok::<_, std::convert::Infallible>(requests.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(CONNECTION_BYTES_MAX)
        // A client may close its side behind the last request and still wait for the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

#[cfg(test)]
mod tests;
