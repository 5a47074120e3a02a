//! What keeps a plugin from being loaded, and what can go wrong in a call.

use std::path::PathBuf;

/// Why a file is no usable plugin. Each becomes a diagnostic with a code of its own.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine could not be made.
    #[error("the plugin engine cannot start: {0}")]
    Engine(String),
    /// The file could not be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is over the limit.
    #[error("the file has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The content is not the one the configuration pins.
    #[error("the file is {found}, the configuration asks for {expected}")]
    Digest {
        /// What the configuration says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// There is no signature of the key that the configuration names.
    #[error("no valid signature: {0}")]
    Signature(String),
    /// What the file says about itself cannot be used.
    #[error("its manifest cannot be used: {0}")]
    Manifest(String),
    /// A core module instead of a component.
    #[error("the file is a core WebAssembly module, not a component")]
    CoreModule,
    /// Not WebAssembly, or damaged.
    #[error("the file is no valid component: {0}")]
    Invalid(String),
    /// An export that the role needs is missing or has another type.
    #[error("export {name}: expected {expected}, found {found}")]
    Export {
        /// The export.
        name: String,
        /// What the role needs.
        expected: String,
        /// What there is.
        found: String,
    },
    /// Something the host does not offer to this plugin.
    #[error("import {name}: {reason}")]
    Import {
        /// The import.
        name: String,
        /// Why it is refused.
        reason: String,
        /// What the operator may write to allow it.
        grant: Option<String>,
    },
}

/// The ways in which a guest can break its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FaultKind {
    /// A trap of the code itself, a panic, or a call of the host that is not allowed.
    Trap,
    /// The time of a call was over.
    Deadline,
    /// The memory limit was reached.
    Memory,
    /// The stack was used up.
    Stack,
    /// Edits that break a rule.
    Edits,
    /// Another answer that breaks a rule: rows out of range, a position that goes back, lists that do not add up.
    Answer,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Trap, Self::Deadline, Self::Memory, Self::Stack, Self::Edits, Self::Answer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Edits => "edits",
            Self::Answer => "answer",
        }
    }
}

/// One broken call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// What happened, in one line.
    pub(crate) reason: String,
    /// The guest's functions, innermost first, one a line; empty where there is none.
    pub(crate) backtrace: String,
}

impl Fault {
    /// A function that the role needs is not there; loading checks for it.
    pub(crate) fn missing(function: &str) -> Self {
        Self::host(format!("the plugin has no function {function}"))
    }

    /// Something that the host lacks.
    pub(crate) fn host(reason: String) -> Self {
        Self { kind: FaultKind::Trap, reason, backtrace: String::new() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)
    }
}
