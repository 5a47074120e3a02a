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
