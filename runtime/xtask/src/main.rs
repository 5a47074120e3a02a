//! The chores of the repository: `cargo xtask <chore>`.

mod guests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Builds the plugins of examples, tests and templates to `target/guests/<name>.wasm`.
    ///
    /// Installs what it needs for wasm32: a target of rustup, or on Debian the packages of a Rust that
    /// brings its own standard library as source.
    #[command(after_help = "Example: cargo xtask guests redact drop-rule")]
    Guests {
        /// Only these; all if none is named.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Guests { names } => guests::build(&names).map(drop),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
