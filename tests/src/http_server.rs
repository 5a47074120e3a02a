//! A small HTTP server that remembers every body it was sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Answers every request with 200, after a pause, and keeps its body.
pub struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Listens on a free port until the test ends. Between noting a body and answering passes `pause`, in which a client
    /// that dies does not know what became of its request.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(pause: Duration) -> Self {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { unreachable!("loopback has free ports") };
        let Ok(address) = listener.local_addr() else { unreachable!("a bound socket has an address") };
        let bodies = Arc::default();
        let shared = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let bodies = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &bodies, pause));
            }
        });
        Self { address, bodies }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come so far, in the order in which it came.
    ///
    /// # Panics
    /// A thread of the server panicked.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().map(|bodies| bodies.clone()).unwrap_or_default()
    }
}

/// One connection; a request that is cut off is none.
fn serve(stream: TcpStream, bodies: &Mutex<Vec<String>>, pause: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        bodies.lock().ok()?.push(String::from_utf8_lossy(&body).into_owned());
        thread::sleep(pause);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
