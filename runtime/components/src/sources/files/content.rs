//! The content of an open file by offset: plain bytes, or the decompressed bytes of a gzip file.
//!
//! Offsets into a gzip file count decompressed bytes. Decompression only goes forward; what the reader may ask
//! for again (the window and the unfinished line) is kept, and asking for less than that starts over.
#![expect(clippy::disallowed_methods, reason = "the files of the sources that read files")]

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use flate2::bufread::MultiGzDecoder;
use rustix::{buffer::spare_capacity, fs::OFlags};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open file.
pub(in crate::sources) enum Content {
    /// As it is on disk.
    Plain(File),
    /// Decompressed.
    Gzip(Box<Gzip>),
}

impl Content {
    /// Opens a file. A name that ends in `.gz` is decompressed if its content says so too.
    pub(in crate::sources) fn open(path: &Path) -> io::Result<(Self, Metadata)> {
        Self::open_with(path, true)
    }

    /// Opens a file whose bytes are what they are, whatever its name.
    pub(in crate::sources) fn open_as_is(path: &Path) -> io::Result<(Self, Metadata)> {
        Self::open_with(path, false)
    }

    fn open_with(path: &Path, decompress: bool) -> io::Result<(Self, Metadata)> {
        // A FIFO without a writer must not hang the source; for regular files the flag means nothing.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut magic = [0; 2];
        let is_gzip =
            decompress && has_gzip_name(path) && file.read_at(&mut magic, 0)? == 2 && magic == GZIP_MAGIC;
        let content = if is_gzip { Self::Gzip(Box::new(Gzip::new(file))) } else { Self::Plain(file) };
        Ok((content, metadata))
    }

    /// The state of the file on disk.
    pub(in crate::sources) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Plain(file) => file.metadata(),
            Self::Gzip(gzip) => gzip.file.metadata(),
        }
    }

    /// Whether offsets count decompressed bytes.
    pub(in crate::sources) fn is_compressed(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Reads into the free capacity of `into` until that is full or the content ends.
    pub(in crate::sources) fn read_at(&mut self, mut offset: u64, into: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Plain(file) => {
                while into.len() < into.capacity() {
                    match rustix::io::pread(&*file, spare_capacity(into), offset) {
                        Ok(0) => break,
                        Ok(read) => offset += read as u64,
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(())
            }
            Self::Gzip(gzip) => gzip.read_at(offset, into),
        }
    }

    /// `length` bytes from `offset` on, fewer where the content ends before.
    pub(in crate::sources) fn read_exactly(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        if length > 0 {
            self.read_at(offset, &mut bytes)?;
            bytes.truncate(length);
        }
        Ok(bytes)
    }

    /// The file has changed on disk: what ended a decompression may be over.
    pub(in crate::sources) fn changed(&mut self) {
        if let Self::Gzip(gzip) = self
            && gzip.ended
        {
            gzip.restart();
        }
    }

    /// Whether nothing can follow: the compressed content was read up to its proper end.
    pub(in crate::sources) fn is_complete(&self) -> bool {
        matches!(self, Self::Gzip(gzip) if gzip.ended && gzip.is_complete)
    }

    /// Why decompression ended before the content did, told once. A file that merely ends too early is not
    /// counted: it may still be growing.
    pub(in crate::sources) fn take_damage(&mut self) -> Option<io::Error> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(gzip) => gzip.damage.take(),
        }
    }
}

/// Whether the name says that the file is compressed.
pub(in crate::sources) fn has_gzip_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// Reads a file without moving the cursor that other readers of the same file share.
struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A gzip file of one or more members.
pub(in crate::sources) struct Gzip {
    file: Arc<File>,
    decoder: MultiGzDecoder<BufReader<Cursor>>,
    /// Decompressed bytes from `kept_at` up to where the decoder stands.
    kept: Vec<u8>,
    kept_at: u64,
    ended: bool,
    is_complete: bool,
    damage: Option<io::Error>,
}

impl Gzip {
    fn new(file: File) -> Self {
        let file = Arc::new(file);
        let decoder = Self::decoder(&file);
        Self { file, decoder, kept: Vec::new(), kept_at: 0, ended: false, is_complete: false, damage: None }
    }

    fn decoder(file: &Arc<File>) -> MultiGzDecoder<BufReader<Cursor>> {
        MultiGzDecoder::new(BufReader::with_capacity(64 << 10, Cursor { file: Arc::clone(file), at: 0 }))
    }

    fn restart(&mut self) {
        self.decoder = Self::decoder(&self.file);
        self.kept.clear();
        self.kept_at = 0;
        self.ended = false;
        self.is_complete = false;
    }

    fn read_at(&mut self, offset: u64, into: &mut Vec<u8>) -> io::Result<()> {
        if offset < self.kept_at {
            self.restart();
        }
        let wanted = into.capacity() - into.len();
        loop {
            let skip = usize::try_from(offset - self.kept_at).unwrap_or(usize::MAX).min(self.kept.len());
            if skip > 0 {
                self.kept.drain(..skip);
                self.kept_at += skip as u64;
            }
            if self.ended || (self.kept_at == offset && self.kept.len() >= wanted) {
                break;
            }
            self.decompress()?;
        }
        if self.kept_at == offset {
            into.extend_from_slice(self.kept.get(..wanted).unwrap_or(&self.kept));
        }
        Ok(())
    }

    /// Adds one stretch to what is kept.
    fn decompress(&mut self) -> io::Result<()> {
        let before = self.kept.len();
        self.kept.resize(before + (64 << 10), 0);
        let read = self.decoder.read(self.kept.get_mut(before..).unwrap_or_default());
        self.kept.truncate(before + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => {
                self.ended = true;
                self.is_complete = true;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended = true,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
            {
                self.ended = true;
                self.damage = Some(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
