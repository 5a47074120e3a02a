//! What cargo knows about the crates that become plugins.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{error::BuildError, toolchain::run};

/// A crate that becomes a plugin.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The name of the crate.
    pub name: String,
    /// The manifest of the crate.
    pub manifest: PathBuf,
    /// The folder of the workspace it belongs to, which is its own unless it shares one.
    pub workspace: PathBuf,
    /// Whether it becomes a component: `package.metadata.millrace.component`, true unless said.
    pub is_component: bool,
    /// Whether there is C in it: `package.metadata.millrace.c`, false unless said.
    pub has_c: bool,
    /// Whether its standard library is that of WASI: `package.metadata.millrace.wasi`, false unless said.
    pub is_wasi: bool,
}

/// Lists the guests of one crate, or of all members if it is a workspace.
///
/// # Errors
/// cargo cannot make sense of the folder.
pub fn in_crate(folder: &Path) -> Result<Vec<Guest>, BuildError> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(folder);
    let metadata: Value = serde_json::from_str(&run(&mut command)?)
        .map_err(|error| BuildError::Project(format!("answer of cargo metadata: {error}")))?;
    let workspace = PathBuf::from(text(&metadata["workspace_root"])?);
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
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
            has_c: package["metadata"]["millrace"]["c"].as_bool().unwrap_or(false),
            is_wasi: package["metadata"]["millrace"]["wasi"].as_bool().unwrap_or(false),
        })
    };
    packages.iter().filter(is_guest).map(guest).collect()
}

/// Puts guests together that cargo can build in one go.
pub fn by_workspace(guests: Vec<Guest>) -> Vec<Vec<Guest>> {
    let mut groups: Vec<Vec<Guest>> = Vec::new();
    for guest in guests {
        let same = |group: &&mut Vec<Guest>| {
            group
                .first()
                .is_some_and(|first| first.workspace == guest.workspace && first.is_wasi == guest.is_wasi)
        };
        match groups.iter_mut().find(same) {
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

pub(super) fn text(value: &Value) -> Result<String, BuildError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| BuildError::Project("cargo left out a text".into()))
}
