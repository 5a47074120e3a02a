//! `http`: sends events to an HTTP server, a batch at a time.
//!
//! | format | a request carries | a reply that refuses it |
//! |---|---|---|
//! | `json-array` | the batch as `[{"headers":{…},"body":"…"}, …]`, which `http` sources (Flume's too) understand | sends the events to the dead-letter channel |
//! | `ndjson` | the same objects, one per line | likewise |
//! | `single` | the body of one event, as it is | sends this event there, the others go on |
//!
//! Where address or headers depend on the event, a batch becomes a request for each combination. A batch counts
//! as delivered when every request of it was answered; after a failure in the middle the whole batch comes
//! again, so requests that had succeeded are repeated.
//!
//! Replies: 2xx delivers, 3xx (redirects are not followed), 408, 425, 429 and 5xx try again (not before what
//! `Retry-After` says), other 4xx refuse. `on` overrides this; an exact code beats a class. A refused request
//! of many events with 413 is sent again in halves.
//!
//! Differences from Flume's `http` sink: batches, headers, credentials and compression; 2xx is a success without
//! being told so; an empty body is sent like any other; `request-timeout` is 30 s, since a request carries more.

mod payload;
mod reply;
mod settings;
mod status;

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{Diagnostics, Section};
use millrace_core::{Batch, BuildContext, Clock, Refusal, Sink, SinkError, SinkFactory};
use reqwest::{
    Client, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use crate::escape::{self, Expander, Group};
use payload::{Format, Payload};
use settings::Settings;
use status::Verdict;

/// The sink type.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "http",
    summary: "Sends events to an HTTP server",
    options: settings::OPTIONS,
    open: false,
    example: r#"http "collector" channel="durable" {
    url "https://logs.example.com/ingest/%{app}"
    format "ndjson"
    compression "gzip"
    auth bearer="${env:LOGS_TOKEN}"
    on { "404" "retry" }
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let settings = Settings::new(section)?;
    let client = settings::client(&settings, section)?;
    let expander = Expander::new(settings.templates.clone(), settings.time_rule.clone());
    let lacks_host_names = expander.uses_host_names();
    Ok(Box::new(HttpSink { settings, client, expander, lacks_host_names, clock: Arc::clone(&cx.clock) }))
}

struct HttpSink {
    settings: Settings,
    client: Client,
    expander: Expander,
    /// Whether the resolver has still to be asked for names of this machine.
    lacks_host_names: bool,
    clock: Arc<dyn Clock>,
}

/// Where a group of events goes.
struct Destination {
    url: Url,
    headers: HeaderMap,
}

/// What became of a request.
enum Outcome {
    Delivered,
    Retry { reason: String, after: Option<Duration> },
    Rejected { reason: String, is_too_large: bool },
}

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if self.lacks_host_names {
            // Should this fail, they are looked up in place.
            drop(tokio::task::spawn_blocking(escape::look_up_host_names).await);
            self.lacks_host_names = false;
        }
        let (groups, mut refusals) = escape::group(&mut self.expander, batch, self.clock.now());
        for group in &groups {
            let rows: Vec<usize> = group.runs.iter().cloned().flatten().collect();
            match self.destination(group) {
                Ok(destination) => self.send_rows(batch, rows, &destination, &mut refusals).await?,
                Err(reason) => refuse(&rows, &reason, &mut refusals),
            }
        }
        if refusals.is_empty() {
            return Ok(());
        }
        refusals.sort_by_key(|refusal| refusal.row);
        Err(SinkError::refused(refusals))
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

impl HttpSink {
    fn destination(&self, group: &Group) -> Result<Destination, String> {
        let mut texts = group.place.iter();
        let url = texts.next().map(String::as_str).unwrap_or_default();
        let url = Url::parse(url).map_err(|error| format!("no address: {error}"))?;
        let mut headers = self.settings.fixed_headers.clone();
        for (name, value) in self.settings.header_names.iter().zip(texts) {
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("header {name} would hold characters that HTTP does not allow"))?;
            headers.insert(name.clone(), value);
        }
        Ok(Destination { url, headers })
    }

    /// Sends the events of one group. Rows that are refused are noted; an error says that all come again.
    async fn send_rows(
        &self,
        batch: &Batch,
        rows: Vec<usize>,
        destination: &Destination,
        refusals: &mut Vec<Refusal>,
    ) -> Result<(), SinkError> {
        // What is still to be sent; the next portion is the last.
        let mut portions = match self.settings.format {
            Format::Single => rows.into_iter().rev().map(|row| vec![row]).collect(),
            Format::JsonArray | Format::Ndjson => vec![rows],
        };
        while let Some(portion) = portions.pop() {
            let payload = Payload::new(self.settings.format, self.settings.binary, batch, portion, refusals);
            if payload.rows.is_empty() {
                continue;
            }
            match self.send(payload.bytes, destination).await {
                Outcome::Delivered => {}
                Outcome::Retry { reason, after } => return Err(SinkError::Retryable { reason, after }),
                Outcome::Rejected { is_too_large: true, .. } if payload.rows.len() > 1 => {
                    let (first, second) = payload.rows.split_at(payload.rows.len() / 2);
                    portions.push(second.to_vec());
                    portions.push(first.to_vec());
                }
                Outcome::Rejected { reason, .. } => refuse(&payload.rows, &reason, refusals),
            }
        }
        Ok(())
    }

    async fn send(&self, bytes: Bytes, destination: &Destination) -> Outcome {
        let url = shown(&destination.url);
        let mut request = self
            .client
            .request(self.settings.method.clone(), destination.url.clone())
            .header(CONTENT_TYPE, self.settings.format.content_type())
            .headers(destination.headers.clone());
        let bytes = if self.settings.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
            match payload::gzip(&bytes) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return Outcome::Retry { reason: format!("cannot compress: {error}"), after: None };
                }
            }
        } else {
            bytes
        };
        match request.body(bytes).send().await {
            Ok(response) => self.judge(response, &url).await,
            Err(error) if error.is_builder() => {
                Outcome::Rejected { reason: format!("{url}: {}", causes(error)), is_too_large: false }
            }
            Err(error) => Outcome::Retry { reason: format!("{url}: {}", causes(error)), after: None },
        }
    }

    async fn judge(&self, response: reqwest::Response, url: &str) -> Outcome {
        let status = response.status();
        let verdict = self.settings.status_rules.verdict(status.as_u16());
        let after = reply::retry_after(response.headers(), self.clock.now());
        // Read even where nobody looks at it: the connection is used again.
        let text = reply::beginning(response).await;
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        let reason = format!("{url} answered {}{said}", status.as_u16());
        match verdict {
            Verdict::Deliver => Outcome::Delivered,
            Verdict::Retry => Outcome::Retry { reason, after },
            Verdict::Reject => Outcome::Rejected { reason, is_too_large: status.as_u16() == 413 },
        }
    }
}

fn refuse(rows: &[usize], reason: &str, refusals: &mut Vec<Refusal>) {
    refusals.extend(rows.iter().map(|row| Refusal { row: *row, reason: reason.to_owned() }));
}

/// An address without what may be secret in it.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// An error with all its causes; the address is said elsewhere.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Whether a header may be set by the configuration: those of the transfer itself may not.
fn is_reserved(name: &HeaderName) -> bool {
    ["content-length", "transfer-encoding", "content-encoding", "host", "connection"].contains(&name.as_str())
}

#[cfg(test)]
mod tests;
