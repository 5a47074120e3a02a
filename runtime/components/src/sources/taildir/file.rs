//! One file being read: from its offset, block by block, cut into events that are slices of the block.
//!
//! A read always begins at the start of the first unfinished event, a little earlier even: the last bytes
//! delivered are read again and compared, as is the head of the file. So a file that was truncated and written
//! again, to whatever size, is noticed before a byte of it is taken for the continuation of the old content.

use std::{io, path::PathBuf};

use bytes::Bytes;
use millrace_core::{ByteString, Event, Headers};
use tokio::time::Instant;

use super::{
    block::{BLOCK_BYTES, BlockPool},
    filling::Filling,
    fingerprint::{HEAD_BYTES_MAX, Trace, WINDOW_BYTES_MAX},
    frame::{Flush, LineEnd},
    options::Settings,
    position::Position,
};
use crate::sources::files::{Content, FileId, Stamp};

/// How much of a file's beginning is kept to tell quickly that another one differs.
const BEGINNING_BYTES: usize = 64;

/// A file that is being read.
pub(super) struct TailFile {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) group: usize,
    pub(super) headers: Headers,
    /// None while it is closed because it did not grow.
    pub(super) content: Option<Content>,
    pub(super) stamp: Stamp,
    pub(super) offset: u64,
    mid_line: bool,
    finished: bool,
    /// Goes up when the file starts over.
    pub(super) generation: u64,
    /// The offset it had before it started over.
    pub(super) offset_before: u64,
    trace: Trace,
    block: Option<Block>,
    skip_nuls: bool,
    beginning: Vec<u8>,
    /// When it last grew, or was found.
    pub(super) changed_at: Instant,
    /// Since when no name leads to it.
    pub(super) gone: Option<Instant>,
    /// No name at all is left: what is not read before it is closed is lost.
    pub(super) unlinked: bool,
    pub(super) queued: bool,
    /// There are bytes that form no event yet.
    pub(super) has_partial: bool,
    /// What to do with them at the next turn, and what was already done since the last growth.
    pub(super) flush: Flush,
    pub(super) flushed: Flush,
    /// The last turn failed.
    pub(super) failed: bool,
    /// The last batch with events of this file.
    pub(super) last_batch: u64,
}

/// Bytes of the file from `base` on.
struct Block {
    base: u64,
    data: Bytes,
}

/// How a turn ended.
pub(super) enum Turn {
    /// The batch is full; the file may have more.
    BatchFull,
    /// There is more, but it is the next file's turn.
    More,
    /// Everything there is has been read.
    CaughtUp,
    /// The content is not the one that was read so far: the file starts over. This is what was delivered.
    Replaced(Position),
}

impl TailFile {
    /// A file to be read from the start.
    pub(super) fn new(
        id: FileId,
        path: PathBuf,
        group: usize,
        headers: Headers,
        content: Content,
        stamp: Stamp,
    ) -> Self {
        Self {
            id,
            path,
            group,
            headers,
            content: Some(content),
            stamp,
            offset: 0,
            mid_line: false,
            finished: false,
            generation: 0,
            offset_before: 0,
            trace: Trace::default(),
            block: None,
            skip_nuls: false,
            beginning: Vec::new(),
            changed_at: Instant::now(),
            gone: None,
            unlinked: false,
            queued: false,
            has_partial: false,
            flush: Flush::Nothing,
            flushed: Flush::Nothing,
            failed: false,
            last_batch: 0,
        }
    }

    /// Goes on at an offset whose fingerprint was found to be right.
    pub(super) fn resume(&mut self, offset: u64, mid_line: bool) -> io::Result<()> {
        if let Some(content) = &mut self.content {
            self.trace = Trace::load(content, offset)?;
        }
        self.offset = offset;
        self.mid_line = mid_line;
        Ok(())
    }

    /// Starts over in a file that held something else before; what a writer with a stale offset leaves at its
    /// beginning, a hole, is no content.
    pub(super) fn start_over(&mut self) {
        self.offset_before = self.offset;
        self.offset = 0;
        self.mid_line = false;
        self.generation += 1;
        self.trace = Trace::default();
        self.block = None;
        self.skip_nuls = true;
        self.beginning.clear();
        self.has_partial = false;
    }

    /// The position as it is to be stored.
    pub(super) fn position(&mut self, gone_since: u64) -> Position {
        Position {
            offset: self.offset,
            mid_line: self.mid_line,
            finished: self.finished,
            fingerprint: self.trace.fingerprint(),
            stamp: self.stamp,
            gone_since,
            path: self.path.clone(),
        }
    }

