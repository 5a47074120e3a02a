//! Writes `runtime/reference/`: one page per component, made by the binary from the tables that it checks with.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{chores, guests};

/// Writes the pages, or only compares them.
pub fn docs(check: bool) -> Result<()> {
    let binary = chores::build_agent()?;
    let fresh = guests::root().join("target/reference");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    let mut command = Command::new(binary);
    command.arg("explain").arg("--markdown").arg(&fresh);
    chores::run(command)?;
    let kept = guests::root().join("runtime/reference");
    let (new, old) = (pages(&fresh)?, pages(&kept).unwrap_or_default());
    summaries_read_alike(&new)?;
    if new == old {
        eprintln!("docs: {} pages up to date", new.len());
        return Ok(());
    }
    if check {
        let names = new.keys().chain(old.keys()).filter(|name| new.get(*name) != old.get(*name));
        let names: std::collections::BTreeSet<_> = names.collect();
        bail!("runtime/reference is out of date ({names:?}); run `cargo xtask docs`");
    }
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    for (name, text) in &new {
        fs::write(kept.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    eprintln!("docs: wrote {} pages to runtime/reference", new.len());
    Ok(())
}

/// The last cell of a row and the lines of the index begin with a capital and end without a full stop.
fn summaries_read_alike(pages: &BTreeMap<String, String>) -> Result<()> {
    let mut findings = Vec::new();
    for (name, text) in pages {
        let cells = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.rsplit(" | ").next());
        let index = text.lines().filter_map(|line| line.strip_prefix("- [")?.split("): ").nth(1));
        findings.extend(
            cells
                .chain(index)
                .filter(|summary| {
                    summary.starts_with(char::is_lowercase) || summary.ends_with('.') || summary.is_empty()
                })
                .map(|summary| format!("{name}: {summary:?}")),
        );
    }
    if !findings.is_empty() {
        bail!("summaries begin with a capital and end without a full stop:\n  {}", findings.join("\n  "));
    }
    Ok(())
}

fn pages(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        pages.insert(
            name,
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
        );
    }
    Ok(pages)
}
