//! The chores of the repository: `cargo xtask <chore>`.
#![expect(clippy::disallowed_methods, reason = "chores work on the files of the repository")]

mod bench;
mod chores;
mod docs;
mod guests;
mod prerequisites;
mod quickstart;
mod tidy;

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
    /// Builds everything, runs an agent on a real access log through plugins into rolled files, and checks the output
    Quickstart(quickstart::Options),
    /// Builds the plugins of examples, tests and templates to `target/guests/<name>.wasm`
    ///
    /// Installs what it needs for wasm32: a target of rustup, or on Debian the packages of a Rust that
    /// brings its own standard library as source.
    #[command(after_help = "Example: cargo xtask guests redact drop-rule")]
    Guests {
        /// Only these; all if none is named.
        names: Vec<String>,
    },
    /// Installs what tests need, builds everything and runs all tests
    Test {
        /// Passed on to the tests, for example a name to filter by.
        arguments: Vec<String>,
    },
    /// Tries random plugins on the host, with new seeds for as long as it is told; a seed that fails is kept
    Fuzz {
        /// Only this interface, for example `state`; all if none is named.
        interface: Option<String>,
        /// How long each interface is tried.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// The whole gate: formatting, lints, house rules, reference pages, tests
    Ci,
    /// Checks the house rules that no compiler knows
    Tidy,
    /// Writes the component reference under runtime/reference from the option tables
    Docs {
        /// Only report what is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Measures the rows of the speed budget next to their references
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Quickstart(options) => quickstart::run(&options),
        Chore::Guests { names } => guests::build(&names).map(drop),
        Chore::Test { arguments } => chores::test(&arguments),
        Chore::Fuzz { interface, seconds } => chores::fuzz(interface.as_deref(), seconds),
        Chore::Ci => chores::ci(),
        Chore::Tidy => tidy::tidy(),
        Chore::Docs { check } => docs::docs(check),
        Chore::Bench(options) => bench::bench(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
