//! Servers on loopback that hostile plugins try to reach, or that are hostile themselves.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// A server on a free port, until the test ends.
pub(super) struct Server {
    pub(super) port: u16,
    connections: Arc<AtomicU64>,
}

impl Server {
    /// Answers every request with these bytes and closes; with none it never answers.
    pub(super) fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                thread::spawn(move || serve(stream, answer));
            }
        });
        Self { port, connections }
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: Option<String>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut request = Vec::new();
    let mut more = [0; 1024];
    while let Ok(read) = stream.read(&mut more) {
        request.extend_from_slice(&more[..read]);
        match &answer {
            _ if read == 0 => return,
            Some(answer) if request.ends_with(b"\r\n\r\n") => {
                let _ = stream.write_all(answer.as_bytes());
                return;
            }
            _ => {}
        }
    }
}

/// The servers of the test.
pub(super) struct Servers {
    /// Nobody was granted this one: whoever gets here has escaped.
    pub(super) inside: Server,
    /// Redirects to it.
    pub(super) redirects: Server,
    /// Never answers.
    pub(super) silent: Server,
    /// Answers far too much.
    pub(super) endless: Server,
}

impl Servers {
    pub(super) fn start() -> Self {
        let inside = Server::start(Some("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ninside".into()));
        let redirect = format!(
            "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
            inside.port
        );
        let much = "x".repeat(4 << 20);
        Self {
            inside,
            redirects: Server::start(Some(redirect)),
            silent: Server::start(None),
            endless: Server::start(Some(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{much}"))),
        }
    }
}
