//! Interceptors out of scripts, by way of a whole configuration.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use millrace_config::{Diagnostics, MapEnvironment, Report, check, parse_text};
use millrace_core::{Batch, BuildContext, Event, Interceptor, PluginHost};

use crate::support::{Rig, StillClock};

/// The engine, built once per run of the tests.
pub fn engine() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    BUILT.get_or_init(|| {
        let mut command = Command::new(env!("CARGO"));
        let output = command.args(["xtask", "guests", "script-engine"]).current_dir(&root).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    root.join("target/guests/script-engine.wasm")
}

/// A script to build, and what stands beside its file in the section.
pub struct Script<'a> {
    pub text: &'a str,
    pub options: &'a str,
}

impl Rig {
    /// A rig whose native code is kept for all tests of this run: compiling the engine takes seconds.
    pub fn for_scripts() -> Self {
        static CACHE: OnceLock<tempfile::TempDir> = OnceLock::new();
        Self::with_cache(CACHE.get_or_init(|| tempfile::tempdir().unwrap()).path())
    }

    /// The script in `scripts/x.js`, named by a configuration; on the other side what `check` would print.
    pub fn script(&self, script: &Script<'_>) -> Result<Arc<dyn Interceptor>, String> {
        self.script_in(script.text, &format!("file \"scripts/x.js\"\n{}", script.options))
    }

    /// The same with everything in the section.
    pub fn script_in(&self, text: &str, section: &str) -> Result<Arc<dyn Interceptor>, String> {
        let kdl = format!(
            "channels {{ memory \"m\" }}\nsinks {{ null \"n\" channel=\"m\" }}\nsources {{ seq \"s\" channel=\"m\" {{\n\
             interceptors {{ script \"tag\" {{\n{section}\nengine \"{}\"\n}} }} }} }}",
            engine().display()
        );
        let environment = MapEnvironment::default().with_file("scripts/x.js", text);
        let (spec, found) = parse_text("agent.kdl", &kdl, &environment);
        let told = |found: &Diagnostics| Report::new(found, &spec.files).render_text(false, 120);
        assert!(!found.has_errors(), "{}", told(&found));
        let node = &spec.sources[0].interceptors[0].node;
        let factories = millrace_wasm::interceptors();
        let factory = factories.iter().find(|factory| factory.name == "script").unwrap();
        let (section, found) = check(node, factory.options, factory.open, &spec.files);
        if found.has_errors() {
            return Err(told(&found));
        }
        let cx = BuildContext {
            agent: "edge".into(),
            component: "tag".into(),
            data_dir: self.data.path().to_owned(),
            generation: 7,
            lane: 0,
            lanes: 1,
            clock: Arc::new(StillClock),
            metrics: self.metrics.clone(),
            plugins: Arc::new([]),
            plugin_host: Arc::clone(&self.host) as Arc<dyn PluginHost>,
        };
        (factory.build)(&section, &cx).map(Arc::from).map_err(|found| told(&found))
    }

    /// A script that must load.
    pub fn js(&self, text: &str) -> Arc<dyn Interceptor> {
        self.script(&Script { text, options: "" }).unwrap_or_else(|told| panic!("{told}"))
    }

    /// What is wrong with a script that must not.
    pub fn wrong_js(&self, text: &str, options: &str) -> String {
        match self.script(&Script { text, options }) {
            Err(told) => told,
            Ok(_) => panic!("it loads"),
        }
    }
}

/// Events of bytes.
pub fn raw(bodies: &[&[u8]]) -> Batch {
    Batch::new(bodies.iter().map(|body| Event::new(body.to_vec())).collect())
}
