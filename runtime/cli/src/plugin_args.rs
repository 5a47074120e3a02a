//! The options of `millrace plugin …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::OutputFormat;

#[derive(Debug, Args)]
pub(crate) struct PluginOptions {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a new project from a template, with everything it needs in it
    #[command(after_help = "Example:\n  millrace plugin new rust interceptor drop-debug\n\n\
        Without arguments it lists the templates.")]
    New(NewOptions),
    /// Build the plugin of a project: compile, make a component, add the manifest, check it
    #[command(
        after_help = "Example:\n  millrace plugin build\n  millrace plugin build drop-debug --output plugins/drop-debug.wasm"
    )]
    Build(BuildOptions),
    /// Show what a plugin is and wants, without running it
    #[command(after_help = "Example:\n  millrace plugin inspect redact.wasm\n  \
        millrace plugin inspect redact.wasm --against redact-1.2.wasm")]
    Inspect(InspectOptions),
    /// Run the cases of a plugin on the real host
    #[command(
        after_help = "Example:\n  millrace plugin test\n  millrace plugin test redact.wasm --cases tests/cases.kdl\n\n\
        A case: case \"all are dropped\" { config { level \"debug\" }; in { event \"a\" level=\"debug\" }; out }"
    )]
    Test(TestOptions),
    /// Measure what a plugin costs per call, per event and per byte
    #[command(after_help = "Example:\n  millrace plugin bench redact.wasm --config mask=*\n  \
        millrace plugin bench redact.wasm --input access.log --format json")]
    Bench(BenchOptions),
    /// Put lines through a plugin
    #[command(
        after_help = "Example:\n  tail -f access.log | millrace plugin run redact.wasm --config keep=4"
    )]
    Run(RunLinesOptions),
    /// Make a pair of keys for signatures
    #[command(after_help = "Example:\n  millrace plugin keygen release\n\n\
        Makes release.key and release.pub. MILLRACE_KEY_PASSWORD protects the secret key.")]
    Keygen(KeygenOptions),
    /// Sign a plugin file; the signature is the file with `.minisig` behind its name
    #[command(after_help = "Example:\n  millrace plugin sign redact.wasm --key release.key\n\n\
        MILLRACE_KEY_PASSWORD opens a protected key. In a configuration: plugins { redact path=\"redact.wasm\" key=\"RWQ…\" }")]
    Sign(SignOptions),
    /// Check the signature beside a plugin file
    #[command(after_help = "Example:\n  millrace plugin verify redact.wasm --key release.pub")]
    Verify(VerifyOptions),
    /// Put a plugin, and its signature if there is one, into an OCI registry
    #[command(after_help = "Example:\n  millrace plugin push redact.wasm oci://ghcr.io/team/redact:1.2\n\n\
        MILLRACE_REGISTRY_PASSWORD holds the password or token of --username.")]
    Push(PushOptions),
    /// Take a plugin out of an OCI registry
    #[command(
        after_help = "Example:\n  millrace plugin pull oci://ghcr.io/team/redact:1.2 --output plugins/redact.wasm"
    )]
    Pull(PullOptions),
}

#[derive(Debug, Args)]
pub(crate) struct NewOptions {
    /// The language: rust, go, javascript, python or c; script for JavaScript without a build
    #[arg(requires = "kind")]
    pub(crate) language: Option<String>,
    /// interceptor, source or sink
    #[arg(requires = "name")]
    pub(crate) kind: Option<String>,
    /// The name of the plugin and of its folder
    pub(crate) name: Option<String>,
    /// Where the folder is made
    #[arg(long, default_value = ".")]
    pub(crate) parent: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BuildOptions {
    /// The project
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Where the component goes; without it, into the project under the plugin's name
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    /// Build soon rather than fast: for the time of editing
    #[arg(long)]
    pub(crate) dev: bool,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct InspectOptions {
    /// The `.wasm` file
    pub(crate) file: PathBuf,
    /// Another version of it: what has changed since then
    #[arg(long)]
    pub(crate) against: Option<PathBuf>,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// A project that was built, or a `.wasm` or `.js` file
    #[arg(default_value = ".")]
    pub(crate) target: PathBuf,
    /// The cases; without it, `tests/cases.kdl` of the project or beside the file
    #[arg(long)]
    pub(crate) cases: Option<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

/// Options of the plugin on the command line.
#[derive(Debug, Args)]
pub(crate) struct PluginConfig {
    /// One option of the plugin; repeat it for more. Numbers and #true are what they look like, everything else is text
    #[arg(long = "config", value_name = "NAME=VALUE")]
    pub(crate) config: Vec<String>,
    /// The options as KDL
    #[arg(long, conflicts_with = "config")]
    pub(crate) config_file: Option<PathBuf>,
    /// What is granted, as it stands between the braces of `grant { … }`
    #[arg(long)]
    pub(crate) grant: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// The `.wasm` or `.js` file: an interceptor
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) config: PluginConfig,
    /// Lines of this file as bodies, instead of bodies of 64, 512 and 2048 bytes
    #[arg(long)]
    pub(crate) input: Option<PathBuf>,
    /// How long to measure
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RunLinesOptions {
    /// The `.wasm` or `.js` file: an interceptor
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) config: PluginConfig,
    /// Read this file instead of standard input
    #[arg(long)]
    pub(crate) input: Option<PathBuf>,
    /// A header of every event; repeat it for more
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<String>,
    /// Show the headers of what comes out in front of it
    #[arg(long)]
    pub(crate) show_headers: bool,
    /// Lines of one call; with more than one, dropped lines are counted instead of shown
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenOptions {
    /// The beginning of both file names
    #[arg(default_value = "millrace-plugins")]
    pub(crate) stem: PathBuf,
    #[arg(long, env = "MILLRACE_KEY_PASSWORD", default_value = "", hide = true, hide_env_values = true)]
    pub(crate) password: String,
}

#[derive(Debug, Args)]
pub(crate) struct SignOptions {
    /// The `.wasm` file
    pub(crate) file: PathBuf,
    /// The secret key
    #[arg(long, default_value = "millrace-plugins.key")]
    pub(crate) key: PathBuf,
    #[arg(long, env = "MILLRACE_KEY_PASSWORD", default_value = "", hide = true, hide_env_values = true)]
    pub(crate) password: String,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// The `.wasm` file
    pub(crate) file: PathBuf,
    /// The public key (`RWQ…`), or a file that holds it
    #[arg(long)]
    pub(crate) key: String,
}

/// Who asks a registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryLogin {
    /// The name to log in with
    #[arg(long, default_value = "")]
    pub(crate) username: String,
    #[arg(long, env = "MILLRACE_REGISTRY_PASSWORD", default_value = "", hide = true, hide_env_values = true)]
    pub(crate) password: String,
}

#[derive(Debug, Args)]
pub(crate) struct PushOptions {
    /// The `.wasm` file
    pub(crate) file: PathBuf,
    /// Where to: `oci://host/name:tag`
    pub(crate) reference: String,
    #[command(flatten)]
    pub(crate) login: RegistryLogin,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PullOptions {
    /// Where from: `oci://host/name:tag` or `oci://host/name@sha256:…`
    pub(crate) reference: String,
    /// Where the component goes; without it, NAME.wasm
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) login: RegistryLogin,
    /// Text for people, JSON for machines
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
}
