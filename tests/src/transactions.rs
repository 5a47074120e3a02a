//! A small HTTP server with transactions: what is staged is seen by readers when it is committed.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Answers `POST /<what>/<lane>/<id>`, where `what` is `stage`, `prepare`, `commit`, `abort` or `open`.
pub struct TransactionServer {
    address: SocketAddr,
    shared: Arc<Mutex<Transactions>>,
}

/// What the server knows.
#[derive(Debug, Clone, Default)]
pub struct Transactions {
    /// Counts up with [`TransactionServer::next_run`].
    run: usize,
    /// Staged or prepared, by id.
    pub open: BTreeMap<String, Transaction>,
    /// What readers see, in the order in which it was committed.
    pub committed: Vec<(String, Transaction)>,
    /// How often something was staged.
    pub staged: usize,
    /// How many transactions were committed in another run than the one that staged them.
    pub recovered: usize,
    /// How many were taken back.
    pub aborted: usize,
    /// What a client must never do.
    pub violations: Vec<String>,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Who staged it, and in which run.
    pub lane: u32,
    /// The run.
    pub run: usize,
    /// Whether it survives a crash of the client.
    pub prepared: bool,
    /// The lines of its body.
    pub events: Vec<String>,
}

impl TransactionServer {
    /// Listens on a free port until the test ends; answers after `pause`.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(pause: Duration) -> Self {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { unreachable!("loopback has free ports") };
        let Ok(address) = listener.local_addr() else { unreachable!("a bound socket has an address") };
        let shared = Arc::<Mutex<Transactions>>::default();
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                thread::spawn(move || serve(stream, &all, pause));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it knows now.
    pub fn transactions(&self) -> MutexGuard<'_, Transactions> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client was started anew.
    pub fn next_run(&self) {
        self.transactions().run += 1;
    }
}

impl Transactions {
    fn answer(&mut self, what: &str, lane: u32, id: &str, body: &str) -> (u16, String) {
        let known = self.committed.iter().any(|(known, _)| known == id);
        match what {
            "stage" => {
                self.staged += 1;
                if known {
                    self.violations.push(format!("{id} was committed and is staged again"));
                }
                let events = body.lines().map(str::to_owned).collect();
                let transaction = Transaction { lane, run: self.run, prepared: false, events };
                if self.open.insert(id.to_owned(), transaction).is_some_and(|before| before.prepared) {
                    self.violations.push(format!("{id} was prepared and is staged again"));
                }
                (200, String::new())
            }
            "prepare" => match self.open.get_mut(id) {
                Some(transaction) => {
                    transaction.prepared = true;
                    (200, id.to_owned())
                }
                None => (409, String::new()),
            },
            "commit" if known => (200, String::new()),
            "commit" => match self.open.remove(id) {
                Some(transaction) => {
                    if !transaction.prepared {
                        self.violations.push(format!("{id} is committed without having been prepared"));
                    }
                    self.recovered += usize::from(transaction.run != self.run);
                    self.committed.push((id.to_owned(), transaction));
                    (200, String::new())
                }
                None => {
                    self.violations.push(format!("{id} is committed and was never staged, or aborted"));
                    (409, String::new())
                }
            },
            "abort" => {
                if known {
                    self.violations.push(format!("{id} was committed and is aborted"));
                }
                self.aborted += usize::from(self.open.remove(id).is_some());
                (200, String::new())
            }
            "open" => {
                let lanes: u32 = id.parse().unwrap_or_default();
                let own = |transaction: &Transaction| {
                    transaction.lane == lane || lane == 0 && transaction.lane >= lanes
                };
                let open = self.open.iter().filter(|(_, transaction)| own(transaction));
                (200, open.map(|(id, _)| format!("{id}\n")).collect())
            }
            _ => (404, String::new()),
        }
    }
}

/// One connection; a request that is cut off is none.
fn serve(stream: TcpStream, all: &Mutex<Transactions>, pause: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut parts = first.split(' ').nth(1)?.trim_start_matches('/').splitn(3, '/');
        let (what, lane, id) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let body = String::from_utf8_lossy(&body);
        let (status, answer) = {
            let mut all = all.lock().ok()?;
            all.answer(what, lane, id, &body)
        };
        thread::sleep(pause);
        let head = format!("HTTP/1.1 {status} answer\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).ok()?;
    }
}
