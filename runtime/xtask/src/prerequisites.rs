//! What tests need from the system, installed where that is possible, named where it is not.
//!
//! Real peers are part of the tests: Java with Maven for a Flume agent and its client and for HDFS, Node.js for another
//! Avro implementation. A test never passes because its peer is missing.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A program and the Debian packages that bring it.
const PROGRAMS: [(&str, &[&str]); 4] =
    [("java", &["openjdk-17-jdk-headless"]), ("mvn", &["maven"]), ("node", &["nodejs"]), ("npm", &["npm"])];

/// What compiles C for wasm32, for guests that hold some, with the packages that bring it.
const C_PROGRAMS: [(&str, &[&str]); 2] = [("clang", &["clang"]), ("llvm-ar", &["llvm"])];

/// Installs missing programs with apt-get; an error names them with the way to get them.
pub fn install() -> Result<()> {
    install_programs(&PROGRAMS, "test", "tests need")
}

/// The same for what compiles C for wasm32.
pub fn install_c_compiler() -> Result<()> {
    install_programs(&C_PROGRAMS, "guests", "guests with C in them need")
}

fn install_programs(programs: &[(&str, &[&str])], chore: &str, need: &str) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    eprintln!("{chore}: installing {} for {}", packages.join(" "), names.join(", "));
    let update = Command::new("apt-get").arg("update").stdout(Stdio::null()).status();
    let install =
        Command::new("apt-get").args(["install", "-y", "--no-install-recommends"]).args(&packages).status();
    let installed = [update, install].into_iter().all(|status| status.is_ok_and(|status| status.success()));
    if !installed || missing.iter().any(|(program, _)| !is_there(program)) {
        bail!(
            "{need} {}; install them (on Debian, as root: apt-get install {})",
            names.join(", "),
            packages.join(" ")
        );
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    let version = if program == "java" { "-version" } else { "--version" };
    let status = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
