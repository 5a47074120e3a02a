//! What a configuration says, before anybody knows whether its component types exist.
//!
//! The spec knows the shape shared by all agents (which blocks there are, what every source and sink has);
//! a component's own options stay a [`Node`] until the engine finds the component's factory and its table.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    diagnostic::{FileId, Files, Span},
    node::{Node, Scalar, Spanned},
    section::Section,
};

/// A whole configuration.
#[derive(Debug, Clone, Default)]
pub struct AgentSpec {
    /// What the `agent` block says.
    pub agent: AgentSettings,
    /// The `plugins` block.
    pub plugins: Vec<PluginSpec>,
    /// The `channels` block.
    pub channels: Vec<ComponentSpec>,
    /// The `sources` block.
    pub sources: Vec<SourceSpec>,
    /// The `sinks` block.
    pub sinks: Vec<SinkSpec>,
    /// The `sink-groups` block.
    pub groups: Vec<GroupSpec>,
    /// The texts, for diagnostics and for watching.
    pub files: Files,
}

/// The `agent` block.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The agent's name.
    pub name: String,
    /// Where channels, positions and caches live.
    pub data_dir: PathBuf,
    /// Where the admin HTTP server listens. None: switched off by `admin #false`.
    pub admin_listen: Option<String>,
    /// The channel that takes rejected events. None: a file channel of its own under `data_dir`.
    pub dead_letter_channel: Option<Spanned<String>>,
    /// How long a graceful shutdown may drain.
    pub shutdown_deadline: Duration,
    /// Whether the configuration and the plugins are watched for changes.
    pub watch: bool,
}

/// A plugin: a `.wasm` file with its limits and grants.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// The name by which components use it.
    pub name: Spanned<String>,
    /// The file.
    pub path: Spanned<PathBuf>,
    /// The digest the file must have: `sha256:` and 64 hexadecimal digits.
    pub digest: Option<Spanned<String>>,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes_max: u64,
    /// Time of one call. None: what is usual for its kind.
    pub call_time_max: Option<Duration>,
    /// Instances that may run at the same time.
    pub instances_max: u32,
    /// Lines of log per second.
    pub log_lines_max: u32,
    /// State of one component, in bytes.
    pub state_bytes_max: u64,
    /// What the operator grants: the `grant` block, checked against [`crate::GRANT_OPTIONS`]. None: nothing.
    pub grant: Option<Section>,
    /// The whole node.
    pub node: Node,
    /// The script, where the plugin is an engine that runs one.
    pub script: Option<ScriptSpec>,
}

/// A script that an engine runs in the place of a plugin of its own.
#[derive(Debug, Clone)]
pub struct ScriptSpec {
    /// What it is called in errors: the path of its file.
    pub name: String,
    /// The script.
    pub text: Arc<str>,
    /// Its file, so that places in it can be told. None: it stands in the configuration itself.
    pub file: Option<FileId>,
    /// Where the configuration names it.
    pub span: Span,
}

impl PluginSpec {
    /// The public key that must have signed the file, if the operator names one.
    pub fn key(&self) -> Option<Spanned<String>> {
        let property = self.node.property("key").map(|property| &property.value);
        let child = self.node.children_named("key").next().and_then(|child| child.arguments.first());
        let key = property.or(child)?;
        match &key.value {
            Scalar::Text(text) => Some(Spanned::new(text.clone(), key.span)),
            _ => None,
        }
    }
}

/// A component with options of its own.
#[derive(Debug, Clone)]
pub struct ComponentSpec {
    /// Its type: the node's name.
    pub kind: Spanned<String>,
    /// Its name: the node's first argument; the type where there is none (allowed for interceptors and
    /// selectors only).
    pub name: Spanned<String>,
    /// The node without the options that the engine reads itself.
    pub node: Node,
}

impl ComponentSpec {
    /// Whether two specs would build the same component.
    pub fn same_meaning(&self, other: &Self) -> bool {
        self.kind.value == other.kind.value
            && self.name.value == other.name.value
            && self.node.same_meaning(&other.node)
    }
}

/// A source with what stands between it and its channels.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Type, name, own options.
    pub component: ComponentSpec,
    /// The channels named by `channel="…"` or `channel "a" "b"`: the default route.
    pub channels: Vec<Spanned<String>>,
    /// The `interceptors` block, in order.
    pub interceptors: Vec<ComponentSpec>,
    /// The `selector` node: `selector "multiplexing" …`; its kind is the first argument.
    pub selector: Option<ComponentSpec>,
}

/// A sink and how its channel is emptied.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// Type, name, own options.
    pub component: ComponentSpec,
    /// The channel it takes from.
    pub channel: Spanned<String>,
    /// The options every sink has, checked against [`crate::SINK_OPTIONS`].
    pub delivery: Section,
}

/// A sink group: a sink processor over sinks or other groups.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Processor type, group name, own options (without the members).
    pub component: ComponentSpec,
    /// The members in order of writing.
    pub members: Vec<GroupMember>,
    /// How the group's channel is emptied, as for a sink.
    pub delivery: Section,
}

/// `sink "lake" priority=10` inside a group.
#[derive(Debug, Clone)]
pub struct GroupMember {
    /// The name of a sink or of another group.
    pub name: Spanned<String>,
    /// Larger is preferred (failover).
    pub priority: Option<Spanned<i64>>,
    /// Share of the load (load-balance).
    pub weight: Option<Spanned<u32>>,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            name: "agent".into(),
            data_dir: PathBuf::from("millrace-data"),
            admin_listen: Some("127.0.0.1:9600".into()),
            dead_letter_channel: None,
            shutdown_deadline: Duration::from_secs(30),
            watch: true,
        }
    }
}
