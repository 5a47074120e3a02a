//! Where guests live, and what cargo knows about them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A crate that becomes a plugin.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) name: String,
    /// The manifest of the crate.
    pub(super) manifest: PathBuf,
    /// The folder of the workspace it belongs to, which is its own unless it shares one.
    pub(super) workspace: PathBuf,
    /// Whether it becomes a component: `package.metadata.millrace.component`, true unless said.
    pub(super) is_component: bool,
    /// Whether its standard library is that of WASI: `package.metadata.millrace.wasi`, false unless said.
    pub(super) is_wasi: bool,
}

/// Finds every guest of the repository.
pub(super) fn find(root: &Path) -> Result<Vec<Guest>> {
    let mut folders = vec![root.join("tests/guests")];
    for example in folders_in(&root.join("examples"))? {
        folders.extend(folders_in(&example)?.into_iter().filter(|folder| is_plugin(folder)));
    }
    folders.extend(folders_in(&root.join("guest-sdk/rust/template"))?);
    let mut guests = Vec::new();
    for folder in folders.iter().filter(|folder| folder.join("Cargo.toml").is_file()) {
        guests.extend(in_crate(folder)?);
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = guests.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let [a, b] = [&pair[0], &pair[1]].map(|guest| guest.manifest.display());
        bail!("two guests are called `{}`: {a} and {b}", pair[0].name);
    }
    Ok(guests)
}

/// Lists the guests of one crate, or of all members if it is a workspace.
pub(super) fn in_crate(folder: &Path) -> Result<Vec<Guest>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .context("run cargo metadata")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("cargo metadata in {}: {}", folder.display(), error.trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("answer of cargo metadata")?;
    let workspace = PathBuf::from(text(&metadata["workspace_root"])?);
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let is_guest = |package: &&Value| {
        let targets = package["targets"].as_array();
        targets.is_some_and(|targets| targets.iter().any(is_cdylib))
    };
    let guest = |package: &Value| {
        Ok(Guest {
            name: text(&package["name"])?,
            manifest: PathBuf::from(text(&package["manifest_path"])?),
            workspace: workspace.clone(),
            is_component: package["metadata"]["millrace"]["component"].as_bool().unwrap_or(true),
            is_wasi: package["metadata"]["millrace"]["wasi"].as_bool().unwrap_or(false),
        })
    };
    packages.iter().filter(is_guest).map(guest).collect()
}

/// Puts guests together that cargo can build in one go.
pub(super) fn by_workspace(guests: Vec<Guest>) -> Vec<Vec<Guest>> {
    let mut groups: Vec<Vec<Guest>> = Vec::new();
    for guest in guests {
        let together = |group: &&mut Vec<Guest>| {
            group[0].workspace == guest.workspace && group[0].is_wasi == guest.is_wasi
        };
        match groups.iter_mut().find(together) {
            Some(group) => group.push(guest),
            None => groups.push(vec![guest]),
        }
    }
    groups
}

/// Says whether a target, as `cargo metadata` and the messages of cargo have it, is a dynamic library.
pub(super) fn is_cdylib(target: &Value) -> bool {
    let kinds = target["crate_types"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
}

pub(super) fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("cargo left out a text")
}

fn is_plugin(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("plugin"))
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_of_tests_examples_and_templates_are_found() {
        let guests = find(&super::super::root()).unwrap();
        let name = |name: &str| guests.iter().find(|guest| guest.name == name);
        assert!(name("keeps-all").unwrap().is_component);
        assert!(!name("not-a-component").unwrap().is_component);
        assert!(name("redact").unwrap().workspace.ends_with("examples/redact/plugin"));
        assert!(name("my-interceptor").is_some());
    }

    #[test]
    fn members_of_one_workspace_are_built_together() {
        let guests = find(&super::super::root()).unwrap();
        let count = guests.len();
        let groups = by_workspace(guests);
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), count);
        assert!(groups.iter().any(|group| group.len() > 20));
    }
}
