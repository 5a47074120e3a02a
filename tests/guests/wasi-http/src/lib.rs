//! Brings a client of its own, on `wasi:http`: gets the address in the body of each event and puts status and body in its
//! place.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;
use wasip2::http::{
    outgoing_handler::{ErrorCode, handle},
    types::{Fields, IncomingBody, Method, OutgoingRequest, Scheme},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct WasiHttp;

impl Interceptor for WasiHttp {
    type Config = Config;

    fn configure(_: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            let outcome = get(&String::from_utf8_lossy(body)).unwrap_or_else(|error| format!("error: {error:?}"));
            edits.set_body(row, outcome.as_bytes());
        }
        Ok(())
    }
}

fn get(command: &str) -> Result<String, ErrorCode> {
    let internal = |()| ErrorCode::InternalError(None);
    let (method, url) = command.split_once(' ').unwrap_or(("GET", command));
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    let host = headers.set("host", &[b"evil.test".to_vec()]);
    let request = OutgoingRequest::new(headers);
    let method = if method == "TRACE" { Method::Trace } else { Method::Get };
    request.set_method(&method).map_err(internal)?;
    request.set_scheme(Some(&if scheme == "https" { Scheme::Https } else { Scheme::Http })).map_err(internal)?;
    request.set_authority(Some(authority)).map_err(internal)?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(internal)?;
    let sending = handle(request, None)?;
    sending.subscribe().block();
    let response = sending.get().ok_or(ErrorCode::InternalError(None))?.map_err(internal)??;
    let body = response.consume().map_err(internal)?;
    let mut whole = Vec::new();
    {
        let stream = body.stream().map_err(internal)?;
        while let Ok(more) = stream.blocking_read(4096) {
            whole.extend_from_slice(&more);
        }
    }
    let end = IncomingBody::finish(body);
    end.subscribe().block();
    let end = match end.get() {
        Some(Ok(Err(error))) => format!(" broken: {error:?}"),
        _ => String::new(),
    };
    let host = if host.is_ok() { " host was set" } else { "" };
    Ok(format!("{} {}{end}{host}", response.status(), String::from_utf8_lossy(&whole)))
}

millrace_plugin::export!(WasiHttp);
