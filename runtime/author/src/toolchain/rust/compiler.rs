//! The Rust that compiles plugins.
//!
//! First choice is rustup with the target `wasm32-unknown-unknown`: what it makes imports nothing but what the world of
//! the plugin has. Second is `wasm32-wasip2`, if only that is there: its standard library brings imports of WASI. Where
//! rustup cannot add targets, Debian's Rust packages (`rustc-web`) compile the standard library from source.
//!
//! Crates that say `wasi = true` in `package.metadata.millrace` want that standard library of WASI: they are compiled by
//! rustup for `wasm32-wasip2`, whatever the others get.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::crates::{self, Guest};
use crate::{error::BuildError, toolchain::Missing, toolchain::Speed};

/// The target whose components import nothing of WASI.
pub const UNKNOWN: &str = "wasm32-unknown-unknown";
/// The target that makes components by itself.
pub const WASIP2: &str = "wasm32-wasip2";
/// The packages of a Rust that compiles its standard library itself.
pub const DEBIAN_PACKAGES: [&str; 5] =
    ["rustc-web", "rust-web-src", "libstd-rust-web-dev", "cargo-web", "rust-web-llvm"];

/// A core module, or a component if the target makes one, as cargo left it.
#[derive(Debug)]
pub struct Module {
    /// What it is made of.
    pub guest: Guest,
    /// The file.
    pub path: PathBuf,
}

/// Which compiler to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The first one that is there.
    #[default]
    Any,
    /// rustup, with whichever target it has.
    Rustup,
    /// rustup with the target `wasm32-wasip2`.
    Wasip2,
    /// Debian's packages.
    Debian,
}

/// Where a build works.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// What cargo leaves behind.
    pub target_dir: &'a Path,
    /// The folder whose path must not show in what is built, so that the bytes are the same on every machine.
    pub hidden: &'a Path,
}

/// A way to compile for wasm32.
#[derive(Debug)]
pub struct Compiler {
    kind: Kind,
    target: &'static str,
}

#[derive(Debug)]
enum Kind {
    Rustup,
    /// Debian's Rust, with the linker of wasm that works.
    Debian {
        linker: PathBuf,
    },
}

impl Compiler {
    /// Finds a way to compile what is in `folder`; None: there is none, see [`missing`].
    pub fn find(folder: &Path, choice: Choice) -> Option<Self> {
        let rustup = |target| is_there(folder, target).then_some(Self { kind: Kind::Rustup, target });
        match choice {
            Choice::Any => rustup(UNKNOWN).or_else(|| rustup(WASIP2)).or_else(Self::debian),
            Choice::Rustup => rustup(UNKNOWN).or_else(|| rustup(WASIP2)),
            Choice::Wasip2 => rustup(WASIP2),
            Choice::Debian => Self::debian(),
        }
    }

    /// Says which one it is.
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::Rustup => format!("rustup's {}", self.target),
            Kind::Debian { .. } => "Debian's rustc-web, standard library from source".into(),
        }
    }

    /// Compiles guests that share a workspace. What cargo says goes to standard error with `shown`, otherwise into the
    /// error.
    ///
    /// # Errors
    /// cargo is not there or failed, or made something else than one module for each guest.
    pub fn build(
        &self,
        group: &[Guest],
        places: Places<'_>,
        speed: Speed,
        shown: bool,
    ) -> Result<Vec<Module>, BuildError> {
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        // Guests that want the standard library of WASI get the target that has it.
        let wasi = Self { kind: Kind::Rustup, target: WASIP2 };
        if first.is_wasi && !is_there(&first.workspace, WASIP2) {
            return Err(BuildError::Missing(vec![Missing {
                what: format!("rustup's target {WASIP2}"),
                why: format!("`{}` uses the standard library of WASI", first.name),
                install: format!("rustup target add {WASIP2}"),
            }]));
        }
        let this = if first.is_wasi { &wasi } else { self };
        let mut command = this.cargo(places.hidden);
        if speed == Speed::Soon {
            // Whoever edits a plugin wants to see it work: what takes time for the last bit of speed is left out.
            command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_INCREMENTAL", "1");
        }
        command
            .current_dir(&first.workspace)
            .args(["build", "--release", "--message-format", "json-render-diagnostics"])
            .args(["--target", this.target])
            .arg("--target-dir")
            .arg(places.target_dir)
            .stdin(Stdio::null());
        for guest in group {
            command.args(["--package", &guest.name]);
        }
        if shown {
            command.stderr(Stdio::inherit());
        }
        let names = group.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>().join(", ");
        let what = format!("cargo build of {names}");
        let output = command.output().map_err(|cause| BuildError::NotRun { command: what.clone(), cause })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(BuildError::Failed {
                command: what,
                status: output.status.to_string(),
                output: said,
            });
        }
        let modules = modules(&String::from_utf8_lossy(&output.stdout), group)?;
        if modules.len() != group.len() {
            let reason = format!("cargo built {} of {} plugins", modules.len(), group.len());
            return Err(BuildError::Project(reason));
        }
        Ok(modules)
    }

    fn cargo(&self, hidden: &Path) -> Command {
        let mut command = match &self.kind {
            Kind::Rustup => Command::new("cargo"),
            Kind::Debian { linker } => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .args(["-Zbuild-std=std,panic_abort"])
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        // Fat link-time optimisation and incremental compilation exclude each other.
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", flags(hidden));
        // What the crate `cc` asks for where there is C to compile.
        command.env("CC_wasm32_unknown_unknown", "clang").env("AR_wasm32_unknown_unknown", "llvm-ar");
        command
    }

    fn debian() -> Option<Self> {
        let linker = is_debian_complete().then(linker)??;
        Some(Self { kind: Kind::Debian { linker }, target: UNKNOWN })
    }
}

