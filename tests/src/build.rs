//! The binary and the plugins under test, built once per test run and never taken for granted.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn cargo(arguments: &[&str]) {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cargo {arguments:?} failed");
}

/// The target folder that the running program, a test or a chore, was built into.
pub(crate) fn target() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let profile = own.ancestors().find(|folder| folder.ends_with("release"));
    profile.and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default()
}

/// The `millrace` binary of this source tree.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // With the features of the whole workspace, as the tests themselves are built: its dependencies are compiled once.
        cargo(&["build", "--quiet", "--release", "--workspace", "--bin", "millrace"]);
        target().join("release/millrace")
    })
}

/// A plugin of `examples/` or `tests/guests/`, built from its source.
pub fn guest(name: &str) -> PathBuf {
    static GUESTS: OnceLock<()> = OnceLock::new();
    GUESTS.get_or_init(|| {
        cargo(&["run", "--quiet", "--release", "--package", "millrace-xtask", "--", "guests"]);
        engine_beside_binary();
    });
    let path = root().join("target/guests").join(format!("{name}.wasm"));
    assert!(path.exists(), "there is no guest {name}");
    path
}

/// The agent looks for the script engine in the target folder that it was built in; guests land in that of the root.
fn engine_beside_binary() {
    let engine = root().join("target/guests/script-engine.wasm");
    let place = target().join("guests/script-engine.wasm");
    if std::fs::canonicalize(&engine).ok() != std::fs::canonicalize(&place).ok() {
        let copied =
            std::fs::create_dir_all(target().join("guests")).and_then(|()| std::fs::copy(&engine, &place));
        assert!(copied.is_ok(), "the script engine cannot be put into {}", place.display());
    }
}

/// A folder that goes away with the test.
pub fn temporary_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("millrace-e2e-").tempdir();
    let Ok(folder) = folder else { unreachable!("a temporary folder can be made") };
    folder
}
