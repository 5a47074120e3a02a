//! The server that answers a plugin's HTTP from the case: on loopback, for this case only, one answer after the other.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_config::{Node, Scalar, Spanned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    event::{CaseEvent, quoted},
    read::Answer,
};
use crate::{
    error::BuildError,
    rig::{Around, node},
};

/// What stands for the server in options and grants.
const PLACEHOLDER: &str = "http://recorded";

/// Largest request.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A running server, or none where the case has no answers.
pub(super) struct Recorded {
    running: Option<Running>,
}

struct Running {
    origin: String,
    /// The origins whose place it takes.
    replaced: Vec<String>,
    task: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    answers: Vec<Answer>,
    next: usize,
    differences: Vec<String>,
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl Recorded {
    pub(super) async fn start(answers: &[Answer]) -> Result<Self, BuildError> {
        if answers.is_empty() {
            return Ok(Self { running: None });
        }
        let at = || BuildError::at("the recorded server on 127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(at())?;
        let origin = format!("http://{}", listener.local_addr().map_err(at())?);
        let mut replaced: Vec<String> =
            answers.iter().map(|answer| answer.origin.clone()).filter(|origin| !origin.is_empty()).collect();
        replaced.push(PLACEHOLDER.to_owned());
        replaced.sort();
        replaced.dedup();
        let shared = Shared { answers: answers.to_vec(), next: 0, differences: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let kept = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that breaks is the plugin's to notice.
                let _ = serve(stream, &kept).await;
            }
        });
        Ok(Self { running: Some(Running { origin, replaced, task, shared }) })
    }

    /// Puts the address of the server where the case names it.
    pub(super) fn put_into(&self, around: &mut Around) {
        let Some(running) = &self.running else { return };
        if let Some(config) = &mut around.config {
            replace(config, running);
        }
        // What the manifest wants stays granted, the server is granted besides, and secrets go to it.
        let grant = around.grant.get_or_insert_with(|| node("grant"));
        for child in grant.children.iter_mut().filter(|child| child.name.value == "secret") {
            replace(child, running);
        }
        let mut http = node("http");
        http.arguments.push(Spanned::new(Scalar::Text(running.origin.clone()), http.span));
        grant.children.push(http);
    }

    /// What was asked otherwise than recorded, and what was not asked at all.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let Some(running) = self.running.take() else { return Vec::new() };
        let mut shared = running.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut differences = std::mem::take(&mut shared.differences);
        let left = shared.answers.get(shared.next..).unwrap_or_default();
        differences.extend(
            left.iter().map(|answer| format!("- http {} {}", quoted(&answer.method), quoted(&answer.path))),
        );
        differences
    }
}

fn replace(node: &mut Node, running: &Running) {
    let arguments = node.arguments.iter_mut();
    for scalar in arguments.chain(node.properties.iter_mut().map(|property| &mut property.value)) {
        if let Scalar::Text(text) = &mut scalar.value {
            for origin in &running.replaced {
                *text = text.replace(origin, &running.origin);
            }
        }
    }
    node.children.iter_mut().for_each(|child| replace(child, running));
}

async fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    let response = respond(&request, &mut shared.lock().unwrap_or_else(PoisonError::into_inner));
    stream.write_all(&response).await?;
    stream.shutdown().await
}

/// The next answer, and what the request has that was not recorded.
fn respond(request: &Request, shared: &mut Shared) -> Vec<u8> {
    let asked = format!("http {} {}", quoted(&request.method), quoted(&request.path));
    let Some(answer) = shared.answers.get(shared.next).cloned() else {
        shared.differences.push(format!("+ {asked}"));
        return b"HTTP/1.1 500 Not recorded\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
    };
    shared.next += 1;
    if (&answer.method, &answer.path) != (&request.method, &request.path) {
        shared.differences.push(format!("- http {} {}", quoted(&answer.method), quoted(&answer.path)));
        shared.differences.push(format!("+ {asked}"));
    }
    if let Some(sent) = answer.sent.as_ref().filter(|sent| **sent != request.body) {
        let shown = |body: &[u8]| {
            CaseEvent { headers: Vec::new(), body: body.to_vec() }.shown().replacen("event", "sent", 1)
        };
        shared.differences.extend([
            format!("  in {asked}"),
            format!("- {}", shown(sent)),
            format!("+ {}", shown(&request.body)),
        ]);
    }
    let mut head = format!(
        "HTTP/1.1 {} Recorded\r\ncontent-length: {}\r\nconnection: close\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), &answer.body].concat()
}

/// Reads one request whole; None: the connection ended before it was.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Ok(Some(request));
        }
        if bytes.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// A request, once all of it is there.
fn parse(bytes: &[u8]) -> Option<Request> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse::<usize>().ok())?;
    let body = bytes.get(end + 4..)?.get(..length)?.to_vec();
    Some(Request { method, path, body })
}

#[cfg(test)]
mod tests {
    use super::{Shared, parse, respond};
    use crate::cases::Answer;

    #[test]
    fn a_request_is_read_when_it_is_whole_and_answered_in_order() {
        let text = b"POST /orders?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none";
        assert!((0..text.len()).all(|end| parse(&text[..end]).is_none()));
        let request = parse(text).unwrap();
        let answer = Answer {
            method: "POST".into(),
            origin: String::new(),
            path: "/orders?a=1".into(),
            sent: Some(b"two".to_vec()),
            status: 201,
            headers: vec![("x-id".into(), "1".into())],
            body: b"done".to_vec(),
        };
        let mut shared = Shared { answers: vec![answer], next: 0, differences: Vec::new() };
        let response = String::from_utf8(respond(&request, &mut shared)).unwrap();
        assert_eq!(
            response,
            "HTTP/1.1 201 Recorded\r\ncontent-length: 4\r\nconnection: close\r\nx-id: 1\r\n\r\ndone"
        );
        assert_eq!(
            shared.differences,
            ["  in http \"POST\" \"/orders?a=1\"", "- sent \"two\"", "+ sent \"one\""]
        );
        respond(&request, &mut shared);
        assert_eq!(shared.differences[3], "+ http \"POST\" \"/orders?a=1\"");
    }
}
