//! The file channel against the conformance suite, crashes, damage and full disks.

mod suite;
