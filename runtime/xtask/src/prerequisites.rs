//! What tests need from the system, installed where that is possible, named where it is not.
//!
//! Real peers are part of the tests: Java with Maven for brokers of Kafka, HDFS, Flume agents and their client, Node.js for another
//! Avro implementation. A test never passes because its peer is missing.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

/// A program and the Debian packages that bring it.
const PROGRAMS: [(&str, &[&str]); 4] =
    [("java", &["openjdk-17-jdk-headless"]), ("mvn", &["maven"]), ("node", &["nodejs"]), ("npm", &["npm"])];

/// What compiles C for wasm32, for guests that hold some, with the packages that bring it.
const C_PROGRAMS: [(&str, &[&str]); 2] = [("clang", &["clang"]), ("llvm-ar", &["llvm"])];

/// What the client of Kafka is built with: headers, and the packages that bring them.
const HEADERS: [(&str, &[&str]); 2] = [("openssl/ssl.h", &["libssl-dev"]), ("zlib.h", &["zlib1g-dev"])];

/// Installs missing programs with apt-get; an error names them with the way to get them.
pub fn install() -> Result<()> {
    install_all(&PROGRAMS, is_there, "test", "tests need")
}

/// The same for what the agent itself is built with.
pub fn install_headers() -> Result<()> {
    install_all(&HEADERS, has_header, "build", "the agent is built with")
}

/// The same for what compiles C for wasm32.
pub fn install_c_compiler() -> Result<()> {
    install_all(&C_PROGRAMS, is_there, "guests", "guests with C in them need")
}

fn install_all(
    things: &[(&str, &[&str])],
    is_there: fn(&str) -> bool,
    chore: &str,
    need: &str,
) -> Result<()> {
    let missing: Vec<_> = things.iter().filter(|(thing, _)| !is_there(thing)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let names: Vec<&str> = missing.iter().map(|(thing, _)| *thing).collect();
    eprintln!("{chore}: installing {} for {}", packages.join(" "), names.join(", "));
    let update = Command::new("apt-get").arg("update").stdout(Stdio::null()).status();
    let install =
        Command::new("apt-get").args(["install", "-y", "--no-install-recommends"]).args(&packages).status();
    let installed = [update, install].into_iter().all(|status| status.is_ok_and(|status| status.success()));
    if !installed || missing.iter().any(|(thing, _)| !is_there(thing)) {
        bail!(
            "{need} {}; install them (on Debian, as root: apt-get install {})",
            names.join(", "),
            packages.join(" ")
        );
    }
    Ok(())
}

/// Whether a C compiler finds it: beside the others, or in the folder of this machine's architecture.
fn has_header(header: &str) -> bool {
    let folders = ["", "x86_64-linux-gnu", "aarch64-linux-gnu"];
    folders.iter().any(|folder| Path::new("/usr/include").join(folder).join(header).exists())
}

fn is_there(program: &str) -> bool {
    let version = if program == "java" { "-version" } else { "--version" };
    let status = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
