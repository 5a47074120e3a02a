//! What tests of all crates share: a recording channel, a settable clock, rigs that run one component, and
//! conformance suites. A development dependency only.

pub mod channel_suite;
mod clock;
mod context;
mod fake_disk;
mod recorder;
mod source_rig;
mod wait;

pub use clock::TestClock;
pub use context::{build_context, open_section, section};
pub use fake_disk::{Call, FakeDisk};
pub use recorder::{MemoryPositions, RecordingChannel};
pub use source_rig::SourceRig;
pub use wait::{eventually, within};
