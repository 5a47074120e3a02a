//! Why a plugin was not built.

use std::{io, path::PathBuf};

use crate::toolchain::Missing;

/// Why a plugin was not built. What a tool had to say is in the message.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The tool-chain is not complete.
    #[error("{}", missing(.0))]
    Missing(Vec<Missing>),
    /// A tool ran and failed.
    #[error("{command} failed ({status}){}", indented(.output))]
    Failed {
        /// What was run, as one would type it.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote, both streams.
        output: String,
    },
    /// A tool did not run at all.
    #[error("{command} could not be run: {cause}")]
    NotRun {
        /// What was to be run.
        command: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The folder holds no plugin that can be built, for this reason.
    #[error("{0}")]
    Project(String),
    /// What the compiler made cannot become a component.
    #[error("no component: {0}")]
    Component(String),
}

impl BuildError {
    /// Turns an error of the system into one that names the path.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}

fn missing(all: &[Missing]) -> String {
    let lines =
        all.iter().map(|one| format!("{} is missing ({}); install it: {}", one.what, one.why, one.install));
    lines.collect::<Vec<_>>().join("\n")
}

fn indented(output: &str) -> String {
    output.trim_end().lines().map(|line| format!("\n  {line}")).collect()
}
