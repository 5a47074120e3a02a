//! The loop of a plugin's author: from a template to a component that is built, looked at, tested and measured.
//!
//! | module | holds |
//! |---|---|
//! | `project` | a folder that holds the sources of a plugin |
//! | `toolchain` | from sources to a component, one file per language |
//! | `component` | from a core module to a component, and files that change at once |
//! | `cases` | the cases of `millrace plugin test`: events in, events expected out |
//!
//! What it works on are the files and tools of the person who calls it, so it reads the environment and the disk itself.
#![expect(clippy::disallowed_methods, reason = "works on the author's files, with the author's tools")]
#![deny(missing_docs)]

pub mod cases;
pub mod component;
mod error;
mod project;
pub mod toolchain;

pub use error::BuildError;
pub use project::Project;
