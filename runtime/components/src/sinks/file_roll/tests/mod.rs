//! The sink on real files in a temporary folder, with a clock that stands still and a disk that fails on demand.

mod crash;
mod failure;
mod model;
mod names;
mod rig;
mod roll;

pub use rig::Faults;
