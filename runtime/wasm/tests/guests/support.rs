//! Builds the guests, and interceptors out of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_config::{
    Diagnostics, Files, GRANT_OPTIONS, MapEnvironment, OptionSpec, PluginSpec, Section, Span, Spanned, check,
    parse_nodes,
};
use millrace_core::{
    Batch, BuildContext, Clock, Codec, Destination, Diverted, Event, Interceptor, Metrics, PluginHost,
    Rejection, Sink, Source,
};
use millrace_wasm::{WasmHost, interceptors, sinks, sources};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The file of a guest, built once per run of the tests.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let output =
            Command::new(env!("CARGO")).args(["xtask", "guests"]).current_dir(root()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo xtask guests failed:\n{text}");
    });
    let path = root().join(format!("target/guests/{name}.wasm"));
    assert!(path.is_file(), "no {}", path.display());
    path
}

/// Stands still at one second after 1970.
pub struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1)
    }
}

/// A host with a data directory and metrics of its own.
pub struct Rig {
    pub host: Arc<WasmHost>,
    pub metrics: Metrics,
    pub data: tempfile::TempDir,
}

/// The value of the environment variable `TOKEN`.
pub const SECRET: &str = "s3cret-value-4711";

/// The plugin of a setup. Its node stands for that of the interceptor.
fn plugin(setup: &Setup) -> (PluginSpec, Files) {
    let grant = setup.grant.unwrap_or_default();
    let text = format!("wasm \"guest\" {{\n{}\n}}\ngrant {{\n{grant}\n}}", setup.options);
    let (nodes, files, found) = parse_nodes("agent.kdl", &text, &MapEnvironment::default());
    assert!(found.is_empty(), "{found:?}");
    let (grants, found) = check(&nodes[1], GRANT_OPTIONS, false, &files);
    assert!(found.is_empty(), "{found:?}");
    let plugin = PluginSpec {
        name: Spanned::new("guest".into(), Span::default()),
        path: Spanned::new(setup.path.clone(), Span::default()),
        digest: setup.digest.clone().map(|digest| Spanned::new(digest, Span::default())),
        memory_bytes_max: setup.memory_bytes_max,
        call_time_max: Some(setup.call_time_max),
        instances_max: setup.instances_max,
        log_lines_max: 100,
        state_bytes_max: 16 << 20,
        grant: setup.grant.map(|_| grants),
        node: nodes[0].clone(),
        script: None,
    };
    (plugin, files)
}

/// An interceptor section as text, and how its plugin is declared.
pub struct Setup {
    /// What stands between the braces of the interceptor.
    pub options: &'static str,
    pub path: PathBuf,
    pub digest: Option<String>,
    pub memory_bytes_max: u64,
    pub call_time_max: Duration,
    pub instances_max: u32,
    /// What stands between the braces of `grant`.
    pub grant: Option<&'static str>,
}

pub fn setup(name: &str) -> Setup {
    setup_file(guest(name))
}

pub fn setup_file(path: PathBuf) -> Setup {
    Setup {
        options: "",
        path,
        digest: None,
        memory_bytes_max: 16 << 20,
        // Generous: other tests share the machine, and only loops may meet the deadline.
        call_time_max: Duration::from_secs(5),
        instances_max: 2,
        grant: None,
    }
}

