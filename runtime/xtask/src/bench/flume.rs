//! Avro source, file channel, null sink: ours and Apache Flume's, under the same load of the same client, in turns.
//!
//! Both make every commit durable before they answer (Flume syncs its log on each commit by default). A run lasts
//! from the first request until the sink has taken the last event, so that nobody gains by a full channel. What is
//! compared is the median of the runs; the virtual machine of Flume warms up before the first.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    Bench,
    agent::{Measured, cpu_seconds, http_metrics},
    avro_load::{Request, send},
    row,
};

const EVENTS_PER_BATCH: u64 = 1000;
const BODY_BYTES: usize = 512;
const RUNS: usize = 5;
/// How long the client sends in a run.
const RUN: Duration = Duration::from_secs(6);
/// Java compiles what runs often; after this nothing changes any more.
const WARM_UP: Duration = Duration::from_secs(15);
/// Starting and draining take less.
const PATIENCE: Duration = Duration::from_secs(60);
/// What Flume's file channel reaches into, which newer Java hides.
const OPENED: [&str; 4] = ["java.nio", "sun.nio.ch", "jdk.internal.ref", "java.lang"];

/// The two agents by turns, for one connection and for several.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    let request = Arc::new(Request::new(EVENTS_PER_BATCH, BODY_BYTES));
    for connections in [1, 4, 16] {
        let theirs = flume(bench, &request, connections)?;
        let ours = millrace(bench, &request, connections)?;
        let name = format!("avro -> file -> null, {connections} connection(s)");
        let rate = |figures: &Figures| format!("{:.0} events/s", figures.events_per_second);
        let ratio = ours.events_per_second / theirs.events_per_second;
        row(&name, &rate(&ours), &format!("Flume {}", rate(&theirs)), ratio, 5.0, true);
        let cpu = |figures: &Figures| format!("{:.2} us", figures.cpu_micros_per_event);
        row(
            "  processor time per event",
            &cpu(&ours),
            &format!("Flume {}", cpu(&theirs)),
            theirs.cpu_micros_per_event / ours.cpu_micros_per_event,
            5.0,
            true,
        );
        println!(
            "  runs, 1,000 events/s: ours {:?}, Flume {:?}; requests to repeat: ours {}, Flume {}; resident: ours {} MiB, Flume {} MiB",
            ours.runs, theirs.runs, ours.failed, theirs.failed, ours.resident_mib, theirs.resident_mib
        );
    }
    Ok(())
}

/// What one agent did; rate and processor time are medians.
struct Figures {
    events_per_second: f64,
    cpu_micros_per_event: f64,
    /// Thousands of events per second of each run.
    runs: Vec<u64>,
    failed: u64,
    resident_mib: u64,
}

fn millrace(bench: &Bench, request: &Arc<Request>, connections: usize) -> Result<Figures> {
    let port = free_port()?;
    let text = format!(
        "channels {{ file \"c\" }}\nsources {{ avro \"in\" channel=\"c\" {{ listen \"127.0.0.1:{port}\" }} }}\n\
         sinks {{ null \"out\" channel=\"c\" }}\n"
    );
    let (agent, _) = Measured::start(bench, "avro-null", &text)?;
    let taken = || agent.metric("millrace_sink_events_delivered_total{component=\"out\"}");
    let figures = measure(port, request, connections, taken, || agent.cpu_seconds(), || agent.resident());
    agent.stop()?;
    figures
}

fn flume(bench: &Bench, request: &Arc<Request>, connections: usize) -> Result<Figures> {
    let agent = Flume::start(bench)?;
    let process = agent.child.id();
    let taken = || agent.taken();
    let resident = || super::agent::resident(process);
    measure(agent.port, request, connections, taken, || cpu_seconds(process), resident)
}

/// Warms up, then measures the runs.
fn measure(
    port: u16,
    request: &Arc<Request>,
    connections: usize,
    taken: impl Fn() -> Result<f64>,
    cpu: impl Fn() -> Result<f64>,
    resident: impl Fn() -> Result<u64>,
) -> Result<Figures> {
    let mut expected = send(port, request, connections, WARM_UP)?.events;
    wait_until("the warm-up is through", || Ok(taken()? >= expected as f64))?;
    let (mut rates, mut costs, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let (begun, cpu_before) = (Instant::now(), cpu()?);
        let sent = send(port, request, connections, RUN)?;
        expected += sent.events;
        failed += sent.failed;
        wait_until("the sink has taken all events", || Ok(taken()? >= expected as f64))?;
        rates.push(sent.events as f64 / begun.elapsed().as_secs_f64());
        costs.push((cpu()? - cpu_before) / sent.events as f64 * 1e6);
        // A failed request may have been put all the same, so the count may exceed what was acknowledged.
        expected = expected.max(taken()? as u64);
    }
    Ok(Figures {
        runs: rates.iter().map(|rate| (rate / 1e3).round() as u64).collect(),
        events_per_second: median(&mut rates),
        cpu_micros_per_event: median(&mut costs),
        failed,
        resident_mib: resident()? >> 20,
    })
}

/// A Flume agent as a child process.
struct Flume {
    child: Child,
    port: u16,
    metrics: String,
}

impl Flume {
    fn start(bench: &Bench) -> Result<Self> {
        let folder = bench.work.join("flume");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let (port, metrics_port) = (free_port()?, free_port()?);
        let shown = folder.display();
        let properties = format!(
            "a1.sources = in\na1.channels = c\na1.sinks = out\n\
             a1.sources.in.type = avro\na1.sources.in.bind = 127.0.0.1\na1.sources.in.port = {port}\n\
             a1.sources.in.channels = c\n\
             a1.channels.c.type = file\na1.channels.c.checkpointDir = {shown}/checkpoint\n\
             a1.channels.c.dataDirs = {shown}/data\n\
             a1.sinks.out.type = null\na1.sinks.out.batchSize = {EVENTS_PER_BATCH}\na1.sinks.out.channel = c\n"
        );
        let config = folder.join("flume.properties");
        fs::write(&config, properties)?;
        let peer = millrace_tests::flume();
        let mut command = Command::new("java");
        command.args(["-Xms1g", "-Xmx1g"]);
        for package in OPENED {
            command.arg("--add-opens").arg(format!("java.base/{package}=ALL-UNNAMED"));
        }
        command
            .arg("-Dflume.monitoring.type=http")
            .arg(format!("-Dflume.monitoring.port={metrics_port}"))
            .args(["-cp", peer.class_path(), "org.apache.flume.node.Application", "--conf-file"])
            .arg(&config)
            .args(["--name", "a1", "--no-reload-conf"]);
        let log = fs::File::create(folder.join("flume.log"))?;
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
        let child = command.spawn().context("cannot start java; this row needs Java and Maven")?;
        let agent = Self { child, port, metrics: format!("127.0.0.1:{metrics_port}") };
        wait_until("Flume listens", || {
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok() && agent.taken().is_ok())
        })?;
        Ok(agent)
    }

    /// How many events its sink has taken for good.
    fn taken(&self) -> Result<f64> {
        let answer = http_metrics(&self.metrics)?;
        let count = answer.split("\"EventTakeSuccessCount\":\"").nth(1);
        let count = count.and_then(|rest| rest.split('"').next()).and_then(|count| count.parse().ok());
        count.context("Flume does not tell how many events were taken")
    }
}

impl Drop for Flume {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody had a moment ago: Flume cannot be asked which one it got.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > PATIENCE {
            bail!("waited {} s until {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
