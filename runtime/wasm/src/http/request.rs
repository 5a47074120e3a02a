//! Requests on their way out: checked, with the agent's own headers and the secret.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use url::{Position, Url};

use super::error::{HttpError, Refused};
use crate::grants::{Grants, Secret, Target};

/// Headers of one request.
const HEADERS_MAX: usize = 100;

/// Names and values of the headers of one request together.
const HEADERS_BYTES_MAX: usize = 64 << 10;

/// Longest address.
const URL_BYTES_MAX: usize = 16 << 10;

/// Headers that only the agent sets: they decide where a request goes, where it ends, and whom it reaches.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a plugin asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Bytes)>,
    pub(crate) body: Bytes,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) auth: Option<String>,
}

/// A request that may be sent, as far as can be said without resolving its host.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) response_bytes_max: u64,
    /// The secret in it: to be covered where the response repeats it.
    pub(crate) secret: Option<Secret>,
}

/// Why a request is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    Refused(Refused),
    Failed(HttpError),
}

impl From<Refused> for NotSent {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn invalid(reason: impl Into<String>) -> NotSent {
    NotSent::Failed(HttpError::Invalid(reason.into()))
}

/// Whether only the agent sets this header.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

/// Checks a request against the grants and completes it.
pub(crate) fn prepare(grants: &Grants, asked: Asked) -> Result<Prepared, NotSent> {
    if asked.url.len() > URL_BYTES_MAX {
        return Err(invalid(format!("an address has at most {URL_BYTES_MAX} bytes")));
    }
    let url = Url::parse(&asked.url).map_err(|error| invalid(format!("no address: {error}")))?;
    let target = Target::of(&url).map_err(invalid)?;
    let Some(grant) = grants.http_for(&target) else {
        return Err(Refused::Origin { origin: target.to_string() }.into());
    };
    let method = method(&asked.method)?;
    let mut headers = headers(asked.headers)?;
    let secret = match &asked.auth {
        Some(name) => Some(secret(grants, name, &target)?.clone()),
        None => None,
    };
    if let Some(secret) = &secret {
        headers.insert(secret.header.clone(), secret.value.clone());
    }
    let uri = rebuilt(&url, &target).ok_or_else(|| invalid("no address"))?;
    let mut request = Request::new(Full::new(asked.body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(Prepared { request, response_bytes_max: grant.response_bytes_max, secret })
}

/// An address put together from what was checked, so that no other reading of it can lead elsewhere.
pub(crate) fn rebuilt(url: &Url, target: &Target) -> Option<Uri> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let origin = target.to_string();
    let (scheme, authority) = origin.split_once("://")?;
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}

fn method(text: &str) -> Result<Method, NotSent> {
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| invalid("no method"))?;
    match method {
        Method::CONNECT | Method::TRACE => Err(invalid(format!("the method {method} is not carried out"))),
        method => Ok(method),
    }
}

fn headers(asked: Vec<(String, Bytes)>) -> Result<HeaderMap, NotSent> {
    let bytes: usize = asked.iter().map(|(name, value)| name.len() + value.len()).sum();
    if asked.len() > HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
        return Err(invalid(format!(
            "at most {HEADERS_MAX} headers with {HEADERS_BYTES_MAX} bytes together"
        )));
    }
    let mut headers = HeaderMap::with_capacity(asked.len());
    for (name, value) in asked {
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("no name of a header"))?;
        if is_reserved(&known) {
            return Err(invalid(format!("the header {known} is the agent's own")));
        }
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| invalid(format!("the header {known} holds characters that HTTP does not allow")))?;
        headers.append(known, value);
    }
    Ok(headers)
}

/// The granted secret of this name, if it may go there.
pub(crate) fn secret<'a>(grants: &'a Grants, name: &str, target: &Target) -> Result<&'a Secret, Refused> {
    let Some(secret) = grants.secrets.iter().find(|secret| secret.name == name) else {
        return Err(Refused::Secret(name.to_owned()));
    };
    if secret.origins.iter().any(|origin| origin.covers(target)) {
        Ok(secret)
    } else {
        Err(Refused::SecretOrigin { name: name.to_owned(), origin: target.to_string() })
    }
}
