//! The command line: every command with its options, help and an example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plugin_args::PluginOptions;

/// A durable log agent that its users extend with WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, about, propagate_version = true)]
#[command(
    after_help = "Start here:\n  millrace check agent.kdl\n  millrace run agent.kdl\n  millrace explain taildir"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an agent; watch its configuration and plugins and reload what changes
    #[command(after_help = "Example:\n  millrace run /etc/millrace/agent.kdl --log-format json\n\n\
        SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reloads.")]
    Run(RunOptions),
    /// Report every mistake of a configuration at once
    #[command(after_help = "Example:\n  millrace check agent.kdl\n  millrace check agent.kdl --format json")]
    Check(CheckOptions),
    /// Show the reference of a component, or the list of all
    #[command(
        after_help = "Example:\n  millrace explain\n  millrace explain file-roll\n  millrace explain redact.wasm\n  millrace explain plugin redact --config agent.kdl"
    )]
    Explain(ExplainOptions),
    /// Draw the flow of a configuration
    #[command(
        after_help = "Example:\n  millrace graph agent.kdl\n  millrace graph agent.kdl --format dot | dot -Tsvg > flow.svg"
    )]
    Graph(GraphOptions),
    /// Ask a running agent how it is doing
    #[command(
        after_help = "Example:\n  millrace status --config agent.kdl\n  millrace status --admin 127.0.0.1:9600 --format json"
    )]
    Status(StatusOptions),
    /// Make a running agent read its configuration again, and report what changed
    #[command(after_help = "Example:\n  millrace reload --config agent.kdl")]
    Reload(ReloadOptions),
    /// Show or change the log filter of a running agent
    #[command(
        after_help = "Example:\n  millrace log-level\n  millrace log-level debug\n  millrace log-level info,millrace_engine=trace"
    )]
    LogLevel(LogLevelOptions),
    /// Write plugins: new, build, inspect, test, bench, run, sign, publish
    #[command(
        after_help = "From nothing to a tested plugin:\n  millrace plugin new rust interceptor drop-debug\n  cd drop-debug\n  millrace plugin build\n  millrace plugin test"
    )]
    Plugin(PluginOptions),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  millrace completions bash > /etc/bash_completion.d/millrace")]
    Completions(CompletionOptions),
    /// Write man pages into a folder
    #[command(after_help = "Example:\n  millrace man /usr/local/share/man/man1")]
    Man(ManOptions),
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The configuration
    #[arg(default_value = "agent.kdl")]
    pub(crate) config: PathBuf,
    /// Which of the agent's own log lines to write: a level, or a filter such as `info,millrace_engine=debug`
    #[arg(long, env = "MILLRACE_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How to write them, to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Do not watch files; reload only on SIGHUP and `millrace reload`
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// Stop when there is nothing left to do
    ///
    /// That is when every source has ended or, as `taildir` and `spooldir`, has read every file that is there to its
    /// end, and every channel with a sink is empty. A last line without an end stays for the next start, unless
    /// `partial-timeout` makes an event of it; a file that cannot be read is waited for. With a source that never
    /// ends, because others connect to it or it has no limit, the agent refuses to start. A source that is a plugin
    /// ends when it says so.
    #[arg(long)]
    pub(crate) exit_when_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The configuration
    #[arg(default_value = "agent.kdl")]
    pub(crate) config: PathBuf,
    /// Text for people, JSON for editors and CI
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// A component type such as `taildir`, one of the blocks `agent`, `plugins`, `sink-options`, or a plugin file; without
    /// one, the list of all
    pub(crate) topic: Option<String>,
    /// The name of a plugin, after `explain plugin`
    pub(crate) plugin: Option<String>,
    /// The configuration that declares the plugin
    #[arg(long, default_value = "agent.kdl")]
    pub(crate) config: PathBuf,
    /// Write the whole reference as Markdown into a folder
    #[arg(long, hide = true)]
    pub(crate) markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GraphOptions {
    /// The configuration
    #[arg(default_value = "agent.kdl")]
    pub(crate) config: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    pub(crate) format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    Text,
    Dot,
    Mermaid,
}

/// Which agent to ask.
#[derive(Debug, Args)]
pub(crate) struct AdminOptions {
    /// The admin address of the agent
    #[arg(long, conflicts_with = "config")]
    pub(crate) admin: Option<String>,
    /// The configuration of the agent, to find its admin address
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    pub(crate) agent: AdminOptions,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ReloadOptions {
    #[command(flatten)]
    pub(crate) agent: AdminOptions,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct LogLevelOptions {
    #[command(flatten)]
    pub(crate) agent: AdminOptions,
    /// The new filter; without one, the filter in force is shown
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionOptions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// The folder, created if missing
    pub(crate) folder: PathBuf,
}
