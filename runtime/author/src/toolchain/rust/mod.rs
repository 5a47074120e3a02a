//! Plugins in Rust: cargo compiles a `cdylib` for wasm32, and the core module becomes a component.

mod compiler;
mod crates;

use std::path::{Path, PathBuf};

pub use compiler::{
    Choice, Compiler, DEBIAN_PACKAGES, Module, Places, UNKNOWN, WASIP2, is_debian_complete, missing,
};
pub use crates::{Guest, by_workspace, in_crate};

use super::{BuildContext, Missing, Toolchain};
use crate::{component, error::BuildError, project::Project};

/// The tool-chain for Rust.
pub struct Rust;

impl Toolchain for Rust {
    fn language(&self) -> &'static str {
        "rust"
    }

    fn recognises(&self, project: &Project) -> bool {
        project.has("Cargo.toml")
    }

    fn missing(&self, _cache: &Path) -> Vec<Missing> {
        missing(Path::new("."))
    }

    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError> {
        let folder = &project.folder;
        let compiler =
            Compiler::find(folder, Choice::Any).ok_or_else(|| BuildError::Missing(missing(folder)))?;
        let guest = the_guest(folder)?;
        cx.step(&format!("compiling {} with {}", guest.name, compiler.describe()));
        let places = Places { target_dir: cx.work, hidden: folder };
        let modules = compiler.build(std::slice::from_ref(&guest), places, cx.speed, false)?;
        let [module] = modules.as_slice() else {
            return Err(BuildError::Project(format!("cargo built nothing of {}", guest.name)));
        };
        cx.step("making a component of it");
        let core = std::fs::read(&module.path).map_err(BuildError::at(&module.path))?;
        let path = cx.work.join(format!("{}.component.wasm", guest.name));
        component::replace(&path, &component::encode(core)?)?;
        Ok(path)
    }
}

/// The one crate in a folder that becomes a plugin.
fn the_guest(folder: &Path) -> Result<Guest, BuildError> {
    let mut guests = in_crate(folder)?;
    if guests.len() > 1 {
        // A workspace: the crate of this very folder is meant.
        guests.retain(|guest| guest.manifest.parent() == Some(folder));
    }
    let count = guests.len();
    guests.into_iter().next().filter(|_| count == 1).ok_or_else(|| {
        BuildError::Project(format!(
            "{} holds no crate that becomes a plugin: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]",
            folder.display()
        ))
    })
}
