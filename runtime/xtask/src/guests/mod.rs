//! Builds guests: the plugins of examples, tests and templates, from source to component.
//!
//! They are crates outside of the workspace, for another target, so cargo does not build them beside the
//! agent. All share one target folder, so that what they have in common is compiled once, and land in
//! `target/guests/`, where the KDL files of the examples look for them.
//!
//! A file there only changes when its bytes do, and it changes at once (written aside, then renamed): an
//! agent that watches it never sees half a plugin, and never reloads for nothing.

mod find;
mod install;
mod others;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use millrace_author::toolchain::Speed;
use millrace_author::toolchain::rust::{Guest, Module, Places, by_workspace, in_crate};
use millrace_author::{Project, component};

/// A plugin that was built.
#[derive(Clone, Debug)]
pub struct BuiltGuest {
    /// The name of its crate and of the file.
    pub name: String,
    /// `target/guests/<name>.wasm`, absolute.
    #[allow(dead_code, reason = "for chores that run what was built")]
    pub path: PathBuf,
    /// How large it is.
    pub size_bytes: u64,
    /// Whether the file differs from the one that was there before.
    pub is_changed: bool,
}

/// Builds all guests, or those whose name is in `filter`.
pub fn build(filter: &[String]) -> Result<Vec<BuiltGuest>> {
    let start = Instant::now();
    let root = root();
    let guests = find::find(&root)?;
    let projects = others::projects(&root)?;
    let known: Vec<&str> = guests
        .iter()
        .map(|guest| guest.name.as_str())
        .chain(projects.iter().map(|project| project.name.as_str()))
        .collect();
    if let Some(name) = filter.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no guest is called `{name}`; there are: {}", known.join(", "));
    }
    let is_wanted = |name: &String| filter.is_empty() || filter.contains(name);
    let mut built = Vec::new();
    let wanted: Vec<_> = guests.into_iter().filter(|guest| is_wanted(&guest.name)).collect();
    if !wanted.is_empty() {
        built = build_guests(wanted, Speed::Fast)?;
    }
    for project in projects.iter().filter(|project| is_wanted(&project.name)) {
        built.push(others::build(&root, project)?);
    }
    report(&built, start);
    Ok(built)
}

/// Builds the one guest whose crate is in `dir`, soon rather than fast: for somebody who is editing it.
pub fn build_one(dir: &Path) -> Result<BuiltGuest> {
    let guests = in_crate(dir)?;
    let start = Instant::now();
    let built = build_guests(guests, Speed::Soon)?;
    report(&built, start);
    built.into_iter().next().with_context(|| format!("{} holds no plugin", dir.display()))
}

/// The manifests of the crates around guests that have tests of their own: the SDK and the examples.
pub fn native_manifests() -> Result<Vec<PathBuf>> {
    let root = root();
    let mut manifests = vec![root.join("guest-sdk/rust/Cargo.toml")];
    let guests = find::find(&root)?;
    manifests.extend(
        guests
            .into_iter()
            .map(|guest| guest.manifest)
            .filter(|manifest| manifest.starts_with(root.join("examples"))),
    );
    Ok(manifests)
}

/// The native tests of SDKs and examples in other languages than Rust.
pub fn other_native_tests() -> Result<Vec<std::process::Command>> {
    others::native_tests(&root())
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn build_guests(guests: Vec<Guest>, speed: Speed) -> Result<Vec<BuiltGuest>> {
    let root = root();
    let compiler = install::compiler(&root)?;
    eprintln!("guests: {} to build with {}", guests.len(), compiler.describe());
    let target_dir = root.join("target/guest-build");
    let places = Places { target_dir: &target_dir, hidden: &root };
    let mut built = Vec::with_capacity(guests.len());
    if guests.iter().any(|guest| guest.has_c) {
        crate::prerequisites::install_c_compiler()?;
    }
    if guests.iter().any(|guest| guest.is_wasi) {
        install::wasi(&root)?;
    }
    for group in by_workspace(guests) {
        for module in compiler.build(&group, places, speed, true)? {
            built.push(finish(&root, &module)?);
        }
    }
    Ok(built)
}

/// Makes the component and puts it where it belongs.
fn finish(root: &Path, module: &Module) -> Result<BuiltGuest> {
    let name = &module.guest.name;
    let core = std::fs::read(&module.path).with_context(|| format!("read {}", module.path.display()))?;
    let bytes = if module.guest.is_component {
        let bytes = component::encode(core).with_context(|| format!("guest `{name}`"))?;
        let folder = module.guest.manifest.parent().unwrap_or(root);
        match Project::open(folder)?.manifest {
            Some(manifest) => component::with_manifest(&bytes, &manifest)?,
            None => bytes,
        }
    } else {
        core
    };
    let path = root.join("target/guests").join(format!("{name}.wasm"));
    let is_changed = component::replace(&path, &bytes)?;
    Ok(BuiltGuest { name: name.clone(), path, size_bytes: bytes.len() as u64, is_changed })
}

fn report(built: &[BuiltGuest], start: Instant) {
    let changed: Vec<_> = built.iter().filter(|guest| guest.is_changed).collect();
    for guest in &changed {
        eprintln!("  {:<24} {:>7.1} KiB", guest.name, guest.size_bytes as f64 / 1024.0);
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("guests: {} in target/guests, {} changed, {seconds:.1} s", built.len(), changed.len());
}
