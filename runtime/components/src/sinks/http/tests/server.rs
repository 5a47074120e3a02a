//! A server that answers each request with the next of the bytes it was given, and remembers what came.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST /path HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These bytes, and the connection stays.
    Bytes(String),
    /// These bytes, and the connection ends.
    BytesAndEnd(String),
    /// Nothing, ever.
    Silence,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    answers: Vec<Answer>,
    connections: usize,
}

pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Answers in this order, then with 200.
    pub async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(Mutex::new(State { answers: answers.into_iter().rev().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// The same status for the next request.
    pub async fn with_status(status: u16) -> Self {
        Self::start(vec![reply(status, "")]).await
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }
}

pub fn reply(status: u16, body: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(request) = read_request(&mut stream).await {
        let answer = {
            let mut state = state.lock();
            state.requests.push(request);
            state.answers.pop().unwrap_or_else(|| reply(200, ""))
        };
        match answer {
            Answer::Bytes(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::BytesAndEnd(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                return;
            }
            Answer::Silence => {
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest).await);
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.trim_end().lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { line, headers, body })
}
