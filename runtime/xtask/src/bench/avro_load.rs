//! Load for an avro source, from a client that costs next to nothing: every request is the same bytes, made once.
//!
//! Each connection is a thread that writes a request and waits for its answer, as Flume's own client does. A
//! request that is answered FAILED is sent again.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The digest by which Avro RPC knows Flume's protocol; both sides have it.
const PROTOCOL_MD5: [u8; 16] =
    [0x86, 0xaa, 0xda, 0xe2, 0xc4, 0x54, 0x74, 0xc0, 0xfe, 0x93, 0xff, 0xd0, 0xf2, 0x35, 0x0a, 0x65];
/// What an answer may be, at most.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Pause after an answer of FAILED: the channel is full.
const FAILED_PAUSE: Duration = Duration::from_millis(20);

/// One call of `appendBatch`.
#[derive(Debug)]
pub(super) struct Request {
    content: Vec<u8>,
    events: u64,
}

impl Request {
    /// Events with a header that all share, one of their own, and a body of this size.
    pub(super) fn new(events: u64, body_bytes: usize) -> Self {
        let mut content = Vec::new();
        put_long(&mut content, 0);
        put_bytes(&mut content, b"appendBatch");
        put_long(&mut content, events as i64);
        let body: Vec<u8> = (0..body_bytes).map(|at| b' ' + (at % 95) as u8).collect();
        for number in 0..events {
            put_long(&mut content, 2);
            put_bytes(&mut content, b"host");
            put_bytes(&mut content, b"web-1.example.org");
            put_bytes(&mut content, b"timestamp");
            put_bytes(&mut content, format!("{}", 1_795_000_000_000 + number).as_bytes());
            put_long(&mut content, 0);
            put_bytes(&mut content, &body);
        }
        put_long(&mut content, 0);
        Self { content, events }
    }
}

/// What was sent and acknowledged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    /// Events that were answered OK.
    pub(super) events: u64,
    /// Requests that were answered FAILED and sent again.
    pub(super) failed: u64,
}

/// Sends for a while, by this many connections.
pub(super) fn send(port: u16, request: &Arc<Request>, connections: usize, span: Duration) -> Result<Sent> {
    let until = Instant::now() + span;
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let request = Arc::clone(request);
            thread::spawn(move || Connection::open(port)?.send_until(&request, until))
        })
        .collect();
    let mut sum = Sent::default();
    for thread in threads {
        let Ok(sent) = thread.join() else { bail!("a connection of the client broke") };
        let sent = sent?;
        sum.events += sent.events;
        sum.failed += sent.failed;
    }
    Ok(sum)
}

struct Connection {
    stream: TcpStream,
    serial: i32,
}

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect to the avro source")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, serial: 0 })
    }

    fn send_until(mut self, request: &Request, until: Instant) -> Result<Sent> {
        let mut handshake = Vec::from(PROTOCOL_MD5);
        put_long(&mut handshake, 0);
        handshake.extend_from_slice(&PROTOCOL_MD5);
        put_long(&mut handshake, 0);
        let mut sent = Sent::default();
        while Instant::now() < until {
            if self.call(&handshake, request)? {
                sent.events += request.events;
            } else {
                sent.failed += 1;
                thread::sleep(FAILED_PAUSE);
            }
            handshake.clear();
        }
        Ok(sent)
    }

    /// Whether the request was answered OK.
    fn call(&mut self, handshake: &[u8], request: &Request) -> Result<bool> {
        self.serial += 1;
        let mut head = Vec::with_capacity(64);
        head.extend_from_slice(&self.serial.to_be_bytes());
        head.extend_from_slice(&1_i32.to_be_bytes());
        head.extend_from_slice(&u32::try_from(handshake.len() + request.content.len())?.to_be_bytes());
        head.extend_from_slice(handshake);
        self.stream.write_all(&head)?;
        self.stream.write_all(&request.content)?;
        if self.number()? != self.serial {
            bail!("an answer to another request");
        }
        let mut answer = Vec::new();
        for _ in 0..self.number()? {
            let length = usize::try_from(self.number()?)?;
            let start = answer.len();
            if start + length > ANSWER_BYTES_MAX {
                bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            }
            answer.resize(start + length, 0);
            self.stream.read_exact(&mut answer[start..])?;
        }
        // It ends in the flag that tells errors from results, and the number of the status doubled by zig-zag.
        match answer.as_slice() {
            [.., 0, 0] => Ok(true),
            [.., 0, 2] => Ok(false),
            other => bail!("not a status: {}", String::from_utf8_lossy(other)),
        }
    }

    fn number(&mut self) -> Result<i32> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes).context("the avro source does not answer")?;
        Ok(i32::from_be_bytes(bytes))
    }
}

/// Avro's number: zig-zag, seven bits per byte.
fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left > 0x7f {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}