impl Rig {
    pub fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let environment = MapEnvironment::default()
            .with_variable("TOKEN", SECRET)
            .with_variable("REGION", "eu-west")
            .with_variable("UNGRANTED", "nobody should see this");
        let host = WasmHost::new(data.path().join("plugins")).with_environment(Arc::new(environment));
        Self { host: Arc::new(host), metrics: Metrics::default(), data }
    }

    /// What is said about the grants before anything is built.
    pub fn check_grants(&self, setup: &Setup, channels: &[&str]) -> Vec<String> {
        let (plugin, _) = plugin(setup);
        let found = self.host.check_grants(&plugin, channels);
        found.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.reason)).collect()
    }

    /// A rig whose native code is in a folder that others share.
    pub fn with_cache(cache: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { host: Arc::new(WasmHost::new(cache.join("plugins"))), metrics: Metrics::default(), data }
    }

    pub fn build(&self, setup: &Setup) -> Result<Arc<dyn Interceptor>, Diagnostics> {
        self.build_in(setup).0
    }

    /// As `build`, with the text that spans point into.
    pub fn build_in(&self, setup: &Setup) -> (Result<Arc<dyn Interceptor>, Diagnostics>, Files) {
        let factory = &interceptors()[0];
        let (section, cx, files) = self.parts(setup, factory.options);
        ((factory.build)(&section, &cx).map(Arc::from), files)
    }

    /// A source, and what it was built with.
    pub fn source(&self, setup: &Setup) -> (Box<dyn Source>, BuildContext) {
        let factory = &sources()[0];
        let (section, cx, _) = self.parts(setup, factory.options);
        ((factory.build)(&section, &cx).unwrap_or_else(|found| panic!("{found:?}")), cx)
    }

    pub fn codec(&self, setup: &Setup) -> Arc<dyn Codec> {
        let (section, cx, _) = self.parts(setup, &[]);
        let built = self.host.codec(&cx.plugins[0], &section, &cx);
        built.unwrap_or_else(|found| panic!("{found:?}"))
    }

    /// As `codec`, for plugins that the host may refuse.
    pub fn try_codec(&self, setup: &Setup) -> Option<Arc<dyn Codec>> {
        let (section, cx, _) = self.parts(setup, &[]);
        self.host.codec(&cx.plugins[0], &section, &cx).ok()
    }

    pub fn sink(&self, setup: &Setup) -> Box<dyn Sink> {
        let factory = &sinks()[0];
        let (section, cx, _) = self.parts(setup, factory.options);
        (factory.build)(&section, &cx).unwrap_or_else(|found| panic!("{found:?}"))
    }

    /// As `sink`, for plugins that the host may refuse.
    pub fn try_sink(&self, setup: &Setup) -> Option<Box<dyn Sink>> {
        let factory = &sinks()[0];
        let (section, cx, _) = self.parts(setup, factory.options);
        (factory.build)(&section, &cx).ok()
    }

    /// As `source`, for plugins that the host may refuse.
    pub fn try_source(&self, setup: &Setup) -> Option<(Box<dyn Source>, BuildContext)> {
        let factory = &sources()[0];
        let (section, cx, _) = self.parts(setup, factory.options);
        (factory.build)(&section, &cx).ok().map(|source| (source, cx))
    }

    fn parts(&self, setup: &Setup, options: &[OptionSpec]) -> (Section, BuildContext, Files) {
        let (plugin, files) = plugin(setup);
        let (section, found) = check(&plugin.node, options, true, &files);
        assert!(found.is_empty(), "{found:?}");
        let cx = BuildContext {
            agent: "edge".into(),
            component: "guest".into(),
            data_dir: self.data.path().to_owned(),
            generation: 7,
            lane: 0,
            lanes: 1,
            clock: Arc::new(StillClock),
            metrics: self.metrics.clone(),
            plugins: Arc::new([plugin]),
            plugin_host: Arc::clone(&self.host) as Arc<dyn PluginHost>,
        };
        (section, cx, files)
    }

    pub fn good(&self, setup: &Setup) -> Arc<dyn Interceptor> {
        self.build(setup).unwrap_or_else(|found| panic!("{found:?}"))
    }

    /// The codes of what is wrong, with the reasons.
    pub fn bad(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let Err(found) = self.build(setup) else { panic!("it loads") };
        found.iter().map(|diagnostic| (diagnostic.code, diagnostic.reason.clone())).collect()
    }

    /// As `bad`, for any role.
    pub fn bad_as(
        &self,
        setup: &Setup,
        options: &[OptionSpec],
        build: impl FnOnce(&Section, &BuildContext) -> Result<(), Diagnostics>,
    ) -> Vec<(&'static str, String)> {
        let (section, cx, _) = self.parts(setup, options);
        let Err(found) = build(&section, &cx) else { panic!("it loads") };
        found.iter().map(|diagnostic| (diagnostic.code, diagnostic.reason.clone())).collect()
    }

    /// The sum of a plugin counter or gauge: `calls_total`, `faults_total{…kind="trap"}` and so on.
    pub fn count(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics.encode().unwrap();
        let prefix = format!("millrace_plugin_{name}{{");
        let lines = text.lines().filter(|line| line.starts_with(&prefix) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

pub fn batch(bodies: &[&str]) -> Batch {
    Batch::new(bodies.iter().map(|body| Event::new(body.as_bytes().to_vec())).collect())
}

/// Numbered bodies, of which some are replaced.
pub fn numbered(count: usize, replaced: &[(usize, &str)]) -> Batch {
    let mut bodies: Vec<String> = (0..count).map(|row| row.to_string()).collect();
    for (row, body) in replaced {
        bodies[*row] = (*body).to_owned();
    }
    batch(&bodies.iter().map(String::as_str).collect::<Vec<_>>())
}

pub fn bodies(batch: &Batch) -> Vec<String> {
    batch.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
}

/// Body and headers of every event.
pub fn shown(batch: &Batch) -> Vec<String> {
    let headers = |event: &Event| -> Vec<String> {
        event.headers.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    batch
        .iter()
        .map(|event| format!("{} [{}]", String::from_utf8_lossy(&event.body), headers(event).join(" ")))
        .collect()
}

/// The rejection of a diverted event.
pub fn rejection(diverted: &Diverted) -> &Rejection {
    match &diverted.destination {
        Destination::DeadLetter(rejection) => rejection,
        Destination::Channel(name) => panic!("routed to {name}"),
    }
}

pub fn detail<'a>(rejection: &'a Rejection, name: &str) -> &'a str {
    rejection.details.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// What this thread logs from now on.
pub struct CapturedLog {
    written: Arc<std::sync::Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl CapturedLog {
    pub fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

/// Lets log lines be asked for everywhere. Whether a place logs at all is decided for the whole process: without this,
/// a test without a log on another thread could decide it for one with a log.
pub fn log_everywhere() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let nowhere = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(std::io::sink)
            .finish();
        drop(tracing::subscriber::set_global_default(nowhere));
    });
}

pub fn captured_log() -> CapturedLog {
    log_everywhere();
    #[derive(Clone)]
    struct Writer(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let written = Arc::new(std::sync::Mutex::new(Vec::new()));
    let writer = Writer(Arc::clone(&written));
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    CapturedLog { written, _guard: tracing::subscriber::set_default(subscriber) }
}
