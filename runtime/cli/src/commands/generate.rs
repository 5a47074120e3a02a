//! `millrace completions` and `millrace man`: made from the command line's own declaration.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::{
    args::{Arguments, CompletionOptions, ManOptions},
    exit::Answer,
    output::output,
};

pub(crate) fn completions(options: &CompletionOptions) -> anyhow::Result<Answer> {
    clap_complete::generate(options.shell, &mut Arguments::command(), "millrace", &mut output());
    Ok(Answer::Good)
}

#[expect(clippy::disallowed_methods, reason = "the pages go where the user says")]
pub(crate) fn man(options: &ManOptions) -> anyhow::Result<Answer> {
    std::fs::create_dir_all(&options.folder)
        .with_context(|| format!("cannot create {}", options.folder.display()))?;
    let mut command = Arguments::command();
    command.build();
    page(&command, "millrace", &options.folder)?;
    Ok(Answer::Good)
}

#[expect(clippy::disallowed_methods, reason = "the pages go where the user says")]
fn page(command: &clap::Command, name: &str, folder: &Path) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let named = command.clone().name(name.to_owned()).bin_name(name.replace('-', " "));
    clap_mangen::Man::new(named).render(&mut text)?;
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    for child in command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
    {
        page(child, &format!("{name}-{}", child.get_name()), folder)?;
    }
    Ok(())
}
