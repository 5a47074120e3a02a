//! The file channel against the conformance suite, crashes, damage and failing disks.

mod again;
mod crash;
mod damage;
mod faults;
mod formats;
mod kinds;
mod loose;
mod options;
mod sealed;
mod states;
mod suite;
mod unsynced;
