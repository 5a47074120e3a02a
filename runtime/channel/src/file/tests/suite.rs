//! The conformance suite on a real disk.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use millrace_core::{Channel, Metrics};
use millrace_storage::{Disk, SystemDisk};
use millrace_testkit::{
    TestClock,
    channel_suite::{ChannelFixture, ChannelLimits, ok},
};

use super::kinds::Kind;
use crate::{FileChannel, FileOptions};

/// A channel that is not open yet.
pub(super) fn channel(options: &FileOptions, disk: Arc<dyn Disk>) -> FileChannel {
    let clock = Arc::new(TestClock::at(1_700_000_000_000));
    FileChannel::new("test", options, disk, clock, Metrics::default().channel("test"))
}

/// Small segments, so that a test crosses many.
pub(super) fn options(directory: &Path) -> FileOptions {
    FileOptions { segment_bytes: 64 << 10, free_bytes_min: 0, ..FileOptions::new(directory) }
}

pub(super) fn limited(directory: &Path, limits: ChannelLimits) -> FileOptions {
    let ChannelLimits { events_max, bytes_max, keep_alive } = limits;
    FileOptions { events_max, bytes_max, keep_alive, ..options(directory) }
}

struct SystemFixture {
    directory: tempfile::TempDir,
}

impl Default for SystemFixture {
    fn default() -> Self {
        Self { directory: ok(tempfile::tempdir()) }
    }
}

#[async_trait]
impl ChannelFixture for SystemFixture {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        // A case may ask for several channels.
        let directory = ok(tempfile::tempdir_in(self.directory.path())).keep();
        let channel = channel(&limited(&directory, limits), Arc::new(SystemDisk));
        ok(channel.open().await);
        Arc::new(channel)
    }
}

/// Everything is read from the segments.
#[derive(Default)]
struct UncachedFixture {
    system: SystemFixture,
}

#[async_trait]
impl ChannelFixture for UncachedFixture {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let directory = ok(tempfile::tempdir_in(self.system.directory.path())).keep();
        let options = FileOptions { cache_bytes_max: 0, ..limited(&directory, limits) };
        let channel = channel(&options, Arc::new(SystemDisk));
        ok(channel.open().await);
        Arc::new(channel)
    }
}

/// Packed and sealed, and read from the segments.
#[derive(Default)]
struct SealedFixture {
    system: SystemFixture,
}

#[async_trait]
impl ChannelFixture for SealedFixture {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let directory = ok(tempfile::tempdir_in(self.system.directory.path())).keep();
        let options = FileOptions { cache_bytes_max: 0, ..limited(&directory, limits) };
        let channel = channel(&Kind::Both.of(options), Arc::new(SystemDisk));
        ok(channel.open().await);
        Arc::new(channel)
    }
}

mod packed_and_sealed {
    millrace_testkit::channel_suite!(super::SealedFixture);
}

mod on_a_disk {
    millrace_testkit::channel_suite!(super::SystemFixture);
}

mod without_memory {
    millrace_testkit::channel_suite!(super::UncachedFixture);
}

/// A disk in memory that writes a part at a time.
#[derive(Default)]
struct FakeFixture;

#[async_trait]
impl ChannelFixture for FakeFixture {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let disk = millrace_testkit::FakeDisk::default();
        disk.write_short();
        let channel = channel(&limited(Path::new("/channel"), limits), Arc::new(disk));
        ok(channel.open().await);
        Arc::new(channel)
    }
}

mod on_a_fake_disk {
    millrace_testkit::channel_suite!(super::FakeFixture);
}

/// Every other kind of file, one after the other, on a disk in memory.
#[derive(Default)]
struct KindsFixture<const KIND: usize>;

#[async_trait]
impl<const KIND: usize> ChannelFixture for KindsFixture<KIND> {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let options = Kind::ALL[KIND].of(limited(Path::new("/channel"), limits));
        let channel = channel(&options, Arc::new(millrace_testkit::FakeDisk::default()));
        ok(channel.open().await);
        Arc::new(channel)
    }
}

mod packed {
    millrace_testkit::channel_suite!(super::KindsFixture<1>);
}

mod sealed {
    millrace_testkit::channel_suite!(super::KindsFixture<2>);
}

mod loose {
    millrace_testkit::channel_suite!(super::KindsFixture<4>);
}
