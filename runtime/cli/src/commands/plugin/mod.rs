//! `millrace plugin`: the loop of a plugin's author.

mod bench;
mod build;
mod config;
mod inspect;
mod keys;
mod new;
mod registry;
mod run;
mod test;

use std::path::PathBuf;

use crate::{
    exit::Answer,
    plugin_args::{PluginCommand, PluginOptions},
};

pub(crate) fn plugin(options: &PluginOptions) -> anyhow::Result<Answer> {
    match &options.command {
        PluginCommand::New(options) => new::new(options),
        PluginCommand::Build(options) => build::build(options),
        PluginCommand::Inspect(options) => inspect::inspect(options),
        PluginCommand::Test(options) => test::test(options),
        PluginCommand::Bench(options) => bench::bench(options),
        PluginCommand::Run(options) => run::run(options),
        PluginCommand::Keygen(options) => keys::keygen(options),
        PluginCommand::Sign(options) => keys::sign(options),
        PluginCommand::Verify(options) => keys::verify(options),
        PluginCommand::Push(options) => registry::push(options),
        PluginCommand::Pull(options) => registry::pull(options),
    }
}

/// A no with its reason, on standard error.
fn no(reason: &dyn std::fmt::Display) -> anyhow::Result<Answer> {
    eprintln!("millrace: {}", reason.to_string().trim_end());
    Ok(Answer::No)
}

/// A runtime as an agent has one.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Where tool-chains keep what they fetch: shared by all projects of this person.
fn cache() -> PathBuf {
    crate::place::cache_folder().join("toolchains")
}
