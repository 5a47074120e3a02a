//! What a `file-roll` sink has written, in the order it was written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The files of a folder in the order of the numbers in their names; hidden ones are in progress and count too.
///
/// # Panics
/// The folder cannot be read.
pub fn rolled_files(folder: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => unreachable!("{}: {error}", folder.display()),
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort_by_key(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse::<u64>().ok())
            .collect::<Vec<_>>()
    });
    files
}

/// All lines of all files.
///
/// # Panics
/// A file cannot be read.
pub fn lines_of(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for file in rolled_files(folder) {
        // A file in progress may be renamed between listing and reading; the caller asks again.
        let content = fs::read(&file).unwrap_or_default();
        lines.extend(String::from_utf8_lossy(&content).lines().map(str::to_owned));
    }
    lines
}

/// All events of files written with the JSON serializer, by agents that have ended.
///
/// # Panics
/// A line is no JSON.
pub fn json_events(folder: &Path) -> Vec<Value> {
    lines_of(folder).iter().map(|line| event(line)).collect()
}

/// The same while an agent writes: a line without its end is still being written.
///
/// # Panics
/// A line with its end is no JSON.
pub fn json_events_so_far(folder: &Path) -> Vec<Value> {
    let mut events = Vec::new();
    for file in rolled_files(folder) {
        let content = fs::read(&file).unwrap_or_default();
        let content = String::from_utf8_lossy(&content);
        let whole = content.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        events.extend(whole.map(event));
    }
    events
}

fn event(line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(event) => event,
        Err(error) => unreachable!("{line}: {error}"),
    }
}
