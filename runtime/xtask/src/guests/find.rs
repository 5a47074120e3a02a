//! Where guests live in the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use millrace_author::toolchain::rust::{Guest, in_crate};

/// Finds every guest of the repository.
pub(super) fn find(root: &Path) -> Result<Vec<Guest>> {
    let mut folders = vec![root.join("tests/guests")];
    folders.extend(plugin_folders(root)?);
    // All templates have the same name, which a new plugin replaces: one of them stands for the others here.
    folders.push(root.join("guest-sdk/rust/template/interceptor"));
    folders.push(root.join("guest-sdk/javascript/engine"));
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

/// The folders of plugins of the examples, in any language.
pub(super) fn plugin_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for example in folders_in(&root.join("examples"))? {
        folders.extend(folders_in(&example)?.into_iter().filter(|folder| is_plugin(folder)));
    }
    Ok(folders)
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
    use millrace_author::toolchain::rust::by_workspace;

    use super::*;

    #[test]
    fn guests_of_tests_examples_and_templates_are_found() {
        let guests = find(&super::super::root()).unwrap();
        let name = |name: &str| guests.iter().find(|guest| guest.name == name);
        assert!(name("keeps-all").unwrap().is_component);
        assert!(!name("not-a-component").unwrap().is_component);
        assert!(name("redact").unwrap().workspace.ends_with("examples/redact/plugin"));
        assert!(name("my-plugin").is_some_and(|guest| !guest.has_c));
        assert!(name("script-engine").is_some_and(|guest| guest.has_c));
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