/// What a person would have to install; empty: there is a way to compile.
pub fn missing(folder: &Path) -> Vec<Missing> {
    if Compiler::find(folder, Choice::Any).is_some() {
        return Vec::new();
    }
    let debian = format!("as root on Debian: apt-get install {}", DEBIAN_PACKAGES.join(" "));
    if !crate::toolchain::is_program("cargo") {
        return vec![Missing {
            what: "Rust".into(),
            why: "it compiles the plugin".into(),
            install: format!(
                "get rustup from https://rustup.rs, then `rustup target add {UNKNOWN}`; or {debian}"
            ),
        }];
    }
    vec![Missing {
        what: format!("a Rust that compiles for {UNKNOWN}"),
        why: "plugins are WebAssembly".into(),
        install: format!("rustup target add {UNKNOWN}; or {debian}"),
    }]
}

/// SIMD, and paths that are the same on every machine, so that the bytes of a plugin are, too.
fn flags(hidden: &Path) -> OsString {
    let mut flags = OsString::from("-Ctarget-feature=+simd128\x1f--remap-path-prefix=");
    flags.push(hidden);
    flags.push("/=");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    if let Some(home) = home {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(home);
        flags.push("=cargo");
    }
    flags
}

/// The modules that the messages of cargo are about.
fn modules(messages: &str, group: &[Guest]) -> Result<Vec<Module>, BuildError> {
    let mut modules = Vec::with_capacity(group.len());
    for line in messages.lines() {
        modules.extend(module(line, group)?);
    }
    Ok(modules)
}

/// Reads one message of cargo: the module of a guest, if that is what it is about.
fn module(line: &str, group: &[Guest]) -> Result<Option<Module>, BuildError> {
    let odd =
        |what: &str| BuildError::Project(format!("cargo answered something else than expected: {what}"));
    let message: Value = serde_json::from_str(line).map_err(|_| odd("no JSON"))?;
    if message["reason"] != "compiler-artifact" || !crates::is_cdylib(&message["target"]) {
        return Ok(None);
    }
    let manifest = PathBuf::from(crates::text(&message["manifest_path"])?);
    let Some(guest) = group.iter().find(|guest| guest.manifest == manifest) else { return Ok(None) };
    let files = message["filenames"].as_array().ok_or_else(|| odd("no file names"))?;
    let is_wasm = |file: &&str| file.ends_with(".wasm");
    let file = files.iter().filter_map(Value::as_str).find(is_wasm).ok_or_else(|| odd("no .wasm"))?;
    Ok(Some(Module { guest: guest.clone(), path: PathBuf::from(file) }))
}

fn is_there(folder: &Path, target: &str) -> bool {
    let mut command = Command::new("rustup");
    command.args(["target", "list", "--installed"]).current_dir(folder);
    let Ok(output) = command.output() else { return false };
    output.status.success() && String::from_utf8_lossy(&output.stdout).lines().any(|line| line == target)
}

/// Whether Debian's packages are installed.
pub fn is_debian_complete() -> bool {
    ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"]
        .iter()
        .all(|path| Path::new(path).exists())
}

/// Debian's own linker is a link to a package that may be missing; rustup's and LLVM's work as well.
fn linker() -> Option<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let rustup =
        sysroot.map(|sysroot| Path::new(&sysroot).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"));
    let known = ["/usr/bin/rust-lld", "/usr/bin/wasm-ld"].map(PathBuf::from);
    rustup.into_iter().chain(known).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_other_things_are_passed_over() {
        assert!(module(r#"{"reason":"build-finished","success":true}"#, &[]).unwrap().is_none());
        let library = r#"{"reason":"compiler-artifact","target":{"crate_types":["rlib"]}}"#;
        assert!(module(library, &[]).unwrap().is_none());
        assert!(module("no json", &[]).is_err());
    }

    #[test]
    fn the_module_of_a_guest_is_found_by_its_manifest() {
        let guest = Guest {
            name: "a".into(),
            manifest: "/x/Cargo.toml".into(),
            workspace: "/x".into(),
            is_component: true,
            has_c: false,
            is_wasi: false,
        };
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/x/Cargo.toml",
            "target":{"crate_types":["cdylib"]},"filenames":["/t/a.d","/t/a.wasm"]}"#;
        let found = module(&line.replace('\n', ""), &[guest]).unwrap().unwrap();
        assert_eq!(found.path, Path::new("/t/a.wasm"));
    }
}
