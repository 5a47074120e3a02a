//! Small servers on loopback for guests that were granted them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

use parking_lot::Mutex;

/// A server that remembers what it was told. It ends with the process.
pub struct Server {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads until `end`, answers, closes; one connection after the other.
    pub fn start(end: &'static str, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, end, &all, &answer);
            }
        });
        Self { address, heard }
    }

    /// A server for HTTP.
    pub fn http(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::start("\r\n\r\n", move |request| answer(request).into_bytes())
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

/// A response that closes the connection.
pub fn response(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn serve(
    mut stream: TcpStream,
    end: &str,
    all: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut more = [0; 1024];
    all.lock().push(String::new());
    loop {
        let read = stream.read(&mut more)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&more[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(last) = all.lock().last_mut() {
            last.clone_from(&text);
        }
        if text.ends_with(end) {
            return stream.write_all(&answer(&text));
        }
    }
}