    /// Takes note of a new size or time of change.
    pub(super) fn note_change(&mut self, stamp: Stamp) {
        self.stamp = stamp;
        self.changed_at = Instant::now();
        self.flushed = Flush::Nothing;
        self.finished = false;
        if let Some(content) = &mut self.content {
            content.changed();
        }
    }

    /// Whether there is something to read that no event was made of.
    pub(super) fn has_unread(&self) -> bool {
        self.queued || self.block.is_some()
    }

    /// Lets go of the file until it grows.
    pub(super) fn close(&mut self) {
        self.content = None;
        self.block = None;
    }

    /// Reads at most one block and cuts events from it.
    pub(super) fn turn(
        &mut self,
        settings: &Settings,
        pool: &BlockPool,
        filling: &mut Filling,
    ) -> io::Result<Turn> {
        let mut wanted = BLOCK_BYTES;
        let mut is_read = false;
        loop {
            let moved = self.cut(settings, Flush::Nothing, filling);
            if filling.is_full() {
                return Ok(Turn::BatchFull);
            }
            if is_read && moved {
                return Ok(Turn::More);
            }
            if is_read {
                // Not one event in a whole block: the event is larger.
                wanted = wanted.saturating_mul(4);
            }
            let at_end = match self.read(wanted, pool)? {
                Read::Replaced => return Ok(Turn::Replaced(self.replaced())),
                Read::AtEnd => true,
                Read::Block => false,
            };
            self.skip_hole(settings, filling);
            is_read = true;
            if at_end {
                self.cut(settings, Flush::Nothing, filling);
                let is_complete = self.content.as_ref().is_some_and(Content::is_complete);
                if is_complete {
                    self.flush = Flush::Everything;
                }
                if self.flush > Flush::Nothing && !filling.is_full() {
                    self.cut(settings, self.flush, filling);
                }
                if filling.is_full() {
                    return Ok(Turn::BatchFull);
                }
                self.flushed = self.flushed.max(self.flush);
                self.flush = Flush::Nothing;
                if is_complete && !self.finished {
                    self.finished = true;
                    filling.touch(self.id);
                }
                self.has_partial = self.block.take().is_some_and(|block| block.end() > self.offset);
                return Ok(Turn::CaughtUp);
            }
        }
    }

    /// Whether the content is still the one that was delivered.
    pub(super) fn is_replaced(&mut self, pool: &BlockPool) -> io::Result<bool> {
        let is_replaced = matches!(self.read(1, pool)?, Read::Replaced);
        self.block = None;
        Ok(is_replaced)
    }

    /// Starts over and returns what was delivered of the former content.
    pub(super) fn replaced(&mut self) -> Position {
        let position = self.position(0);
        self.start_over();
        position
    }

    /// Whether another file may be a copy of this one: all of it that can be compared is equal.
    pub(super) fn resembles(&mut self, other: &mut Content, other_size: u64) -> io::Result<bool> {
        let compared = if other.is_compressed() { u64::MAX } else { other_size.min(self.stamp.size) };
        let start_length = usize::try_from(compared).unwrap_or(BEGINNING_BYTES).min(BEGINNING_BYTES);
        let their_start = other.read_exactly(0, start_length)?;
        if self.beginning.len() < BEGINNING_BYTES {
            self.beginning = self.open()?.read_exactly(0, BEGINNING_BYTES)?;
        }
        if self.stamp.size == 0 || their_start.is_empty() || !self.beginning.starts_with(&their_start) {
            return Ok(false);
        }
        let head_length = usize::try_from(compared).unwrap_or(HEAD_BYTES_MAX).min(HEAD_BYTES_MAX);
        let mine = self.open()?;
        let their_head = other.read_exactly(0, head_length)?;
        if mine.read_exactly(0, their_head.len())? != their_head {
            return Ok(false);
        }
        if other.is_compressed() || mine.is_compressed() {
            return Ok(true);
        }
        let from = compared.saturating_sub(WINDOW_BYTES_MAX as u64);
        let length = usize::try_from(compared - from).unwrap_or(WINDOW_BYTES_MAX);
        Ok(other.read_exactly(from, length)? == mine.read_exactly(from, length)?)
    }

    /// The content, opened again if the file was closed.
    fn open(&mut self) -> io::Result<&mut Content> {
        match &mut self.content {
            Some(content) => Ok(content),
            closed => {
                let (content, metadata) = Content::open(&self.path)?;
                if FileId::of(&metadata) != self.id {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its name"));
                }
                Ok(closed.insert(content))
            }
        }
    }

