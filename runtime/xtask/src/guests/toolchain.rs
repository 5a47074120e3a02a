//! The Rust that compiles guests, found or installed.
//!
//! First choice is rustup with the target `wasm32-unknown-unknown`, which is added if it is missing: it
//! imports nothing but what the world of the plugin has. Second is `wasm32-wasip2`, if only that is
//! there: its standard library brings imports of WASI. Where rustup cannot add targets, Debian's Rust
//! packages (`rustc-web`) compile the standard library from source.
//!
//! Guests that say `wasi = true` in `package.metadata.millrace` want that standard library: they are compiled for
//! `wasm32-wasip2` by rustup, which adds the target if it is missing.
//!
//! `MILLRACE_GUEST_TOOLCHAIN` set to `rustup`, `wasip2` or `debian` picks one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::crates::{self, Guest};

const UNKNOWN: &str = "wasm32-unknown-unknown";
const WASIP2: &str = "wasm32-wasip2";
const DEBIAN_PACKAGES: [&str; 5] =
    ["rustc-web", "rust-web-src", "libstd-rust-web-dev", "cargo-web", "rust-web-llvm"];
const TWO_WAYS: &str = "building guests takes a Rust with a wasm32 target; either let rustup add one \
     (`rustup target add wasm32-unknown-unknown`), or on Debian install `rustc-web rust-web-src \
     libstd-rust-web-dev cargo-web rust-web-llvm` with apt-get";

/// A core module, or a component if the target makes one, as cargo left it.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) guest: Guest,
    pub(super) path: PathBuf,
}

/// What matters more about a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// The speed of what is built.
    Fast,
    /// That it is built soon.
    Soon,
}

/// A way to compile for wasm32.
#[derive(Debug)]
pub(super) struct Toolchain {
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

impl Toolchain {
    /// Finds a way, and installs what is missing if it can.
    pub(super) fn find(root: &Path) -> Result<Self> {
        let choice = std::env::var("MILLRACE_GUEST_TOOLCHAIN").unwrap_or_default();
        match choice.as_str() {
            "" => match Self::rustup(root) {
                Some(toolchain) => Ok(toolchain),
                None => Self::debian(),
            },
            "rustup" => Self::rustup(root).context(TWO_WAYS),
            "wasip2" if is_there(root, WASIP2) => Ok(Self { kind: Kind::Rustup, target: WASIP2 }),
            "wasip2" => bail!(TWO_WAYS),
            "debian" => Self::debian(),
            other => bail!("MILLRACE_GUEST_TOOLCHAIN is `{other}`; expected `rustup`, `wasip2` or `debian`"),
        }
    }

    /// Says which one it is.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Rustup => format!("rustup's {}", self.target),
            Kind::Debian { .. } => "Debian's rustc-web, standard library from source".into(),
        }
    }

    /// Compiles guests that share a workspace.
    pub(super) fn build(&self, root: &Path, group: &[Guest], speed: Speed) -> Result<Vec<Module>> {
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        let wasi = Self { kind: Kind::Rustup, target: WASIP2 };
        if first.is_wasi && !is_there(root, WASIP2) && !add_target(root, WASIP2) {
            bail!("`{}` takes rustup's target {WASIP2} (`rustup target add {WASIP2}`)", first.name);
        }
        let this = if first.is_wasi { &wasi } else { self };
        let mut command = this.cargo(root);
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
            .arg(root.join("target/guest-build"));
        for guest in group {
            command.args(["--package", &guest.name]);
        }
        let output = command.stdout(Stdio::piped()).output().context("run cargo build")?;
        if !output.status.success() {
            let names: Vec<_> = group.iter().map(|guest| guest.name.as_str()).collect();
            bail!("could not build {}", names.join(", "));
        }
        let messages = String::from_utf8(output.stdout).context("answer of cargo build")?;
        let mut modules = Vec::with_capacity(group.len());
        for line in messages.lines() {
            modules.extend(module(line, group)?);
        }
        if modules.len() != group.len() {
            bail!("cargo built {} of {} guests", modules.len(), group.len());
        }
        Ok(modules)
    }

    fn cargo(&self, root: &Path) -> Command {
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
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", flags(root));
        command
    }

    fn rustup(root: &Path) -> Option<Self> {
        let target = match () {
            () if is_there(root, UNKNOWN) => UNKNOWN,
            () if add_target(root, UNKNOWN) => UNKNOWN,
            () if is_there(root, WASIP2) => WASIP2,
            () => return None,
        };
        Some(Self { kind: Kind::Rustup, target })
    }

    fn debian() -> Result<Self> {
        if !is_debian_complete() {
            install_debian()?;
        }
        if !is_debian_complete() {
            bail!("Debian's Rust is installed, but /usr/lib/rustlib/src/rust is not there; {TWO_WAYS}");
        }
        Ok(Self { kind: Kind::Debian { linker: linker()? }, target: UNKNOWN })
    }
}

