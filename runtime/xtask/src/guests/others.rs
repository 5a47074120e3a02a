//! Examples in other languages than Rust: folders with a manifest and no `Cargo.toml`, built as `millrace plugin build` does.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use millrace_author::{
    Project, component,
    toolchain::{self, BuildContext, Speed, Toolchain},
};

use super::{BuiltGuest, find};

/// Finds the projects.
pub(super) fn projects(root: &Path) -> Result<Vec<Project>> {
    let mut projects = Vec::new();
    for folder in find::plugin_folders(root)? {
        if folder.join("plugin.kdl").is_file() && !folder.join("Cargo.toml").is_file() {
            projects.push(Project::open(&folder)?);
        }
    }
    Ok(projects)
}

/// The tests that run natively: of the SDKs in C and Go, of their templates, of the examples in these languages.
pub(super) fn native_tests(root: &Path) -> Result<Vec<Command>> {
    let mut folders = Vec::new();
    for language in ["c", "go"] {
        let sdk = root.join("guest-sdk").join(language);
        folders.extend(["interceptor", "source", "sink"].map(|kind| sdk.join("template").join(kind)));
        folders.push(sdk);
    }
    folders.extend(projects(root)?.into_iter().map(|project| project.folder));
    let mut tests = Vec::new();
    for folder in folders {
        let command = match () {
            () if folder.join("Makefile").is_file() => Some(("make", ["-s", "test"])),
            () if folder.join("go.mod").is_file() => Some(("go", ["test", "./..."])),
            () => None,
        };
        if let Some((program, arguments)) = command {
            let mut test = Command::new(program);
            test.args(arguments).current_dir(&folder);
            tests.push(test);
        }
    }
    Ok(tests)
}

/// Builds one of them.
pub(super) fn build(root: &Path, project: &Project) -> Result<BuiltGuest> {
    let toolchain = toolchain::of_project(project)?;
    let target = root.join("target/guest-build");
    // Where `millrace plugin build` looks with `XDG_CACHE_HOME=target/guest-build/cache`, as tests call it.
    let cache = target.join("cache/millrace/toolchains");
    install(toolchain, &cache)?;
    let work = target.join("projects").join(&project.name);
    let progress = |step: &str| eprintln!("guests: {step}");
    let cx = BuildContext { cache: &cache, work: &work, speed: Speed::Fast, progress: &progress };
    let made = toolchain.build(project, &cx).with_context(|| format!("guest `{}`", project.name))?;
    let mut bytes = std::fs::read(&made).with_context(|| format!("read {}", made.display()))?;
    if let Some(manifest) = &project.manifest {
        bytes = component::with_manifest(&bytes, manifest)?;
    }
    let path: PathBuf = root.join("target/guests").join(format!("{}.wasm", project.name));
    let is_changed = component::replace(&path, &bytes)?;
    Ok(BuiltGuest { name: project.name.clone(), path, size_bytes: bytes.len() as u64, is_changed })
}

/// Installs what is missing where that is a matter of Debian packages; an error names it otherwise.
fn install(toolchain: &dyn Toolchain, cache: &Path) -> Result<()> {
    for missing in toolchain.missing(cache) {
        let Some(packages) = missing.install.strip_prefix("apt-get install ") else { continue };
        eprintln!("guests: installing {packages} for plugins in {}", toolchain.language());
        // Whether it worked is seen by looking again.
        let _ = Command::new("apt-get").arg("update").status();
        let _ = Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages.split_whitespace())
            .status();
    }
    let missing = toolchain.missing(cache);
    if let Some(first) = missing.first() {
        bail!("{} is missing ({}); install it: {}", first.what, first.why, first.install);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn examples_in_c_and_go_are_found_with_the_language_they_are_in() {
        let projects = super::projects(&super::super::root()).unwrap();
        let language = |name: &str| {
            let project = projects.iter().find(|project| project.name == name).unwrap();
            super::toolchain::of_project(project).unwrap().language()
        };
        assert_eq!(language("c-frames"), "c");
        assert_eq!(language("go-access-log"), "go");
        assert_eq!(super::native_tests(&super::super::root()).unwrap().len(), 10);
    }
}
