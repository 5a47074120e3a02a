//! Carries out the requests in the bodies of the events, `METHOD URL [secret]`, and puts what came of each in its place:
//! status, headers and body, or the error. Keeps whatever it has seen, and searches all of its memory for the body
//! `search TEXT`. `clock` asks for the time, `many` sends all requests of the batch at once.

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "test:sends-http/asking-interceptor",
    generate_all,
});

use exports::millrace::plugin::interceptor::{Batch, Edit, Failure, Guest as Interceptor};
use exports::millrace::plugin::lifecycle::{Guest as Lifecycle, Instance, Issue};
use millrace::plugin::{
    clock,
    http::{self, Error, Request, Response},
    types::{BodyEdits, Packed},
};

struct Asking;

impl Lifecycle for Asking {
    fn configure(config: String, _: Instance) -> Result<(), Vec<Issue>> {
        // `url "…"` is asked for right here, where nothing may be asked for.
        if let Some((_, rest)) = config.split_once("\"url\":\"") {
            let url = rest.split('"').next().unwrap_or_default();
            let answers = [http::send(&request(&format!("GET {url}"))), http::send_many(&[request(&format!("GET {url}"))], 1).remove(0)];
            if let Some(other) = answers.iter().find(|answer| !matches!(answer, Err(Error::Denied))) {
                return Err(vec![Issue { path: "/url".into(), reason: format!("not denied: {other:?}") }]);
            }
        }
        Ok(())
    }

    fn stop(_: u32) {}
}

impl Interceptor for Asking {
    fn intercept(batch: &Batch) -> Result<Vec<Edit>, Failure> {
        let commands: Vec<String> =
            (0..batch.count()).map(|row| String::from_utf8_lossy(&batch.body(row)).into_owned()).collect();
        let outcomes: Vec<String> = match commands.first().map(String::as_str) {
            Some("many") => {
                let requests: Vec<_> = commands.iter().skip(1).map(|command| request(command)).collect();
                let answers = http::send_many(&requests, 4);
                std::iter::once("many".to_owned()).chain(answers.iter().map(shown)).collect()
            }
            _ => commands.iter().map(|command| carry_out(command)).collect(),
        };
        let mut packed = Packed { bytes: Vec::new(), ends: Vec::new() };
        for outcome in &outcomes {
            packed.bytes.extend_from_slice(outcome.as_bytes());
            packed.ends.push(packed.bytes.len() as u32);
        }
        Ok(vec![Edit::SetBodies(BodyEdits { rows: (0..batch.count()).collect(), bodies: packed })])
    }
}

fn carry_out(command: &str) -> String {
    if command == "clock" {
        let (first, second) = (clock::monotonic_nanos(), clock::monotonic_nanos());
        return format!("{} {}", clock::unix_nanos(), if second >= first { "forward" } else { "back" });
    }
    if let Some(turned) = command.strip_prefix("search ") {
        // The text comes turned around, so that the search does not find itself.
        let needle: Vec<u8> = turned.bytes().rev().collect();
        return if memory_holds(&needle) { "found".into() } else { "not found".into() };
    }
    shown(&http::send(&request(command)))
}

fn request(command: &str) -> Request {
    let mut words = command.split(' ');
    Request {
        method: words.next().unwrap_or_default().to_owned(),
        url: words.next().unwrap_or_default().to_owned(),
        headers: vec![("x-guest".to_owned(), b"1".to_vec())],
        body: Vec::new(),
        timeout_ms: None,
        auth: words.next().map(str::to_owned),
    }
}

fn shown(answer: &Result<Response, Error>) -> String {
    match answer {
        Ok(response) => {
            let headers: Vec<_> = response
                .headers
                .iter()
                .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
                .collect();
            let text = format!("{} [{}] {}", response.status, headers.join(" "), String::from_utf8_lossy(&response.body));
            // Whatever was seen stays in the memory for the search.
            std::mem::forget(text.clone());
            text
        }
        Err(error) => format!("{error:?}"),
    }
}

/// Whether these bytes stand anywhere in the memory, but in the needle itself.
fn memory_holds(needle: &[u8]) -> bool {
    let bytes = core::arch::wasm32::memory_size(0) * 65536;
    let own = needle.as_ptr() as usize;
    (1024..bytes - needle.len()).filter(|at| *at != own).any(|at| {
        needle.iter().enumerate().all(|(offset, byte)| {
            // SAFETY: the address is inside of the memory; whatever stands there is a byte.
            unsafe { ((at + offset) as *const u8).read_volatile() == *byte }
        })
    })
}

export!(Asking);
