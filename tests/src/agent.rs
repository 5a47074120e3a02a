//! A real agent: started on a configuration, asked over its admin server, ended gently or not.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a condition.
///
/// # Panics
/// It does not hold within a minute.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(DEADLINE, what, condition);
}

/// Waits for a condition that may take longer.
///
/// # Panics
/// It does not hold within this time.
pub fn eventually_within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < deadline, "{what}: not within {deadline:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running agent. It is killed when dropped.
pub struct Agent {
    child: Child,
    folder: PathBuf,
    name: String,
}

impl Agent {
    /// Writes `<name>.kdl` into the folder and runs it until it is ready. The `agent` block is added: data under
    /// `<name>-data`, admin on a free port.
    ///
    /// # Panics
    /// The agent does not become ready.
    pub fn start(folder: &Path, name: &str, kdl: &str) -> Self {
        Self::write_config(folder, name, kdl);
        Self::start_again(folder, name)
    }

    /// Runs a configuration that was written before.
    ///
    /// # Panics
    /// The agent does not become ready.
    pub fn start_again(folder: &Path, name: &str) -> Self {
        let mut agent = Self::spawn(folder, name, &[]);
        let address = agent.address_file();
        eventually(&format!("agent {name} is ready"), || {
            if let Ok(Some(status)) = agent.child.try_wait() {
                unreachable!("agent {name} ended with {status}:\n{}", agent.log());
            }
            address.exists() && agent.try_get("/ready").is_some_and(|(code, _)| code == 200)
        });
        agent
    }

    /// Runs it without waiting for anything.
    ///
    /// # Panics
    /// The binary cannot be started.
    pub fn spawn(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let data = folder.join(format!("{name}-data"));
        drop(fs::remove_file(data.join("admin.address")));
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join(format!("{name}.log")));
        let Ok(log) = log else { unreachable!("the log of {name} can be written") };
        let child = Command::new(crate::binary())
            .arg("run")
            .arg(folder.join(format!("{name}.kdl")))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        match child {
            Ok(child) => Self { child, folder: folder.to_owned(), name: name.to_owned() },
            Err(error) => unreachable!("cannot start the agent: {error}"),
        }
    }

    /// Writes a configuration; a running agent that watches it reloads.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn write_config(folder: &Path, name: &str, kdl: &str) {
        let data = folder.join(format!("{name}-data")).display().to_string();
        let head = if kdl.trim_start().starts_with("agent ") {
            String::new()
        } else {
            format!(
                "agent {name:?} {{ data-dir {data:?}; admin listen=\"127.0.0.1:0\"; watch #false; shutdown deadline=\"20s\" }}\n"
            )
        };
        let fresh = folder.join(format!("{name}.kdl.new"));
        let written = fs::write(&fresh, head + kdl)
            .and_then(|()| fs::rename(&fresh, folder.join(format!("{name}.kdl"))));
        assert!(written.is_ok(), "cannot write the configuration: {written:?}");
    }

    fn address_file(&self) -> PathBuf {
        self.folder.join(format!("{}-data/admin.address", self.name))
    }

    /// What the agent has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join(format!("{}.log", self.name))).unwrap_or_default()
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The agent's standard input, once.
    pub fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    fn try_get(&self, path: &str) -> Option<(u16, String)> {
        self.request("GET", path)
    }

    fn request(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let address = fs::read_to_string(self.address_file()).ok()?;
        let mut stream = TcpStream::connect(address.trim()).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        stream.write_all(format!("{method} {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.split(' ').nth(1)?.parse().ok()?;
        Some((code, body.to_owned()))
    }

    /// The body of an answer.
    ///
    /// # Panics
    /// There is no answer.
    pub fn get(&self, path: &str) -> String {
        match self.try_get(path) {
            Some((_, body)) => body,
            None => unreachable!("no answer to {path} from {}:\n{}", self.name, self.log()),
        }
    }

    /// `/api/v1/status`.
    ///
    /// # Panics
    /// The answer is no JSON.
    pub fn status(&self) -> Value {
        match serde_json::from_str(&self.get("/api/v1/status")) {
            Ok(status) => status,
            Err(error) => unreachable!("status is no JSON: {error}"),
        }
    }

    /// Reloads now and returns the answer.
    ///
    /// # Panics
    /// There is no answer.
    pub fn reload(&self) -> Value {
        let answer =
            self.request("POST", "/api/v1/reload").and_then(|(_, body)| serde_json::from_str(&body).ok());
        match answer {
            Some(report) => report,
            None => unreachable!("no answer to a reload:\n{}", self.log()),
        }
    }

    /// Makes a change and waits until the agent has taken it by itself; returns how long that took.
    ///
    /// # Panics
    /// The generation did not become the next one.
    pub fn next_generation(&self, change: impl FnOnce()) -> Duration {
        let before = self.status()["generation"].as_u64().unwrap_or_default();
        let begun = Instant::now();
        change();
        eventually("the change is live", || self.status()["generation"] == before + 1);
        begun.elapsed()
    }

    /// One counter: `metric("sink_events_delivered", "out")`.
    pub fn metric(&self, name: &str, component: &str) -> u64 {
        let text = self.get("/metrics");
        let starts = [
            format!("millrace_{name}_total{{component=\"{component}\"}} "),
            format!("millrace_{name}{{component=\"{component}\"}} "),
        ];
        let value = text.lines().find_map(|line| starts.iter().find_map(|start| line.strip_prefix(start)));
        value.and_then(|value| value.parse::<f64>().ok()).map_or(0, |value| value as u64)
    }

    /// Where a source listens.
    ///
    /// # Panics
    /// It does not.
    pub fn address(&self, source: &str) -> SocketAddr {
        let status = self.status();
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let one = sources.iter().find(|one| one["name"] == source);
        match one.and_then(|one| one["addresses"][0].as_str()).and_then(|address| address.parse().ok()) {
            Some(address) => address,
            None => unreachable!("source {source} has no address: {status}"),
        }
    }

    /// Sends a signal by name.
    ///
    /// # Panics
    /// `kill` fails.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} failed");
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop and waits.
    ///
    /// # Panics
    /// It does not stop within a minute.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end within a minute.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "{} does not stop:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// The process cannot be killed.
    pub fn kill(mut self) {
        assert!(self.child.kill().is_ok() && self.child.wait().is_ok(), "cannot kill {}", self.name);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
