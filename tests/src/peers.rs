//! Foreign programs that the tests talk to: their sources are in `tests/peers/`, what they need comes from npm and
//! Maven and is kept under the target folder.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use crate::build::{root, target};

/// One installation at a time: tests run side by side.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A foreign program, installed.
#[derive(Debug, Clone)]
pub struct Peer {
    folder: PathBuf,
    class_path: Option<String>,
}

/// The Avro implementation of the npm package `avsc`.
///
/// # Panics
/// npm is missing or fails.
pub fn avsc() -> Peer {
    let folder = install("avsc", |folder| {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(folder));
    });
    Peer { folder, class_path: None }
}

/// Flume itself, from Maven.
///
/// # Panics
/// Maven or Java are missing or fail.
pub fn flume() -> Peer {
    maven("flume", |_, _| {})
}

/// Hadoop, from Maven.
///
/// # Panics
/// Maven or Java are missing or fail.
pub fn hadoop() -> Peer {
    maven("hadoop", |folder, class_path| {
        // Compiled once, because it is run often.
        run(Command::new("javac").args(["-nowarn", "-cp", class_path, "Tool.java"]).current_dir(folder));
    })
}

/// A peer whose class path Maven finds.
fn maven(name: &str, prepare: impl FnOnce(&Path, &str)) -> Peer {
    let folder = install(name, |folder| {
        let goal = [
            "-q",
            "-B",
            "-Dstyle.color=never",
            "dependency:build-classpath",
            "-Dmdep.outputFile=class-path.txt",
        ];
        run(Command::new("mvn").args(goal).current_dir(folder));
        prepare(folder, &fs::read_to_string(folder.join("class-path.txt")).unwrap_or_default());
    });
    let class_path = fs::read_to_string(folder.join("class-path.txt"));
    assert!(class_path.is_ok(), "Maven left no class path in {}", folder.display());
    Peer { folder, class_path: class_path.ok() }
}

impl Peer {
    /// Where Java finds the peer's own classes and those it needs.
    pub(crate) fn classes(&self) -> String {
        format!("{}:{}", self.folder.display(), self.class_path.as_deref().unwrap_or_default())
    }

    /// What Java needs on its class path for the peer's libraries.
    pub fn class_path(&self) -> &str {
        self.class_path.as_deref().unwrap_or_default()
    }

    /// A command that runs one of the peer's programs, named without its ending.
    pub fn command(&self, program: &str) -> Command {
        match &self.class_path {
            Some(class_path) => {
                let mut command = Command::new("java");
                command.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp", class_path]);
                command.arg(self.folder.join(format!("{program}.java")));
                command
            }
            None => {
                let mut command = Command::new("node");
                command.arg(self.folder.join(format!("{program}.js")));
                command
            }
        }
    }
}

/// A peer that serves until this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens, on loopback.
    pub port: u16,
}

impl Server {
    /// Runs a command that prints `listening PORT` and ends with its standard input.
    ///
    /// # Panics
    /// It cannot be started or says something else.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => unreachable!("{command:?} cannot be started: {error}; install Java and Node.js"),
        };
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            drop(BufReader::new(output).read_line(&mut line));
        }
        let port = line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok());
        let Some(port) = port else { unreachable!("{command:?} does not listen but says {line:?}") };
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Copies a peer's sources to the target folder and installs what it needs, unless nothing has changed.
fn install(name: &str, prepare: impl FnOnce(&Path)) -> PathBuf {
    let _alone = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = target().join("peers").join(name);
    let installed = folder.join("installed.txt");
    let mut sources = Vec::new();
    for entry in fs::read_dir(root().join("tests/peers").join(name)).into_iter().flatten().flatten() {
        sources.push((entry.file_name(), fs::read(entry.path()).unwrap_or_default()));
    }
    sources.sort();
    assert!(!sources.is_empty(), "tests/peers/{name} is missing");
    let mark = format!("{sources:?}");
    if fs::read_to_string(&installed).is_ok_and(|found| found == mark) {
        return folder;
    }
    drop(fs::remove_dir_all(&folder));
    let copied = fs::create_dir_all(&folder)
        .and_then(|()| sources.iter().try_for_each(|(file, bytes)| fs::write(folder.join(file), bytes)));
    assert!(copied.is_ok(), "cannot copy tests/peers/{name} to {}: {copied:?}", folder.display());
    prepare(&folder);
    let marked = fs::write(&installed, mark);
    assert!(marked.is_ok(), "cannot write {}: {marked:?}", installed.display());
    folder
}

fn run(command: &mut Command) {
    match command.stdin(Stdio::null()).status() {
        Ok(status) => assert!(status.success(), "{command:?} ended with {status}"),
        Err(error) => unreachable!("{command:?} cannot be started: {error}; this test needs it"),
    }
}
