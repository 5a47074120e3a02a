//! The agent as a child process, and asking it for its status.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Places, shown};

/// How long starting and stopping may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running agent; it is ended with the quickstart.
pub(super) struct RunningAgent {
    child: Child,
    address: PathBuf,
    pub(super) log: PathBuf,
}

impl RunningAgent {
    /// Starts the agent and waits until it is ready.
    pub(super) fn start(binary: &Path, places: &Places) -> Result<Self> {
        let log = places.work.join("agent.log");
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(binary)
            .arg("run")
            .arg(&places.config)
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut agent = Self { child, address: places.work.join("data/admin.address"), log };
        let begun = Instant::now();
        while agent.status().is_err() {
            agent.check_alive()?;
            if begun.elapsed() > PATIENCE {
                bail!("the agent does not answer; see {}", shown(&agent.log));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// An error with the agent's own words when it has ended.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            bail!("the agent has ended ({status}):\n{log}");
        }
        Ok(())
    }

    /// What the agent says about itself.
    pub(super) fn status(&self) -> Result<Value> {
        let address = std::fs::read_to_string(&self.address)?;
        let mut stream = TcpStream::connect(address.trim())?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /api/v1/status HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").context("the answer has no body")?.1;
        Ok(serde_json::from_str(body)?)
    }

    /// Lets the agent drain and waits for it.
    pub(super) fn stop(mut self) -> Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).context("cannot stop the agent")?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the agent ended with {status}; see {}", shown(&self.log));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the agent did not stop within {} s; see {}", PATIENCE.as_secs(), shown(&self.log));
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        // Already ended after `stop`; otherwise the quickstart failed and its agent must not outlive it.
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
