//! HTTP, carried out by the agent: only to origins that the operator granted, without redirects, and with
//! secrets that the agent adds and the plugin never sees.
//!
//! ```
//! # use millrace_plugin::{http, testing};
//! # let host = testing::Host::new();
//! # host.on_http(|_| Ok(http::Response::new(204)));
//! let response = http::Request::post("https://crm.example.com/v1/events", "[1, 2]")
//!     .header("content-type", "application/json")
//!     .secret("crm-token")
//!     .send()?;
//! response.success()?;
//! # Ok::<(), millrace_plugin::Failure>(())
//! ```
//!
//! A call waits until the answer is there, and its time counts as the time of the call. For several
//! requests at a time there is [`send_many`]. In tests [`testing::Host`](crate::testing::Host) answers.

use std::borrow::Cow;
use std::time::Duration;

use crate::Failure;
#[cfg(target_arch = "wasm32")]
use crate::bindings::millrace::plugin::http as host;
use crate::bindings::millrace::plugin::http as raw;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::fake::http as host;

/// How much of the body of a refusal [`Response::success`] quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 200;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The origin, the address it resolved to, or the secret is not granted.
    Denied,
    /// The name could not be resolved.
    Dns,
    /// Too slow: the limit of the request, or what is left of the time of the call.
    Timeout,
    /// The response is larger than the agent allows.
    TooLarge,
    /// The request makes no sense, for this reason.
    Invalid(String),
    /// The connection failed, for this reason.
    Transport(String),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// With scheme, host and, where it has one, port.
    pub url: String,
    /// Names and values. `host`, `content-length` and `connection` are the agent's own.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// At most so long. None: what is left of the time of the call.
    pub timeout: Option<Duration>,
    /// The name of a granted secret, which the agent adds.
    pub secret: Option<String>,
}

impl Request {
    /// Makes a request without headers and without a body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            secret: None,
        }
    }

    /// Makes a `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// Makes a `POST` with a body.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Limits the time until the response is there; at least a millisecond.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Has the agent add the granted secret of this name.
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.secret = Some(name.into());
        self
    }

    /// Sends it and waits for the response. A response is a success here whatever its status: see
    /// [`Response::success`].
    pub fn send(self) -> Result<Response, Error> {
        Ok(host::send(&self.into()).map(Response::from)?)
    }
}

/// Sends many requests, at most `parallel` of them at a time, and gives the answers in the order of the
/// requests.
pub fn send_many(requests: Vec<Request>, parallel: u32) -> Vec<Result<Response, Error>> {
    let requests: Vec<_> = requests.into_iter().map(raw::Request::from).collect();
    let answers = host::send_many(&requests, parallel);
    answers.into_iter().map(|answer| Ok(answer.map(Response::from)?)).collect()
}

/// One response, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// Names in lower case, in the order of the response.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, as it was sent.
    pub body: Vec<u8>,
}

impl Response {
    /// Makes a response, as tests want them: without headers and without a body.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header. For tests.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Sets the body. For tests.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Gives the first header of this name, which is looked for in lower case, if its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Gives the body as text. What is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Says whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Gives the seconds of the header `retry-after`. A date there counts as none.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Passes a success, and makes a failure of everything else: 401, 407, 408, 425, 429 and 5xx may work
    /// later, as early as `retry-after` says, and are logged; the others never will, and the
    /// beginning of the body says why.
    pub fn success(self) -> Result<Self, Failure> {
        match self.status {
            200..300 => Ok(self),
            status @ (401 | 407 | 408 | 425 | 429 | 500..) => {
                crate::log::warn!("the answer was {status}, to be tried again");
                Err(Failure::Retry(self.retry_after()))
            }
            status => {
                let quoted = &self.body[..self.body.len().min(QUOTED_BYTES_MAX)];
                Err(Failure::Reject(format!("status {status}: {}", String::from_utf8_lossy(quoted).trim())))
            }
        }
    }
}

impl From<Request> for raw::Request {
    fn from(request: Request) -> Self {
        let ms = |timeout: Duration| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
        Self {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout_ms: request.timeout.map(ms),
            auth: request.secret,
        }
    }
}

impl From<raw::Response> for Response {
    fn from(response: raw::Response) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body }
    }
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Denied => Self::Denied,
            raw::Error::Dns => Self::Dns,
            raw::Error::Timeout => Self::Timeout,
            raw::Error::TooLarge => Self::TooLarge,
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Transport(reason) => Self::Transport(reason),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied => out.write_str("the origin, its address or the secret is not granted"),
            Self::Dns => out.write_str("the name could not be resolved"),
            Self::Timeout => out.write_str("no answer in time"),
            Self::TooLarge => out.write_str("the response is too large"),
            Self::Invalid(reason) => write!(out, "the request makes no sense: {reason}"),
            Self::Transport(reason) => write!(out, "the connection failed: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// For `?` in a call about a batch. What may pass is logged and tried again, since a retry carries no
/// reason; `Invalid` and `TooLarge` are refused. `Denied` is tried again too: a grant is one
/// reload away, and until then no event is given up.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied | Error::Dns | Error::Timeout | Error::Transport(_) => Self::retry_because(&error),
            Error::TooLarge | Error::Invalid(_) => Self::Reject(error.to_string()),
        }
    }
}
