//! The source in front of a recording channel, against real files.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use millrace_core::Event;
use millrace_testkit::{RecordingChannel, SourceRig, eventually};
use tempfile::TempDir;

use super::{FACTORY, position::Position};

mod crashes;
mod lines;
mod restarts;
mod rotation;

/// A folder of logs and what a source made of them.
struct Bench {
    folder: TempDir,
    channel: RecordingChannel,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), channel: RecordingChannel::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        append(&self.path(name), content.as_ref());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn gzip(&self, from: &str, to: &str) {
        let content = fs::read(self.path(from)).unwrap();
        fs::write(self.path(to), gzipped(&content)).unwrap();
    }

    /// Runs a source over a glob in the folder, with a quick poll and the options given.
    fn start(&self, glob: &str, options: &str) -> SourceRig {
        let path = self.path(glob);
        self.start_with(&format!("path {:?}\npoll \"10ms\"\n{options}", path.to_str().unwrap()))
    }

    fn start_with(&self, options: &str) -> SourceRig {
        let kdl = format!("taildir \"test\" {{\n{options}\n}}");
        SourceRig::start(&FACTORY, &kdl, self.channel.clone(), self.folder.path())
    }

    /// Waits until the last line committed is this one.
    async fn wait_for(&self, line: &str) {
        eventually(line, || self.channel.bodies().iter().any(|body| body == line)).await;
    }

    /// The positions stored, by the name of their file.
    fn positions(&self) -> Vec<(String, Position)> {
        let stored = millrace_core::Channel::positions(&self.channel, "test").unwrap();
        let mut positions: Vec<_> = stored
            .iter()
            .filter(|(key, _)| key.first() == Some(&b'f'))
            .map(|(_, value)| Position::decode(value).unwrap())
            .map(|position| (position.path.file_name().unwrap().to_str().unwrap().to_owned(), position))
            .collect();
        positions.sort_by(|first, second| first.0.cmp(&second.0));
        positions
    }

    /// Name and offset of every file known.
    fn offsets(&self) -> Vec<(String, u64)> {
        self.positions().into_iter().map(|(name, position)| (name, position.offset)).collect()
    }
}

fn append(path: &Path, content: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(content).unwrap();
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn numbered(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

fn header(event: &Event, name: &str) -> Option<String> {
    event.header(name).map(ToString::to_string)
}

/// Stops the source and returns all lines ever committed.
async fn stop(rig: SourceRig) -> Vec<String> {
    let (channel, result) = rig.stop().await;
    result.unwrap();
    channel.bodies()
}
