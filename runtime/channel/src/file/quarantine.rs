//! Puts what is damaged aside under a name that says so, counts it and says it once.

use std::path::Path;

use millrace_storage::{Disk, File, OpenMode, set_aside};

use super::scan::Gap;

/// Counts what was set aside.
pub(super) struct Quarantine<'a> {
    pub disk: &'a dyn Disk,
    pub channel: &'a str,
    pub count: u64,
}

/// More than this of a damaged place is not copied.
const COPY_BYTES_MAX: u64 = 64 << 20;

impl Quarantine<'_> {
    /// Sets a whole file aside.
    pub(super) fn file(&mut self, path: &Path, reason: &str) {
        self.count += 1;
        match set_aside(self.disk, path) {
            Ok(aside) => tracing::error!(
                channel = self.channel, file = %path.display(), aside = %aside.display(), reason,
                "a damaged file was set aside"
            ),
            Err(error) => tracing::error!(
                channel = self.channel, file = %path.display(), reason, %error,
                "a damaged file is not used and could not be set aside"
            ),
        }
    }

    /// Copies a damaged place of a file to a file of its own.
    pub(super) fn place(&mut self, path: &Path, file: &dyn File, gap: Gap) {
        self.count += 1;
        let aside = self.copy(path, file, gap, "damaged");
        tracing::error!(
            channel = self.channel, file = %path.display(), offset = gap.offset, bytes = gap.bytes, aside,
            "a damaged place was set aside; the rest is used"
        );
    }

    /// Copies what is left of an unfinished write. It was never acknowledged, so it is no damage.
    pub(super) fn torn(&mut self, path: &Path, file: &dyn File, gap: Gap) {
        let aside = self.copy(path, file, gap, "torn");
        tracing::info!(
            channel = self.channel, file = %path.display(), offset = gap.offset, bytes = gap.bytes, aside,
            "an unfinished write was cut off"
        );
    }

    /// Says that something is gone that nothing can be kept of.
    pub(super) fn missing(&mut self, what: &str) {
        self.count += 1;
        tracing::error!(channel = self.channel, what, "a part of the channel is missing; the rest is used");
    }

    /// The name of the copy, or why there is none.
    fn copy(&self, path: &Path, file: &dyn File, gap: Gap, word: &str) -> String {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return String::new() };
        let aside = format!("{name}.{word}-at-{}", gap.offset);
        let target = path.with_file_name(&aside);
        let copied = || -> std::io::Result<()> {
            let length = usize::try_from(gap.bytes.min(COPY_BYTES_MAX)).unwrap_or(0);
            let mut bytes = vec![0; length];
            let count = file.read_full_at(&mut bytes, gap.offset)?;
            bytes.truncate(count);
            let copy = self.disk.open(&target, OpenMode::Create)?;
            copy.write_all_at(&bytes, 0)?;
            copy.sync_data()
        };
        match copied() {
            Ok(()) => aside,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => aside,
            Err(error) => format!("not copied: {error}"),
        }
    }
}
