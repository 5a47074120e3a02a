//! The client of one plugin: its connections, its limits, its deadlines. Nothing of it is shared with another plugin.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    connect::Connector,
    error::{HttpError, Refused},
    request::{Asked, NotSent, Prepared, prepare},
    resolve::Resolve,
    response::{Answer, causes, read},
};
use crate::{
    grants::{Grants, Target},
    refusals::Refusals,
};

/// Requests of one plugin that are under way at the same time.
const PARALLEL_MAX: usize = 32;

/// Connections that wait for the next request to their host, and for how long.
const IDLE_MAX: usize = 8;
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Headers of a response, and their size together with the status line.
const RESPONSE_HEADERS_MAX: usize = 100;
const RESPONSE_HEAD_BYTES_MAX: usize = 64 << 10;

/// The body of a request, from a plugin's memory or as it streams it.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Sends requests for one plugin.
pub(crate) struct HttpClient {
    client: legacy::Client<Connector, RequestBody>,
    grants: Arc<Grants>,
    permits: Semaphore,
    refusals: Arc<Refusals>,
    /// Bytes that the responses of one call may have together: what the plugin could not hold is not read.
    call_bytes_max: u64,
}

/// What is left of the bytes of a call.
pub(super) struct Budget(AtomicU64);

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Takes some, if there are so many left.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let less = |left: u64| left.checked_sub(bytes as u64);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl HttpClient {
    pub(crate) fn new(
        grants: Arc<Grants>,
        resolver: Arc<dyn Resolve>,
        refusals: Arc<Refusals>,
        call_bytes_max: u64,
    ) -> Self {
        let connector = Connector::new(Arc::clone(&grants), resolver);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_max_idle_per_host(IDLE_MAX)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            .build(connector);
        Self { client, grants, permits: Semaphore::new(PARALLEL_MAX), refusals, call_bytes_max }
    }

    /// One request, one response.
    pub(crate) async fn send(&self, asked: Asked, deadline: Instant) -> Result<Answer, HttpError> {
        self.send_within(asked, deadline, &Budget::new(self.call_bytes_max)).await
    }

    /// Many requests, at most so many of them at a time; the answers in the order of the requests.
    pub(crate) async fn send_many(
        &self,
        asked: Vec<Asked>,
        parallel: u32,
        deadline: Instant,
    ) -> Vec<Result<Answer, HttpError>> {
        let budget = &Budget::new(self.call_bytes_max);
        let parallel = usize::try_from(parallel).unwrap_or(PARALLEL_MAX).clamp(1, PARALLEL_MAX);
        let sending = asked.into_iter().map(|asked| self.send_within(asked, deadline, budget));
        stream::iter(sending).buffered(parallel).collect().await
    }

    async fn send_within(
        &self,
        asked: Asked,
        deadline: Instant,
        budget: &Budget,
    ) -> Result<Answer, HttpError> {
        let own = asked.timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms.into()));
        let deadline = own.map_or(deadline, |own| own.min(deadline));
        let prepared = match prepare(&self.grants, asked) {
            Ok(prepared) => prepared,
            Err(NotSent::Failed(error)) => return Err(error),
            Err(NotSent::Refused(refused)) => return Err(self.refused(&refused)),
        };
        timeout_at(deadline, self.carry_out(prepared, budget)).await.unwrap_or(Err(HttpError::Timeout))
    }

    async fn carry_out(&self, prepared: Prepared, budget: &Budget) -> Result<Answer, HttpError> {
        let Prepared { request, response_bytes_max, secret } = prepared;
        // Closed by nobody.
        let _permit = self.permits.acquire().await.map_err(|_| HttpError::Timeout)?;
        let request = request.map(|body| body.map_err(|never| match never {}).boxed_unsync());
        let response = self.respond(request).await?;
        read(response, response_bytes_max, budget, secret.as_ref()).await
    }

    /// Sends a request that was checked and returns the head of the response; the body is still to be read.
    pub(crate) async fn respond(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, HttpError> {
        let response = self.client.request(request).await.map_err(|error| self.failed(&error))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(HttpError::Transport("the server wants another protocol".into()));
        }
        Ok(response)
    }

    /// Whether requests may go there.
    pub(crate) fn check(&self, target: &Target) -> Result<u64, HttpError> {
        match self.grants.http_for(target) {
            Some(grant) => Ok(grant.response_bytes_max.min(self.call_bytes_max)),
            None => Err(self.refused(&Refused::Origin { origin: target.to_string() })),
        }
    }

    /// Waits until one more request may be under way.
    pub(crate) fn permits(&self) -> &Semaphore {
        &self.permits
    }

    /// Counts what was refused, and says what the plugin is told.
    pub(crate) fn refused(&self, refused: &Refused) -> HttpError {
        if let Some(what) = refused.what() {
            self.refusals.note(what, refused);
        }
        refused.into()
    }

    fn failed(&self, error: &legacy::Error) -> HttpError {
        let mut source: Option<&(dyn Error + 'static)> = error.source();
        while let Some(cause) = source {
            if let Some(refused) = cause.downcast_ref::<Refused>() {
                return self.refused(refused);
            }
            if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large) {
                return HttpError::TooLarge;
            }
            source = cause.source();
        }
        HttpError::Transport(causes(error))
    }
}
