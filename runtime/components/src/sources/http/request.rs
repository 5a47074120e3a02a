//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use millrace_core::{
    Batch, ChannelError, ChannelProcessor, Event, ProcessError, Retry, SourceContext, SourceMetrics,
};
use tokio::sync::Semaphore;

use super::{Form, Rules, blob, body, json};

/// Answers requests; shared by all connections.
pub(super) struct Requests {
    rules: Rules,
    processor: ChannelProcessor,
    metrics: SourceMetrics,
    /// A permit for each byte that bodies may still take.
    bodies: Arc<Semaphore>,
}

/// Why a request is not answered with 200.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    reason: String,
    retry_after_secs: Option<u64>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), retry_after_secs: None }
    }

    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {bytes_max} bytes"))
    }

    /// To be tried again.
    pub(super) fn later(reason: impl Into<String>, secs: u64) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, reason: reason.into(), retry_after_secs: Some(secs) }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }
}

impl Requests {
    pub(super) fn new(rules: Rules, cx: &SourceContext) -> Self {
        let bodies = Arc::new(Semaphore::new(rules.bodies_bytes_max));
        Self { rules, processor: cx.processor.clone(), metrics: cx.metrics.clone(), bodies }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.take(request).await {
            Ok(()) => Response::new(Full::default()),
            Err(refused) => {
                // What the channels refuse is counted by the processor.
                if refused.retry_after_secs.is_none() {
                    self.metrics.read_failures.inc();
                }
                refusal(refused)
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Refused> {
        let method = request.method();
        if method == Method::OPTIONS || method == Method::TRACE {
            return Err(Refused::new(StatusCode::FORBIDDEN, format!("{method} is forbidden")));
        }
        let brings_something = !request.body().is_end_stream()
            || matches!(self.rules.form, Form::Blob { .. }) && request.uri().query().is_some();
        let is_allowed = match *method {
            Method::POST => true,
            Method::GET | Method::HEAD => brings_something,
            _ => false,
        };
        if !is_allowed {
            let reason = format!("{method} is not allowed, events come by POST");
            return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, reason));
        }
        let (head, incoming) = request.into_parts();
        let encoding = body::Encoding::named(header(&head.headers, &CONTENT_ENCODING).unwrap_or_default())?;
        // Held until the answer is known: a batch that waits for its commit still takes memory.
        let mut held = body::Held::new(Arc::clone(&self.bodies));
        let limit = self.rules.body_bytes_max;
        let reading = body::read(incoming, limit, &mut held);
        let packed = match tokio::time::timeout(self.rules.read_timeout, reading).await {
            Ok(read) => read?,
            Err(_) => {
                let reason = format!("the body did not arrive within {:?}", self.rules.read_timeout);
                return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, reason));
            }
        };
        let body = encoding.unpack(packed, limit, &mut held)?;
        let events = match &self.rules.form {
            Form::Json => json::events(&body, header(&head.headers, &CONTENT_TYPE), self.rules.headers_max)?,
            Form::Blob { mandatory } => {
                vec![blob::event(
                    body,
                    head.uri.query().unwrap_or_default(),
                    mandatory,
                    self.rules.headers_max,
                )?]
            }
        };
        self.commit(events).await
    }

    async fn commit(&self, events: Vec<Event>) -> Result<(), Refused> {
        if events.is_empty() {
            return Ok(());
        }
        let Err(error) = self.processor.process(Batch::new(events)).await else { return Ok(()) };
        let reason = error.to_string();
        Err(match &error {
            ProcessError::Channel(ChannelError::TooLarge { .. }) => {
                Refused::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
            }
            ProcessError::NoChannel(_) => Refused::failed(reason),
            _ => match error.retry() {
                Retry::After(pause) => Refused::later(reason, pause.as_secs() + 1),
                Retry::Backoff | Retry::Never => Refused::later(reason, 1),
            },
        })
    }
}

/// A header as text; None also where it is not.
fn header<'a>(headers: &'a hyper::HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn refusal(refused: Refused) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(format!("{}\n", refused.reason)));
    *answer.status_mut() = refused.status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    match refused.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        // The rest of the body is not read, so nothing behind it could be understood.
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    if let Some(secs) = refused.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    answer
}
