//! Names of files: `<prefix><time>-<number>[.<extension>][.gz|.zst]`, and `.tmp` behind it while in progress.
//!
//! A name is taken only where neither it nor its form in progress exists, and the renaming at the end never
//! replaces a file: whatever happens, another file is not overwritten.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{BucketError, disk::Disk};

/// Marks a file in progress.
pub const IN_PROGRESS: &str = ".tmp";

/// Which time stands in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameTime {
    /// When the sink started, in milliseconds since 1970.
    Start,
    /// When the file was opened, as `yyyyMMddHHmmss`.
    Roll,
}

/// Makes names.
pub struct Names {
    time: NameTime,
    zone: TimeZone,
    start_millis: u64,
    number: u64,
    suffix: String,
}

impl Names {
    pub fn new(time: NameTime, zone: TimeZone, start_millis: u64, suffix: String) -> Self {
        Self { time, zone, start_millis, number: 0, suffix }
    }

    /// A path in progress that is free, for a file whose path begins like this.
    pub fn next(&mut self, beginning: &str, now: SystemTime) -> PathBuf {
        let time = match self.time {
            NameTime::Start => self.start_millis.to_string(),
            NameTime::Roll => {
                let now = Timestamp::try_from(now).unwrap_or_default().to_zoned(self.zone.clone());
                now.strftime("%Y%m%d%H%M%S").to_string()
            }
        };
        loop {
            self.number += 1;
            let name = format!("{beginning}{time}-{}{}", self.number, self.suffix);
            let in_progress = PathBuf::from(format!("{name}{IN_PROGRESS}"));
            if !Path::new(&name).exists() && !in_progress.exists() {
                return in_progress;
            }
        }
    }
}

/// Gives a file in progress its name. Returns the name.
pub fn finish(in_progress: &Path, durable: bool, disk: &Disk) -> Result<PathBuf, BucketError> {
    let name = in_progress.with_extension("");
    let mut target = name.clone();
    for copy in 1_u32.. {
        match disk.rename(in_progress, &target) {
            // Somebody else has put a file there since.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => target = with_copy(&name, copy),
            Err(error) => return Err(BucketError::io("rename", in_progress)(error)),
            Ok(()) => break,
        }
    }
    if durable {
        let folder = target.parent().unwrap_or(Path::new(""));
        disk.sync_folder(folder).map_err(BucketError::io("sync", folder))?;
    }
    Ok(target)
}

/// `a/b-1.log.gz` becomes `a/b-1_2.log.gz`.
fn with_copy(name: &Path, copy: u32) -> PathBuf {
    let file = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The number is the last thing before the extensions, and neither has a minus sign.
    let after_number = file.rfind('-').and_then(|minus| file.get(minus..)?.find('.').map(|dot| minus + dot));
    let at = after_number.unwrap_or(file.len());
    name.with_file_name(format!(
        "{}_{copy}{}",
        file.get(..at).unwrap_or_default(),
        file.get(at..).unwrap_or_default()
    ))
}
