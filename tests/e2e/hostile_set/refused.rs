//! Plugins that cannot work: each is tried as a reload of the running agent, which has to refuse it and go on.

use std::{fs, path::Path};

use millrace_tests::{Agent, guest};
use serde_json::Value;

use super::case::Config;

/// A change of the configuration that must be refused.
pub(super) struct Attempt {
    pub(super) name: &'static str,
    /// What the answer has to say.
    pub(super) reason: &'static str,
    /// The whole text.
    config: String,
}

/// What is added to the configuration that runs.
struct Addition<'a> {
    folder: &'a Path,
    config: &'a str,
    attempts: Vec<Attempt>,
}

impl Addition<'_> {
    /// An interceptor in a new pipeline.
    fn interceptor(
        &mut self,
        name: &'static str,
        path: &Path,
        rest: &str,
        options: &str,
        reason: &'static str,
    ) {
        let plugin = format!("bad path={path:?} {rest}");
        let source = format!(
            "netcat \"bad\" channel=\"native\" {{ listen \"127.0.0.1:0\"; interceptors {{ wasm \"guest\" plugin=\"bad\" {{ {options} }} }} }}"
        );
        self.parts(name, &plugin, &source, reason);
    }

    fn guest(&mut self, name: &'static str, guest_name: &str, reason: &'static str) {
        self.interceptor(name, &guest(guest_name), "", "", reason);
    }

    fn file(&mut self, name: &'static str, content: &[u8], reason: &'static str) {
        let path = self.folder.join(format!("{}.wasm", name.replace(' ', "-")));
        fs::write(&path, content).unwrap();
        self.interceptor(name, &path, "", "", reason);
    }

    fn parts(&mut self, name: &'static str, plugin: &str, source: &str, reason: &'static str) {
        let config = self.config.replacen("plugins {\n", &format!("plugins {{\n    {plugin}\n"), 1).replacen(
            "sources {\n",
            &format!("sources {{\n    {source}\n"),
            1,
        );
        self.attempts.push(Attempt { name, reason, config });
    }

    /// Another option for an interceptor that runs.
    fn follows(&mut self, name: &'static str, before: &str, after: &str, reason: &'static str) {
        assert_eq!(self.config.matches(before).count(), 1, "{before}");
        self.attempts.push(Attempt { name, reason, config: self.config.replacen(before, after, 1) });
    }
}

pub(super) fn attempts(folder: &Path, config: &Config<'_>) -> Vec<Attempt> {
    let text = config.text();
    let mut all = Addition { folder, config: &text, attempts: Vec::new() };
    files(&mut all);
    all.guest(
        "wrong world",
        "wrong-world",
        "expected millrace:plugin/interceptor@0.1.0, found only test:wrong-world/codec",
    );
    all.guest("other version", "other-version", "expected millrace:plugin/");
    all.guest("sink as interceptor", "sink-states", "expected millrace:plugin/interceptor@0.1.0");
    let source = r#"wasm "bad" channel="native""#;
    let plugin = format!("bad path={:?}", guest("keeps-all"));
    all.parts("interceptor as source", &plugin, source, "expected millrace:plugin/source@0.1.0");
    all.guest(
        "sockets not granted",
        "imports-wasi-socket",
        "asks for socket (it imports wasi:sockets/network@",
    );
    all.guest("http not granted", "sends-http", "asks for http (it imports millrace:plugin/http@0.1.0)");
    let keeps_all = guest("keeps-all");
    all.interceptor(
        "grant of everything",
        &guest("sends-http"),
        "{ grant { http \"*\" } }",
        "",
        "is no origin",
    );
    let digest = format!("digest=\"sha256:{}\"", "0".repeat(64));
    all.interceptor("other digest", &keeps_all, &digest, "", "the file is sha256:");
    all.guest("trap in configure", "configure-traps", "configure was asked to panic");
    all.guest("configure loops", "configure-loops", "deadline: the call took longer than 1s");
    let mask = r#"mask "\u{23}""#;
    all.interceptor("configure refuses", &guest("configure-refuses"), "", mask, "nothing is ever right");
    let everywhere = guest("traps-everywhere");
    all.interceptor(
        "trap in configure of all",
        &everywhere,
        "",
        r#"in "configure""#,
        "asked to panic in Configure",
    );
    all.follows(
        "trap in restore",
        r#"plugin="trap-in-restore" {  }"#,
        r#"plugin="trap-in-restore" { in "restore" }"#,
        "asked to panic in Restore",
    );
    all.follows("trap in save", r#"{ in "save" }"#, "{ }", "asked to panic in Save");
    all.attempts
}

/// Corrupt components.
fn files(all: &mut Addition<'_>) {
    let whole = fs::read(guest("keeps-all")).unwrap();
    let mut noise = whole.clone();
    let middle = noise.len() / 2;
    for byte in &mut noise[middle..middle + 64] {
        *byte ^= 0x5a;
    }
    all.guest("core module", "not-a-component", "core WebAssembly module, not a component");
    all.file("empty file", b"", "the file is no valid component");
    all.file("text", b"hello", "the file is no valid component");
    all.file("half a component", &whole[..whole.len() / 2], "the file is no valid component");
    all.file("damaged component", &noise, "the file is no valid component");
    all.file("head and noise", b"\0asm\x0d\0\x01\0broken", "the file is no valid component");
    let large = all.folder.join("large.wasm");
    fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    all.interceptor("far too large", &large, "", "", "67108865 bytes, at most 67108864");
}

impl Attempt {
    /// Reloads with it. It must be refused with its reason, and what runs must be what ran before; otherwise, what is wrong.
    pub(super) fn problem(&self, agent: &Agent, folder: &Path) -> Option<String> {
        let before = agent.status()["generation"].clone();
        Agent::write_config(folder, "hostile", &self.config);
        let report = agent.reload();
        let status = agent.status();
        let outcomes = [&report["outcome"], &status["last_reload"]["outcome"]];
        let says = |text: &Value| text.as_str().is_some_and(|text| text.contains(self.reason));
        let reasons = &status["last_reload"]["reasons"];
        let is_right = outcomes.iter().all(|outcome| **outcome == "refused")
            && reasons.as_array().into_iter().flatten().any(says)
            && status["generation"] == before;
        (!is_right).then(|| format!("{}: {} {outcomes:?} {reasons}", self.name, report["text"]))
    }
}
