//! Servers that say exactly what a test wants them to say.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// A server on a port of its own; it ends with the value.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What a server does with a request.
pub enum Reply {
    /// Says this and waits for the next request.
    Say(Vec<u8>),
    /// Says this and closes.
    SayAndClose(Vec<u8>),
    /// Says this, then this again and again for as long as somebody listens.
    Flood(Vec<u8>, Vec<u8>),
    /// Says this, then nothing, and keeps the connection.
    Stall(Vec<u8>),
}

impl Server {
    /// Answers every request with what `reply` makes of it.
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", reply, |stream| async { Some(stream) }).await
    }

    /// The same with something around each connection, such as TLS.
    pub async fn start_on<S, F>(
        address: &str,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&connections));
        let reply = Arc::new(reply);
        let wrap = Arc::new(wrap);
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (seen, reply, wrap) = (Arc::clone(&seen), Arc::clone(&reply), Arc::clone(&wrap));
                all.spawn(async move {
                    if let Some(stream) = wrap(stream).await {
                        let _ = serve(stream, &seen, &*reply).await;
                    }
                });
            }
        });
        Self { address, requests, connections, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Head and body of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    reply: &(impl Fn(&str) -> Reply + ?Sized),
) -> std::io::Result<()> {
    while let Some(request) = request(&mut stream).await? {
        seen.lock().push(request.clone());
        match reply(&request) {
            Reply::Say(bytes) => stream.write_all(&bytes).await?,
            Reply::SayAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Flood(start, more) => {
                stream.write_all(&start).await?;
                loop {
                    stream.write_all(&more).await?;
                }
            }
            Reply::Stall(bytes) => {
                stream.write_all(&bytes).await?;
                // Until the other side goes away.
                stream.read_u8().await?;
            }
        }
    }
    Ok(())
}

/// One request with its body, as far as `content-length` says.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Ok(Some(text.into_owned()));
            }
        }
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&more[..read]);
    }
}
