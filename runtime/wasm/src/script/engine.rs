//! Where the engine is: in the executable, or in a file beside it.

use std::path::{Path, PathBuf};

use millrace_config::PluginSpec;

/// The file of the engine, as `cargo xtask guests` names it.
const FILE: &str = "script-engine.wasm";

/// Where a package puts it.
const PACKAGED: &str = "/usr/lib/millrace";

/// The engine, where the executable was built with it (see `build.rs`).
#[cfg(embedded_script_engine)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(env!("MILLRACE_EMBEDDED_SCRIPT_ENGINE")));
#[cfg(not(embedded_script_engine))]
const EMBEDDED: Option<&[u8]> = None;

/// The engine in the executable, if the plugin is a script that does not name another one.
pub(crate) fn embedded(plugin: &PluginSpec) -> Option<&'static [u8]> {
    let names_none = plugin.script.is_some() && plugin.path.value.as_os_str().is_empty();
    EMBEDDED.filter(|_| names_none)
}

/// Finds the file of the engine; an empty path stands for the one in the executable.
///
/// # Errors
/// The places where it is not.
pub(super) fn locate() -> Result<PathBuf, Vec<PathBuf>> {
    if EMBEDDED.is_some() {
        return Ok(PathBuf::new());
    }
    let executable = std::env::current_exe().ok();
    let places = places(executable.as_deref());
    match places.iter().find(|path| path.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(places),
    }
}

/// Beside the executable, where a build leaves guests, and where a package puts it.
fn places(executable: Option<&Path>) -> Vec<PathBuf> {
    let folder = executable.and_then(Path::parent);
    let beside = folder.map(|folder| folder.join(FILE));
    let built = folder.and_then(Path::parent).map(|target| target.join("guests").join(FILE));
    beside.into_iter().chain(built).chain([Path::new(PACKAGED).join(FILE)]).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::places;

    #[test]
    fn the_engine_is_looked_for_beside_the_executable_in_the_build_and_in_the_package() {
        let places = places(Some(Path::new("/repo/target/release/millrace")));
        let expected = [
            "/repo/target/release/script-engine.wasm",
            "/repo/target/guests/script-engine.wasm",
            "/usr/lib/millrace/script-engine.wasm",
        ];
        assert_eq!(places, expected.map(std::path::PathBuf::from));
    }
}
