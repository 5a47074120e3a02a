//! The file channel against the conformance suite, crashes, damage and failing disks.

mod again;
mod crash;
mod damage;
mod faults;
mod kinds;
mod options;
mod states;
mod suite;
