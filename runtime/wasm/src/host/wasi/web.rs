//! `wasi:http` for guests that bring a client of their own: every request goes through the plugin's client of the
//! agent, with its allow-list, its checks of addresses and its limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, Version,
    header::{CONTENT_LENGTH, HOST},
};
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::{
    capabilities::Capabilities,
    grants::Target,
    http::{HttpError, Refused, rebuilt},
};

/// Time of a request whose guest gave none; the call that waits for it ends earlier.
const TIME_MAX: Duration = Duration::from_secs(600);

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>);

/// Carries out the requests of one instance.
pub(super) struct WebHooks {
    capabilities: Arc<Capabilities>,
    is_open: Arc<AtomicBool>,
}

impl WebHooks {
    pub(super) fn new(capabilities: Arc<Capabilities>, is_open: Arc<AtomicBool>) -> Self {
        Self { capabilities, is_open }
    }
}

impl WasiHttpHooks for WebHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent>> + Send> {
        let capabilities = Arc::clone(&self.capabilities);
        let is_open = self.is_open.load(Ordering::Relaxed);
        Box::new(async move {
            if !is_open {
                capabilities.http.refused(&Refused::Configure);
                return Err(Error::HttpRequestDenied);
            }
            let time = options.and_then(|options| options.first_byte_timeout).unwrap_or(TIME_MAX);
            let sending = carry_out(&capabilities, request);
            let response =
                tokio::time::timeout(time, sending).await.unwrap_or(Err(Error::HttpResponseTimeout))?;
            let done: Box<dyn Future<Output = Result<()>> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

async fn carry_out(capabilities: &Capabilities, request: Request<WasiBody>) -> Result<Response<WasiBody>> {
    let (mut head, body) = request.into_parts();
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Error::HttpRequestMethodInvalid);
    }
    let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let target = Target::of(&url).map_err(|_| Error::HttpRequestUriInvalid)?;
    let bytes_max = capabilities.http.check(&target).map_err(|_| Error::HttpRequestDenied)?;
    head.uri = rebuilt(&url, &target).ok_or(Error::HttpRequestUriInvalid)?;
    head.version = Version::HTTP_11;
    // The client sets it anew, from the address that was checked.
    head.headers.remove(HOST);
    // Closed by nobody.
    let _permit = capabilities.http.permits().acquire().await.map_err(|_| Error::ConnectionLimitReached)?;
    let body = body.map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>);
    let request = Request::from_parts(head, body.boxed_unsync());
    let response = capabilities.http.respond(request).await.map_err(|error| match error {
        HttpError::Denied => Error::DestinationIpProhibited,
        HttpError::Dns => Error::DnsError { rcode: None, info_code: None },
        HttpError::Timeout => Error::HttpResponseTimeout,
        HttpError::TooLarge => Error::HttpResponseHeaderSectionSize(None),
        HttpError::Invalid(_) => Error::HttpRequestUriInvalid,
        HttpError::Transport(_) => Error::DestinationUnavailable,
    })?;
    let announced =
        response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > bytes_max) {
        return Err(Error::HttpResponseBodySize(announced));
    }
    Ok(response.map(|body| {
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let limited =
            Limited::new(body, limit).map_err(move |error| match error.downcast::<hyper::Error>() {
                Ok(error) => Error::Hyper(*error),
                Err(_) => Error::HttpResponseBodySize(None),
            });
        limited.boxed_unsync()
    }))
}
