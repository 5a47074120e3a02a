//! `millrace plugin build`: the tool-chain of the project, then the manifest, then a look at what came out.

use std::path::{Path, PathBuf};

use millrace_wasm::{Inspection, Manifest};

use crate::{
    component,
    error::BuildError,
    project::Project,
    toolchain::{self, BuildContext, Speed},
};

/// How to build.
pub struct BuildOptions<'a> {
    /// Where the component goes; None: into the folder of the project, under the plugin's name.
    pub output: Option<PathBuf>,
    /// What matters more.
    pub speed: Speed,
    /// A folder for what tool-chains fetch.
    pub cache: &'a Path,
    /// Gets one line for each step.
    pub progress: &'a dyn Fn(&str),
}

/// A component that was built.
#[derive(Debug)]
pub struct Built {
    /// The file.
    pub path: PathBuf,
    /// Whether it differs from the one that was there before.
    pub is_changed: bool,
    /// The language it is written in.
    pub language: &'static str,
    /// What it holds.
    pub inspection: Inspection,
}

/// Builds the plugin of a project.
///
/// # Errors
/// Its manifest is wrong, a tool is missing or failed, or what came out would not load.
pub fn build(project: &Project, options: &BuildOptions<'_>) -> Result<Built, BuildError> {
    // Before the compiler runs: a mistake here costs nothing to find.
    if let Some(text) = &project.manifest {
        Manifest::parse(text, true).map_err(|error| BuildError::Project(error.render(false, 100)))?;
    }
    let toolchain = toolchain::of_project(project)?;
    let missing = toolchain.missing(options.cache);
    if !missing.is_empty() {
        return Err(BuildError::Missing(missing));
    }
    let work = project.folder.join("target");
    let cx =
        BuildContext { cache: options.cache, work: &work, speed: options.speed, progress: options.progress };
    let made = toolchain.build(project, &cx)?;
    let mut bytes = std::fs::read(&made).map_err(BuildError::at(&made))?;
    if !component::is_component(&bytes) {
        return Err(BuildError::Component(format!("{} is none", made.display())));
    }
    if let Some(text) = &project.manifest {
        bytes = component::with_manifest(&bytes, text)?;
    }
    cx.step("checking it with the plugin host");
    let inspection = crate::look(&bytes)?;
    let path =
        options.output.clone().unwrap_or_else(|| project.folder.join(format!("{}.wasm", project.name)));
    let is_changed = component::replace(&path, &bytes)?;
    Ok(Built { path, is_changed, language: toolchain.language(), inspection })
}
