//! Names of files: `<prefix><time>-<number><suffix>`, or Flume's `<prefix>.<time + number><suffix>`, decorated while in
//! progress.
//!
//! A name is taken only where neither it nor its form in progress exists, and the renaming at the end never
//! replaces a file: whatever happens, another file is not overwritten.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{BucketError, store::Store};

/// Marks a file in progress.
pub const IN_PROGRESS: &str = ".tmp";

/// Which time stands in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameTime {
    /// When the sink started, in milliseconds since 1970, and a number after it.
    Start,
    /// When the file was opened, as `yyyyMMddHHmmss`, and a number after it.
    Roll,
    /// A number after a dot that begins with the sink's start in milliseconds since 1970 and grows with each file.
    Counter,
}

/// What the name of a file in progress has besides the final one. Never both empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InProgress {
    /// In front.
    pub prefix: String,
    /// Behind.
    pub suffix: String,
}

impl Default for InProgress {
    fn default() -> Self {
        Self { prefix: String::new(), suffix: IN_PROGRESS.to_owned() }
    }
}

/// The two names of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePaths {
    /// The one it has in the end.
    pub name: PathBuf,
    /// The one it has in progress.
    pub in_progress: PathBuf,
}

/// Makes names.
pub struct Names {
    time: NameTime,
    zone: TimeZone,
    start_millis: u64,
    number: u64,
    suffix: String,
    in_progress: InProgress,
}

impl Names {
    pub fn new(
        time: NameTime,
        zone: TimeZone,
        start_millis: u64,
        suffix: String,
        in_progress: InProgress,
    ) -> Self {
        Self { time, zone, start_millis, number: 0, suffix, in_progress }
    }

    /// Paths that are free, for a file whose path begins like this.
    pub fn next(
        &mut self,
        beginning: &str,
        now: SystemTime,
        store: &impl Store,
    ) -> Result<FilePaths, BucketError> {
        let time = match self.time {
            NameTime::Start | NameTime::Counter => self.start_millis.to_string(),
            NameTime::Roll => {
                let now = Timestamp::try_from(now).unwrap_or_default().to_zoned(self.zone.clone());
                now.strftime("%Y%m%d%H%M%S").to_string()
            }
        };
        let (folder, file) = beginning
            .rsplit_once('/')
            .map_or(("", beginning), |(_, file)| beginning.split_at(beginning.len() - file.len()));
        let InProgress { prefix, suffix } = &self.in_progress;
        loop {
            self.number += 1;
            let name = match self.time {
                NameTime::Counter => format!("{file}.{}{}", self.start_millis + self.number, self.suffix),
                _ => format!("{file}{time}-{}{}", self.number, self.suffix),
            };
            let paths = FilePaths {
                in_progress: PathBuf::from(format!("{folder}{prefix}{name}{suffix}")),
                name: PathBuf::from(format!("{folder}{name}")),
            };
            let is_taken = |path: &PathBuf| store.exists(path).map_err(BucketError::io("look up", path));
            if !is_taken(&paths.name)? && !is_taken(&paths.in_progress)? {
                return Ok(paths);
            }
        }
    }
}

/// Gives a file in progress its name, or one like it. Returns the name.
pub fn finish(paths: &FilePaths, durable: bool, store: &impl Store) -> Result<PathBuf, BucketError> {
    let FilePaths { name, in_progress } = paths;
    let mut target = name.clone();
    for copy in 1_u32.. {
        match store.rename(in_progress, &target) {
            // Somebody else has put a file there since.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => target = with_copy(name, copy),
            Err(error) => return Err(BucketError::io("rename", in_progress)(error)),
            Ok(()) => break,
        }
    }
    if durable {
        let folder = target.parent().unwrap_or(Path::new(""));
        store.sync_folder(folder).map_err(BucketError::io("sync", folder))?;
    }
    Ok(target)
}

/// `a/b-1.log.gz` becomes `a/b-1_2.log.gz`.
fn with_copy(name: &Path, copy: u32) -> PathBuf {
    let file = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let at = number_end(&file).unwrap_or(file.len());
    name.with_file_name(format!(
        "{}_{copy}{}",
        file.get(..at).unwrap_or_default(),
        file.get(at..).unwrap_or_default()
    ))
}

/// Where the number in a name ends: the last digits between a `-` or a `.` and the next `.` or the end.
fn number_end(file: &str) -> Option<usize> {
    let starts = file.rmatch_indices(['-', '.']).map(|(at, _)| at + 1);
    starts.into_iter().find_map(|start| {
        let rest = file.get(start..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = digits > 0 && matches!(rest.as_bytes().get(digits), None | Some(b'.'));
        is_number.then_some(start + digits)
    })
}