/// SIMD, and paths that are the same on every machine, so that the bytes of a plugin are, too.
fn flags(root: &Path) -> OsString {
    let mut flags = OsString::from("-Ctarget-feature=+simd128\x1f--remap-path-prefix=");
    flags.push(root);
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

/// Reads one message of cargo: the module of a guest, if that is what it is about.
fn module(line: &str, group: &[Guest]) -> Result<Option<Module>> {
    let message: Value = serde_json::from_str(line).context("a message of cargo")?;
    if message["reason"] != "compiler-artifact" || !crates::is_cdylib(&message["target"]) {
        return Ok(None);
    }
    let manifest = PathBuf::from(crates::text(&message["manifest_path"])?);
    let Some(guest) = group.iter().find(|guest| guest.manifest == manifest) else { return Ok(None) };
    let files = message["filenames"].as_array().context("cargo names no files")?;
    let is_wasm = |file: &&str| file.ends_with(".wasm");
    let file = files.iter().filter_map(Value::as_str).find(is_wasm).context("cargo names no .wasm")?;
    Ok(Some(Module { guest: guest.clone(), path: PathBuf::from(file) }))
}

fn is_there(root: &Path, target: &str) -> bool {
    let mut command = Command::new("rustup");
    command.args(["target", "list", "--installed"]).current_dir(root);
    let Ok(output) = command.output() else { return false };
    output.status.success() && String::from_utf8_lossy(&output.stdout).lines().any(|line| line == target)
}

fn add_target(root: &Path, target: &str) -> bool {
    eprintln!("guests: rustup target add {target}");
    let mut command = Command::new("rustup");
    // Without a network, one try is enough to know.
    command.args(["target", "add", target]).current_dir(root).env("RUSTUP_MAX_RETRIES", "1");
    command.status().is_ok_and(|status| status.success())
}

fn is_debian_complete() -> bool {
    ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"]
        .iter()
        .all(|path| Path::new(path).exists())
}

fn install_debian() -> Result<()> {
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!("rustup could not add a wasm32 target, and Debian's Rust is not installed; {TWO_WAYS}");
    }
    eprintln!("guests: apt-get install {}", DEBIAN_PACKAGES.join(" "));
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(DEBIAN_PACKAGES);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Says whether this process runs as root: who owns its entry in `/proc`.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed; {TWO_WAYS}");
    }
    Ok(())
}

/// Debian's own linker is a link to a package that may be missing; rustup's and LLVM's work as well.
fn linker() -> Result<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let rustup =
        sysroot.map(|sysroot| Path::new(&sysroot).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"));
    let known = ["/usr/bin/rust-lld", "/usr/bin/wasm-ld"].map(PathBuf::from);
    rustup
        .into_iter()
        .chain(known)
        .find(|path| path.exists())
        .with_context(|| format!("found no linker for wasm (rust-lld, wasm-ld); {TWO_WAYS}"))
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
        };
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/x/Cargo.toml",
            "target":{"crate_types":["cdylib"]},"filenames":["/t/a.d","/t/a.wasm"]}"#;
        let found = module(&line.replace('\n', ""), &[guest]).unwrap().unwrap();
        assert_eq!(found.path, Path::new("/t/a.wasm"));
    }
}
