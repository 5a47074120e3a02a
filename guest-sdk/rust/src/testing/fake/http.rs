//! Requests that a closure answers.

use super::with;
use crate::bindings::millrace::plugin::http as raw;
use crate::http::{Error, Request, Response};

pub(crate) fn send(request: &raw::Request) -> Result<raw::Response, raw::Error> {
    let request = Request {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        timeout: request.timeout_ms.map(|ms| std::time::Duration::from_millis(ms.into())),
        secret: request.auth.clone(),
    };
    let taken = with(|offered| {
        if offered.is_configuring {
            return None;
        }
        offered.requests.push(request.clone());
        offered.answer.take()
    });
    // It is taken out for the call, so that it finds the host free.
    let Some(Some(mut answer)) = taken else { return Err(raw::Error::Denied) };
    let response = answer(&request);
    with(|offered| {
        offered.answer.get_or_insert(answer);
    });
    response.map(Into::into).map_err(Into::into)
}

pub(crate) fn send_many(requests: &[raw::Request], _parallel: u32) -> Vec<Result<raw::Response, raw::Error>> {
    requests.iter().map(send).collect()
}

impl From<Response> for raw::Response {
    fn from(response: Response) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body }
    }
}

impl From<Error> for raw::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied => Self::Denied,
            Error::Dns => Self::Dns,
            Error::Timeout => Self::Timeout,
            Error::TooLarge => Self::TooLarge,
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::Transport(reason) => Self::Transport(reason),
        }
    }
}
