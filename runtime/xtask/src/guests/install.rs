//! Installs a Rust that compiles for wasm32, where that can be done without asking.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use millrace_author::toolchain::rust::{
    Choice, Compiler, DEBIAN_PACKAGES, UNKNOWN, WASIP2, is_debian_complete,
};

const TWO_WAYS: &str = "building guests takes a Rust with a wasm32 target; either let rustup add one \
     (`rustup target add wasm32-unknown-unknown`), or on Debian install `rustc-web rust-web-src \
     libstd-rust-web-dev cargo-web rust-web-llvm` with apt-get";

/// Finds a compiler, and installs what is missing if it can.
///
/// `MILLRACE_GUEST_TOOLCHAIN` set to `rustup`, `wasip2` or `debian` picks one.
pub(super) fn compiler(root: &Path) -> Result<Compiler> {
    let choice = match std::env::var("MILLRACE_GUEST_TOOLCHAIN").unwrap_or_default().as_str() {
        "" => Choice::Any,
        "rustup" => Choice::Rustup,
        "wasip2" => Choice::Wasip2,
        "debian" => Choice::Debian,
        other => bail!("MILLRACE_GUEST_TOOLCHAIN is `{other}`; expected `rustup`, `wasip2` or `debian`"),
    };
    if let Some(compiler) = Compiler::find(root, choice) {
        return Ok(compiler);
    }
    let is_added = matches!(choice, Choice::Any | Choice::Rustup) && add_target(root, UNKNOWN);
    if !is_added && matches!(choice, Choice::Any | Choice::Debian) && !is_debian_complete() {
        install_debian()?;
    }
    Compiler::find(root, choice).context(TWO_WAYS)
}

/// Makes sure that rustup has the target of guests that use the standard library of WASI.
pub(super) fn wasi(root: &Path) -> Result<()> {
    if Compiler::find(root, Choice::Wasip2).is_none() && !add_target(root, WASIP2) {
        bail!("guests that use WASI take rustup's target {WASIP2} (`rustup target add {WASIP2}`)");
    }
    Ok(())
}

fn add_target(root: &Path, target: &str) -> bool {
    eprintln!("guests: rustup target add {target}");
    let mut command = Command::new("rustup");
    // Without a network, one try is enough to know.
    command.args(["target", "add", target]).current_dir(root).env("RUSTUP_MAX_RETRIES", "1");
    command.status().is_ok_and(|status| status.success())
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