    fn read(&mut self, wanted: usize, pool: &BlockPool) -> io::Result<Read> {
        self.open()?;
        let Some(content) = &mut self.content else { return Ok(Read::AtEnd) };
        let window = self.trace.window();
        let base = self.offset - window.len() as u64;
        // One more than there is, so that a short read tells the end.
        let there = match content {
            Content::Plain(_) => {
                usize::try_from(self.stamp.size.saturating_sub(self.offset)).unwrap_or(wanted)
            }
            Content::Gzip(_) => wanted,
        };
        let wanted = wanted.min(there.max(255) + 1);
        let mut block = pool.take(window.len() + wanted);
        content.read_at(base, &mut block)?;
        let at_end = block.len() < block.capacity();
        let is_same_head = base == 0
            || content.is_compressed()
            || content.read_exactly(0, self.trace.head().len())? == self.trace.head();
        if !is_same_head || !block.starts_with(self.trace.window()) {
            return Ok(Read::Replaced);
        }
        self.block = Some(Block { base, data: pool.share(block) });
        Ok(if at_end { Read::AtEnd } else { Read::Block })
    }

    /// Cuts events from the block; whether the offset moved.
    fn cut(&mut self, settings: &Settings, flush: Flush, filling: &mut Filling) -> bool {
        let Some(block) = &self.block else { return false };
        let start = usize::try_from(self.offset - block.base).unwrap_or(usize::MAX);
        let mut at = start;
        while !filling.is_full() {
            let data = block.data.get(at..).unwrap_or_default();
            let Some(frame) = settings.framing.next(data, self.mid_line, flush) else { break };
            if let Some(body) = frame.body {
                if !filling.has_room_for(body.len()) {
                    break;
                }
                let offset = block.base + (at + body.start) as u64;
                let body = block.data.slice(at + body.start..at + body.end);
                let body = if settings.encoding.is_some() { decode(settings, &body, offset) } else { body };
                let headers = match (settings.byte_offset_header, frame.continued) {
                    (false, false) => self.headers.clone(),
                    (with_offset, continued) => {
                        special_headers(&self.headers, with_offset.then_some(offset), continued)
                    }
                };
                filling.push(Event { headers, body });
            }
            at += frame.consumed;
            filling.cut_lines += u64::from(frame.mid_line && !self.mid_line && flush == Flush::Nothing);
            self.mid_line = frame.mid_line;
        }
        self.move_to(at, filling);
        at > start
    }

    /// Moves the offset to a place in the block.
    fn move_to(&mut self, at: usize, filling: &mut Filling) {
        let Some(block) = &self.block else { return };
        let offset = block.base + at as u64;
        if offset > self.offset {
            self.trace.advance(block.base, block.data.get(..at).unwrap_or_default());
            self.offset = offset;
            filling.touch(self.id);
        }
        if at >= block.data.len() {
            self.block = None;
        }
    }

    fn skip_hole(&mut self, settings: &Settings, filling: &mut Filling) {
        if !self.skip_nuls || settings.framing.line_end != LineEnd::Byte {
            return;
        }
        let Some(block) = &self.block else { return };
        let start = usize::try_from(self.offset - block.base).unwrap_or(usize::MAX);
        let data = block.data.get(start..).unwrap_or_default();
        let nuls = data.iter().position(|byte| *byte != 0);
        self.skip_nuls = nuls.is_none();
        self.move_to(start + nuls.unwrap_or(data.len()), filling);
    }
}

impl Block {
    fn end(&self) -> u64 {
        self.base + self.data.len() as u64
    }
}

enum Read {
    Block,
    AtEnd,
    Replaced,
}

fn decode(settings: &Settings, body: &[u8], offset: u64) -> Bytes {
    let Some(encoding) = settings.encoding else { return Bytes::copy_from_slice(body) };
    let text = if offset == 0 {
        encoding.decode_with_bom_removal(body).0
    } else {
        encoding.decode_without_bom_handling(body).0
    };
    text.into_owned().into()
}

fn special_headers(headers: &Headers, offset: Option<u64>, continued: bool) -> Headers {
    let mut headers = headers.clone();
    if let Some(offset) = offset {
        headers.set(ByteString::from_static("byteoffset"), offset.to_string().into());
    }
    if continued {
        headers.set(ByteString::from_static("continued"), ByteString::from_static("true"));
    }
    headers
}
