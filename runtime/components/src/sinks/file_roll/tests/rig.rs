//! One sink in a temporary folder.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_core::{Batch, Event, Headers, Sink, SinkError};
use millrace_testkit::{TestClock, build_context, section};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::{
    bucket::{BucketSink, Disk, append_only::AppendOnly},
    sinks::file_roll::{FACTORY, settings::settings},
};

/// Which operations on the disk are to fail, and how many of the next ones succeed before.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<BTreeMap<&'static str, (usize, usize)>>,
}

impl Faults {
    /// After `passing` more operations of this kind, `failing` of them fail.
    pub fn plan(&self, operation: &'static str, passing: usize, failing: usize) {
        self.planned.lock().insert(operation, (passing, failing));
    }

    pub fn check(&self, operation: &str) -> io::Result<()> {
        let mut planned = self.planned.lock();
        let Some((passing, failing)) = planned.get_mut(operation) else { return Ok(()) };
        if *passing > 0 {
            *passing -= 1;
        } else if *failing > 0 {
            *failing -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

pub const START: u64 = 1_700_000_000_000;

/// A sink, what it works on, and what it was built from.
pub struct Rig {
    pub folder: TempDir,
    pub clock: Arc<TestClock>,
    pub disk: Disk,
    pub options: String,
    sink: Option<Box<dyn Sink>>,
    is_append_only: bool,
}

impl Rig {
    /// A sink with these options besides the directory.
    pub fn new(options: &str) -> Self {
        Self::in_place("", options)
    }

    /// A sink whose directory has this below the temporary folder.
    pub fn in_place(place: &str, options: &str) -> Self {
        Self::over(false, place, options)
    }

    /// The same over a store that cannot cut files.
    pub fn append_only(place: &str, options: &str) -> Self {
        Self::over(true, place, options)
    }

    fn over(is_append_only: bool, place: &str, options: &str) -> Self {
        // In memory where possible: these tests ask what is in the files, not whether a disk keeps its word.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let options = format!(
            "file-roll \"files\" {{ directory \"{}/out{place}\"; time-zone \"UTC\"; {options} }}",
            folder.path().display()
        );
        let clock = Arc::new(TestClock::at(START));
        let mut rig = Self { folder, clock, disk: Disk::default(), options, sink: None, is_append_only };
        rig.start();
        rig
    }

    /// Starts the sink after the end of an earlier one.
    pub fn start(&mut self) {
        self.sink = Some(self.build());
    }

    /// Another sink over the same folders.
    pub fn build(&self) -> Box<dyn Sink> {
        let cx = build_context(&self.folder.path().join("data"), Arc::clone(&self.clock) as _);
        let settings = settings(&section(FACTORY.options, &self.options), cx.data_dir).unwrap();
        if self.is_append_only {
            let store = AppendOnly::new(self.disk.clone());
            return Box::new(BucketSink::new(settings, cx.clock, store, self.disk.clone()));
        }
        Box::new(BucketSink::new(settings, cx.clock, self.disk.clone(), self.disk.clone()))
    }

    /// The sink ends without having been closed.
    pub fn crash(&mut self) {
        self.sink = None;
    }

    /// Crashes, starts again and lets the new sink do its first work.
    pub async fn restart(&mut self) {
        self.crash();
        self.start();
        self.idle().await.unwrap();
    }

    pub async fn try_deliver(&mut self, events: Vec<Event>) -> Result<(), SinkError> {
        self.sink.as_mut().unwrap().deliver(&Batch::new(events)).await
    }

    pub async fn deliver(&mut self, bodies: &[&'static str]) {
        self.try_deliver(plain(bodies)).await.unwrap();
    }

    pub async fn idle(&mut self) -> Result<(), SinkError> {
        self.sink.as_mut().unwrap().idle().await
    }

    pub async fn close(&mut self) {
        self.sink.take().unwrap().close().await.unwrap();
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Every file under the directory with its contents, in the order of the names.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.out(), &self.out(), &mut files);
        files.sort_by_key(|(name, _)| number_in(name));
        files
    }

    /// The same as text.
    pub fn texts(&self) -> Vec<(String, String)> {
        let text = |(name, bytes)| (name, String::from_utf8(bytes).unwrap());
        self.files().into_iter().map(text).collect()
    }

    /// The contents of all files one after the other.
    pub fn everything(&self) -> String {
        self.texts().into_iter().map(|(_, text)| text).collect()
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }

    /// What lies in the sink's own folder.
    pub fn journals(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("data")).map(Iterator::count).unwrap_or(0)
    }
}

/// Names are ordered by the number in them, so that 10 comes after 9.
fn number_in(name: &str) -> (String, u64) {
    let (before, after) = name.rsplit_once('-').unwrap();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    (before.to_owned(), digits.parse().unwrap())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let mut bytes = Vec::new();
            std::fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            files.push((path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), bytes));
        }
    }
}

pub fn plain(bodies: &[&'static str]) -> Vec<Event> {
    bodies.iter().map(|body| Event::new(*body)).collect()
}

pub fn with(entries: &[(&str, &str)], body: &'static str) -> Event {
    let headers: Headers =
        entries.iter().map(|(name, value)| ((*name).to_owned().into(), (*value).to_owned().into())).collect();
    Event::with_headers(headers, body)
}

/// Names with contents, for comparison.
pub fn expected(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}
