//! An agent as a child process for measuring, and the rows about an idle one.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{Bench, row};

/// An agent with a folder of its own.
pub(super) struct Measured {
    child: Child,
    data: PathBuf,
}

impl Measured {
    /// Starts the binary on a configuration; returns the agent and the time until it was ready.
    pub(super) fn start(bench: &Bench, name: &str, body: &str) -> Result<(Self, Duration)> {
        let folder = bench.work.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let data = folder.join("data");
        let head = format!(
            "agent \"{name}\" {{ data-dir {:?}; admin listen=\"127.0.0.1:0\" }}\n",
            data.display().to_string()
        );
        let config = folder.join("agent.kdl");
        fs::write(&config, head + body)?;
        let log = fs::File::create(folder.join("agent.log"))?;
        let begun = Instant::now();
        let child =
            Command::new(&bench.binary).arg("run").arg(&config).stdout(Stdio::null()).stderr(log).spawn()?;
        let agent = Self { child, data };
        // The address is written when the agent answers; nothing is left to start after that.
        while !agent.data.join("admin.address").exists() {
            if begun.elapsed() > Duration::from_secs(20) {
                bail!("the agent did not start; see {}", folder.join("agent.log").display());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok((agent, begun.elapsed()))
    }

    /// The value of one line of `/metrics`.
    pub(super) fn metric(&self, line_start: &str) -> Result<f64> {
        let address = fs::read_to_string(self.data.join("admin.address"))?;
        let answer = http_metrics(address.trim())?;
        let line = answer.lines().find(|line| line.starts_with(line_start));
        let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok());
        Ok(value.unwrap_or(0.0))
    }

    /// Resident memory in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        resident(self.child.id())
    }

    /// Processor time used so far, in seconds (user and system).
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id())
    }

    /// Ends it gracefully.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What `/metrics` answers, with the head.
pub(super) fn http_metrics(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Resident memory of a process, in bytes.
pub(super) fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 =
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).context("no number in VmRSS")?;
    Ok(kib * 1024)
}

/// Processor time that a process has used so far, in seconds (user and system).
pub(super) fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Memory and processor time of an agent that has nothing to do, and how long it takes to be ready.
pub(super) fn idle(bench: &Bench) -> Result<()> {
    let plugin = |name: &str| super::guests::root().join("target/guests").join(format!("{name}.wasm"));
    let seconds = Duration::from_secs(5);
    let native = "channels { memory \"m\" }\nsources { netcat \"n\" channel=\"m\" { listen \"127.0.0.1:0\" } }\nsinks { null \"z\" channel=\"m\" }\n";
    let (agent, ready) = Measured::start(bench, "idle", native)?;
    let (before, begun) = (agent.cpu_seconds()?, Instant::now());
    std::thread::sleep(seconds);
    let share = (agent.cpu_seconds()? - before) / begun.elapsed().as_secs_f64();
    let resident = agent.resident()? as f64 / f64::from(1 << 20);
    agent.stop()?;
    row("idle agent, resident", &format!("{resident:.1} MiB"), "-", resident, 30.0, false);
    row("idle agent, processor", &format!("{:.2} %", share * 100.0), "-", share * 100.0, 0.5, false);
    row(
        "start to ready",
        &format!("{:.0} ms", ready.as_secs_f64() * 1e3),
        "-",
        ready.as_secs_f64() * 1e3,
        100.0,
        false,
    );
    with_plugin(bench, &plugin("drop-rule"))
}

fn with_plugin(bench: &Bench, plugin: &Path) -> Result<()> {
    let text = format!(
        "plugins {{ drop-rule path={:?} }}\nchannels {{ memory \"m\" }}\nsources {{ netcat \"n\" channel=\"m\" {{ listen \"127.0.0.1:0\"; \
         interceptors {{ wasm \"drop-rule\" {{ contains \"x\" }} }} }} }}\nsinks {{ null \"z\" channel=\"m\" }}\n",
        plugin.display().to_string()
    );
    let (agent, _) = Measured::start(bench, "idle-plugin", &text)?;
    let cache = agent.data.join("plugins");
    agent.stop()?;
    let kept = bench.work.join("cache");
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::rename(&cache, &kept).context("the agent left no cache of native code")?;
    let (agent, ready) = start_with_cache(bench, &text, &kept)?;
    let resident = agent.resident()? as f64 / f64::from(1 << 20);
    agent.stop()?;
    let millis = ready.as_secs_f64() * 1e3;
    row("start to ready, cached plugin", &format!("{millis:.0} ms"), "-", millis, 100.0, false);
    println!("{:<44} {:>16}", "idle agent with a plugin, resident", format!("{resident:.1} MiB"));
    Ok(())
}

/// Starts once more with the native code that another start left.
fn start_with_cache(bench: &Bench, text: &str, cache: &Path) -> Result<(Measured, Duration)> {
    let folder = bench.work.join("idle-cached");
    let data = folder.join("data");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&data)?;
    fs::rename(cache, data.join("plugins"))?;
    let config = folder.join("agent.kdl");
    let head = format!(
        "agent \"cached\" {{ data-dir {:?}; admin listen=\"127.0.0.1:0\" }}\n",
        data.display().to_string()
    );
    fs::write(&config, head + text)?;
    let begun = Instant::now();
    let log = fs::File::create(folder.join("agent.log"))?;
    let child =
        Command::new(&bench.binary).arg("run").arg(&config).stdout(Stdio::null()).stderr(log).spawn()?;
    let agent = Measured { child, data };
    while !agent.data.join("admin.address").exists() {
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("the agent did not start; see {}", folder.join("agent.log").display());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok((agent, begun.elapsed()))
}
