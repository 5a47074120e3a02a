//! The loop of a plugin's author: from a template to a component that is built, looked at, tested, measured, signed and published.
//!
//! | module | holds |
//! |---|---|
//! | `templates` | new projects, with the SDK and the interface they need |
//! | `project` | a folder that holds the sources of a plugin |
//! | `toolchain` | from sources to a component, one file per language |
//! | `component`, `build` | from a core module to a component with its manifest, and files that change at once |
//! | `inspect` | what a component is and wants, and what changed |
//! | `rig` | a plugin on the real host, outside of an agent |
//! | `cases` | the cases of `millrace plugin test`: events in, events expected out |
//! | `bench`, `keep_all` | what a plugin costs, next to one that does nothing |
//! | `pipe` | lines through one plugin |
//! | `sign`, `registry` | signatures, and plugins in OCI registries |
//!
//! What it works on are the files and tools of the person who calls it, so it reads the environment and the disk itself.
#![expect(clippy::disallowed_methods, reason = "works on the author's files, with the author's tools")]
#![deny(missing_docs)]

pub mod component;
mod error;
mod project;
pub mod templates;
pub mod toolchain;

#[cfg(feature = "host")]
pub mod bench;
#[cfg(feature = "host")]
mod build;
#[cfg(feature = "host")]
pub mod cases;
#[cfg(feature = "host")]
mod inspect;
#[cfg(feature = "host")]
mod keep_all;
#[cfg(feature = "host")]
pub mod pipe;
#[cfg(feature = "host")]
pub mod registry;
#[cfg(feature = "host")]
pub mod rig;
#[cfg(feature = "host")]
pub mod sign;

#[cfg(feature = "host")]
pub use build::{BuildOptions, Built, build};
pub use error::BuildError;
#[cfg(feature = "host")]
pub use inspect::{Difference, difference, grants, is_two_phase, look, manifest, plain, read, world};
pub use project::{MANIFEST_FILE, Project, script_of};
