//! One file of the fake disk: what was written, what is durable, and the writes in between.

use rand::{Rng, rngs::StdRng};

const SECTOR_BYTES: usize = 512;

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Inode {
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { durable: content.clone(), content, unsynced: Vec::new() }
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        write(&mut self.content, at, bytes);
        self.unsynced.push(Change::Write(at, bytes.to_vec()));
    }

    pub(super) fn set_len(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.content.resize(bytes, 0);
        self.unsynced.push(Change::Length(bytes));
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write(at, bytes) => write(&mut self.durable, at, &bytes),
                Change::Length(bytes) => self.durable.resize(bytes, 0),
            }
        }
    }

    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn flip(&mut self, at: usize, bits: u8) {
        self.content[at] ^= bits;
        self.durable = self.content.clone();
        self.unsynced.clear();
    }

    /// What was synced, and of the rest whatever the disk got to.
    pub(super) fn after_crash(&self, rng: &mut StdRng) -> Self {
        let mut content = self.durable.clone();
        let luck = rng.random_range(0.0..=1.0);
        for change in &self.unsynced {
            match change {
                Change::Length(bytes) if rng.random_bool(luck) => content.resize(*bytes, 0),
                Change::Length(_) => {}
                Change::Write(at, bytes) => torn(&mut content, *at, bytes, luck, rng),
            }
        }
        Self::durable(content)
    }
}

/// Writes some sectors. Sectors are those of the disk, so a write may begin and end within one.
fn torn(content: &mut Vec<u8>, at: usize, bytes: &[u8], luck: f64, rng: &mut StdRng) {
    let mut from = 0;
    while from < bytes.len() {
        let to = ((at + from) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - at).min(bytes.len());
        if rng.random_bool(luck) {
            write(content, at + from, &bytes[from..to]);
        }
        from = to;
    }
}
