//! The `millrace` command: runs agents, checks and explains configurations, asks running agents.

#[macro_use]
mod output;

mod agent_address;
mod args;
mod commands;
mod exit;
mod logging;
mod place;
mod plugin_args;
mod registry;

use clap::Parser;

use args::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    // One provider of cryptography for the whole process; it cannot have been installed before.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let result = match arguments.command {
        Command::Run(options) => commands::run::run(&options),
        Command::Check(options) => commands::check::check(&options),
        Command::Explain(options) => commands::explain::explain(&options),
        Command::Graph(options) => commands::graph::graph(&options),
        Command::Status(options) => commands::status::status(&options),
        Command::Reload(options) => commands::reload::reload(&options),
        Command::LogLevel(options) => commands::log_level::log_level(&options),
        Command::Plugin(options) => commands::plugin::plugin(&options),
        Command::Completions(options) => commands::generate::completions(&options),
        Command::Man(options) => commands::generate::man(&options),
    };
    exit::code(result)
}
