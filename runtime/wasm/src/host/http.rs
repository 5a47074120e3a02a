//! The `http` interface: requests that the agent carries out. The guest's stack sleeps meanwhile, no thread does.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower},
};

use crate::{
    bindings::interface::{self, Version},
    capabilities::Capabilities,
    http::{Answer, Asked, HttpError, Refused},
    state::GuestState,
};

type Cx<'a> = StoreContextMut<'a, GuestState>;
type Sent = Result<Response, Failed>;

#[derive(ComponentType, Lift)]
#[component(record)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
    #[component(name = "timeout-ms")]
    timeout_ms: Option<u32>,
    auth: Option<String>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Response {
    status: u16,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum Failed {
    #[component(name = "denied")]
    Denied,
    #[component(name = "dns")]
    Dns,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "transport")]
    Transport(String),
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        let Request { method, url, headers, body, timeout_ms, auth } = request;
        Self { method, url, headers, body, timeout_ms, auth }
    }
}

fn sent(result: Result<Answer, HttpError>) -> Sent {
    let Answer { status, headers, body } = result.map_err(|error| match error {
        HttpError::Denied => Failed::Denied,
        HttpError::Dns => Failed::Dns,
        HttpError::Timeout => Failed::Timeout,
        HttpError::TooLarge => Failed::TooLarge,
        HttpError::Invalid(reason) => Failed::Invalid(reason),
        HttpError::Transport(reason) => Failed::Transport(reason),
    })?;
    Ok(Response { status, headers, body })
}

/// What a call needs, without the store. None: `configure` is under way, where nothing may be asked for.
fn means(cx: &Cx<'_>) -> Option<(Arc<Capabilities>, tokio::time::Instant)> {
    let state = cx.data();
    if state.configuring {
        state.capabilities.http.refused(&Refused::Configure);
        return None;
    }
    Some((Arc::clone(&state.capabilities), state.deadline.into()))
}

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut http = linker.instance(&version.of(interface::HTTP))?;
    http.func_wrap_async("send", |cx: Cx<'_>, (request,): (Request,)| {
        let means = means(&cx);
        Box::new(async move {
            let Some((capabilities, deadline)) = means else { return Ok((Err(Failed::Denied),)) };
            Ok((sent(capabilities.http.send(request.into(), deadline).await),))
        })
    })?;
    http.func_wrap_async("send-many", |cx: Cx<'_>, (requests, parallel): (Vec<Request>, u32)| {
        let means = means(&cx);
        Box::new(async move {
            let Some((capabilities, deadline)) = means else {
                let denied: Vec<Sent> = requests.iter().map(|_| Err(Failed::Denied)).collect();
                return Ok((denied,));
            };
            let asked = requests.into_iter().map(Asked::from).collect();
            let answers = capabilities.http.send_many(asked, parallel, deadline).await;
            Ok((answers.into_iter().map(sent).collect::<Vec<Sent>>(),))
        })
    })
}
