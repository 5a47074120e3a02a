//! One hostile plugin in its own small pipeline, and what has to become of it.

use std::{fmt::Write, path::Path};

use millrace_tests::guest;

/// Limits of plugins that have the time they need, also on a busy machine.
pub(super) const PATIENT: &str = r#"limits memory="16MiB" time="5s""#;

/// Limits of plugins that use all the time they get.
pub(super) const SHORT: &str = r#"limits memory="16MiB" time="75ms""#;

/// Where the plugin stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// netcat -> plugin -> memory channel -> file-roll
    Interceptor,
    /// plugin -> memory channel -> file-roll
    Source,
    /// netcat -> file channel -> plugin
    Sink,
    /// frames with the plugin -> memory channel -> file-roll
    Decoder,
    /// netcat -> file channel -> file-roll with the plugin
    Encoder,
}

/// How much a counter or gauge shows, in the end.
#[derive(Clone, Copy)]
pub(super) enum Amount {
    Exactly(u64),
    PerRound(u64),
    /// For each call of the plugin.
    PerCall(u64),
    AtLeast(u64),
    AtMost(u64),
}

/// What has to be seen.
#[derive(Clone)]
pub(super) enum Expect {
    /// A metric of the plugin, without `millrace_plugin_`, with the labels `component`, `plugin` and these.
    Plugin(&'static str, String, Amount),
    /// Another metric, with the label `component` of the pipeline.
    Metric(&'static str, Amount),
    /// The events that come out for the lines of each round, in order; a star at the end stands for any rest.
    Delivers(Vec<String>),
    /// The events that come out in all, of which there are at least so many: 0, 1, 2 and so on.
    Counts(u64),
    /// As many and no more.
    CountsTo(u64),
    /// The bodies of the dead letters for the lines of each round, and what is in the reason of every one.
    Letters(Vec<String>, &'static str),
    /// What the status says went wrong last.
    LastError(&'static str),
    /// Events in its channel, which nobody took.
    KeptPerRound(u64),
    /// Lines of its own in the log, and those suppressed: so many for each call.
    LogLinesPerCall(u64),
    /// Calls are at most one for each millisecond.
    CallsArePaced,
}

/// One hostile plugin.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) guest: &'static str,
    /// What stands in the plugin's node.
    pub(super) plugin: String,
    pub(super) role: Role,
    /// The plugin's options.
    pub(super) options: String,
    /// What is sent in each round.
    pub(super) lines: Vec<String>,
    /// Each round comes by a connection of its own, because the agent closes it.
    pub(super) connects_again: bool,
    /// The lines are sent in every so many rounds only, beginning with the first.
    pub(super) every: u64,
    /// The guest that it follows in the running agent.
    pub(super) follows: Option<&'static str>,
    pub(super) expect: Vec<Expect>,
}

impl Case {
    pub(super) fn new(role: Role, name: &'static str, guest: &'static str) -> Self {
        Self {
            name,
            guest,
            plugin: PATIENT.to_owned(),
            role,
            options: String::new(),
            lines: Vec::new(),
            connects_again: false,
            every: 1,
            follows: None,
            expect: Vec::new(),
        }
    }

    pub(super) fn plugin(mut self, plugin: impl Into<String>) -> Self {
        self.plugin = plugin.into();
        self
    }

    pub(super) fn options(mut self, options: impl Into<String>) -> Self {
        self.options = options.into();
        self
    }

    pub(super) fn lines(mut self, lines: &[&str]) -> Self {
        self.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    pub(super) fn expect(mut self, expect: Expect) -> Self {
        self.expect.push(expect);
        self
    }

    /// Faults of this kind, at least so many, and none of another kind.
    pub(super) fn faults(self, kind: &str, least: u64) -> Self {
        self.expect(Expect::Plugin("faults_total", format!("kind={kind:?}"), Amount::AtLeast(least)))
    }

    /// What comes out for each round.
    pub(super) fn delivers(self, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.expect(Expect::Delivers(lines))
    }

    /// What becomes a dead letter in each round, counted by the plugin's own metric.
    pub(super) fn letters(self, bodies: &[&str], reason: &'static str) -> Self {
        let count = bodies.len() as u64;
        self.rejected(bodies, reason).expect(Expect::Plugin(
            "dead_letters_total",
            String::new(),
            Amount::PerRound(count),
        ))
    }

    /// The same, where the plugin asked for it: nobody broke.
    pub(super) fn rejected(self, bodies: &[&str], reason: &'static str) -> Self {
        let bodies = bodies.iter().map(|body| (*body).to_owned()).collect();
        self.expect(Expect::Letters(bodies, reason))
    }

    /// The label `component` of the plugin's metrics.
    pub(super) fn component(&self) -> String {
        match self.role {
            Role::Interceptor => format!("{}/guest", self.name),
            Role::Encoder => format!("{}/codec", self.name),
            Role::Source | Role::Sink | Role::Decoder => self.name.to_owned(),
        }
    }

    /// Who sets its events aside.
    pub(super) fn letter_component(&self) -> String {
        match self.role {
            Role::Encoder => self.name.to_owned(),
            _ => self.component(),
        }
    }

    /// Where the lines of a round go to; None: it needs none.
    pub(super) fn listener(&self) -> Option<&'static str> {
        (self.role != Role::Source).then_some(self.name)
    }

    /// How often it was sent its lines in so many rounds.
    pub(super) fn rounds(&self, rounds: u64) -> u64 {
        rounds.div_ceil(self.every)
    }

    /// What stands in its place before it comes: itself, or what it follows.
    pub(super) fn before(self) -> Self {
        match self.follows {
            Some(guest) => Self { guest, options: String::new(), ..self },
            None => self,
        }
    }

    /// Its nodes in the blocks of the configuration.
    pub(super) fn add_to(&self, config: &mut Config<'_>) {
        let Self { name, options, .. } = self;
        config.plugin(name, &guest(self.guest), &self.plugin);
        let netcat = r#"listen "127.0.0.1:0"; ack-every-event #false"#;
        let source = match self.role {
            Role::Interceptor => format!(
                "netcat {name:?} channel={name:?} {{ {netcat}; interceptors {{ wasm \"guest\" plugin={name:?} {{ {options} }} }} }}"
            ),
            Role::Source => format!("wasm {name:?} channel={name:?} {{ {options} }}"),
            Role::Sink | Role::Encoder => format!("netcat {name:?} channel={name:?} {{ {netcat} }}"),
            Role::Decoder => format!(
                "frames {name:?} channel={name:?} {{ listen \"127.0.0.1:0\"; codec {name:?} {{ {options} }} }}"
            ),
        };
        let channel = if matches!(self.role, Role::Sink | Role::Encoder) { "file" } else { "memory" };
        let sink = match self.role {
            Role::Sink => format!(
                r#"wasm {name:?} channel={name:?} {{ retry initial="50ms" longest="500ms"; {options} }}"#
            ),
            Role::Encoder => config.file_roll(
                name,
                name,
                &format!("append-newline #false; codec {name:?} {{ {options} }}"),
            ),
            _ => config.file_roll(name, name, r#"serializer "json""#),
        };
        config.part(&source, &format!("{channel} {name:?}"), &sink);
    }
}

/// The text of a configuration while it is put together.
pub(super) struct Config<'a> {
    folder: &'a Path,
    pub(super) plugins: String,
    channels: String,
    pub(super) sources: String,
    sinks: String,
}

impl<'a> Config<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        let (plugins, channels) = (String::new(), String::new());
        let mut config = Self { folder, plugins, channels, sources: String::new(), sinks: String::new() };
        let letters = config.file_roll("letters", "rejected", r#"serializer "json""#);
        config.part("", "memory \"rejected\"", &letters);
        config
    }

    pub(super) fn plugin(&mut self, name: &str, path: &Path, content: &str) {
        let _ = writeln!(self.plugins, "    {name} path={path:?} {{ {content} }}");
    }

    pub(super) fn part(&mut self, source: &str, channel: &str, sink: &str) {
        for (block, node) in
            [(&mut self.sources, source), (&mut self.channels, channel), (&mut self.sinks, sink)]
        {
            let _ = writeln!(block, "    {node}");
        }
    }

    pub(super) fn file_roll(&self, name: &str, channel: &str, options: &str) -> String {
        let directory = self.folder.join("out").join(name);
        format!(
            r#"file-roll {name:?} channel={channel:?} {{ directory {directory:?}; sync "none"; roll interval="1h"; {options} }}"#
        )
    }

    pub(super) fn text(&self) -> String {
        let data = self.folder.join("hostile-data");
        let Self { plugins, channels, sources, sinks, .. } = self;
        format!(
            r#"agent "hostile" {{
    data-dir {data:?}
    admin listen="127.0.0.1:0"
    watch #false
    shutdown deadline="10s"
    dead-letter channel="rejected"
}}
plugins {{
{plugins}}}
channels {{
{channels}}}
sources {{
{sources}}}
sinks {{
{sinks}}}
"#
        )
    }
}
