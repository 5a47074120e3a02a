//! Where the last whole entry of a file ends, for each form a file can have.
//!
//! Needed after a power failure only, when nobody knows how much of the last batch reached the disk. The search
//! starts at a place known to be a border.

use std::io::{self, BufRead, BufReader, Read};

use super::{packer::Compression, parquet, sequence};
use crate::serializers::Framing;

/// The form of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFraming {
    Lines,
    Avro,
    Gzip,
    Zstd,
    Bzip2,
    Blocks,
    Sequence,
    Parquet,
    None,
}

const NAMES: &[(FileFraming, &str)] = &[
    (FileFraming::Lines, "lines"),
    (FileFraming::Avro, "avro"),
    (FileFraming::Gzip, "gzip"),
    (FileFraming::Zstd, "zstd"),
    (FileFraming::Bzip2, "bzip2"),
    (FileFraming::Blocks, "blocks"),
    (FileFraming::Sequence, "sequence"),
    (FileFraming::Parquet, "parquet"),
    (FileFraming::None, "none"),
];

impl FileFraming {
    pub fn new(entries: Framing, compression: Compression) -> Self {
        match (compression, entries) {
            (Compression::Gzip(_), _) => Self::Gzip,
            (Compression::Zstd(_), _) => Self::Zstd,
            (Compression::Bzip2, _) => Self::Bzip2,
            (Compression::Snappy | Compression::Lz4, _) => Self::Blocks,
            (Compression::None, Framing::Sequence) => Self::Sequence,
            (Compression::None, Framing::Parquet) => Self::Parquet,
            (Compression::None, Framing::Lines) => Self::Lines,
            (Compression::None, Framing::Avro) => Self::Avro,
            (Compression::None, Framing::None) => Self::None,
        }
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(framing, _)| *framing == self).map_or("none", |(_, name)| name)
    }

    pub fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(framing, _)| *framing)
    }

    /// Bytes from the start of the file that are whole; at least `border`. `open` reads the file from a place on.
    pub fn whole_bytes(
        self,
        open: impl Fn(u64) -> io::Result<Box<dyn Read>>,
        border: u64,
        length: u64,
    ) -> io::Result<u64> {
        let reader = BufReader::with_capacity(1 << 16, open(border)?);
        let reader = Counted { inner: reader.take(length.saturating_sub(border)), count: 0 };
        let whole = match self {
            Self::Lines => lines(reader)?,
            Self::Gzip => frames(reader, |reader| {
                io::copy(&mut flate2::bufread::GzDecoder::new(reader), &mut io::sink())
            }),
            Self::Zstd => frames(reader, |reader| {
                let mut frame = zstd::stream::read::Decoder::with_buffer(reader)?.single_frame();
                io::copy(&mut frame, &mut io::sink())
            }),
            Self::Bzip2 => frames(reader, |reader| {
                io::copy(&mut bzip2::bufread::BzDecoder::new(reader), &mut io::sink())
            }),
            Self::Blocks => frames(reader, block),
            Self::Sequence => return sequence::whole_bytes(open, border, length),
            Self::Avro => avro(reader, open, border)?,
            Self::Parquet => parquet::whole_bytes(reader, border),
            Self::None => length - border,
        };
        Ok(border + whole)
    }
}

/// Counts what is consumed, not what is read ahead.
pub struct Counted<R> {
    pub inner: R,
    pub count: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(output)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.count += count as u64;
        self.inner.consume(count);
    }
}

fn lines<R: BufRead>(mut reader: Counted<R>) -> io::Result<u64> {
    let mut whole = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(whole);
        }
        let (length, newline) = (chunk.len(), memchr::memrchr(b'\n', chunk));
        if let Some(at) = newline {
            whole = reader.count + at as u64 + 1;
        }
        reader.consume(length);
    }
}

/// Decodes one frame after the other until one is broken or the file ends.
fn frames<R: BufRead>(
    mut reader: Counted<R>,
    mut decode: impl FnMut(&mut Counted<R>) -> io::Result<u64>,
) -> u64 {
    let mut whole = 0;
    while reader.fill_buf().is_ok_and(|chunk| !chunk.is_empty()) && decode(&mut reader).is_ok() {
        whole = reader.count;
    }
    whole
}

/// A block of Hadoop's snappy or LZ4: two lengths and packed bytes.
fn block<R: BufRead>(reader: &mut Counted<R>) -> io::Result<u64> {
    let mut lengths = [0; 8];
    reader.read_exact(&mut lengths)?;
    let packed = u64::from(u32::from_be_bytes([lengths[4], lengths[5], lengths[6], lengths[7]]));
    skip_bytes(reader, packed)
}

/// Skips this many bytes, all of them.
pub fn skip_bytes(reader: &mut impl BufRead, length: u64) -> io::Result<u64> {
    let skipped = io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    if skipped == length { Ok(skipped) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

const AVRO_MAGIC: &[u8] = b"Obj\x01";
const AVRO_SYNC_BYTES: usize = 16;

fn avro<R: BufRead>(
    mut reader: Counted<R>,
    open: impl Fn(u64) -> io::Result<Box<dyn Read>>,
    border: u64,
) -> io::Result<u64> {
    let mut sync = [0; AVRO_SYNC_BYTES];
    let mut whole = 0;
    if border == 0 {
        match avro_header(&mut reader) {
            Ok(marker) => sync = marker,
            Err(_) => return Ok(0),
        }
        // A header alone is no file worth keeping: the first block has to follow.
    } else {
        // Every block, and the header, ends with the marker.
        open(border.saturating_sub(AVRO_SYNC_BYTES as u64))?.read_exact(&mut sync)?;
    }
    while avro_block(&mut reader, sync).is_ok() {
        whole = reader.count;
    }
    Ok(whole)
}

fn avro_header(reader: &mut impl BufRead) -> io::Result<[u8; AVRO_SYNC_BYTES]> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    if magic != AVRO_MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    loop {
        let pairs = long(reader)?;
        if pairs <= 0 {
            break;
        }
        for _ in 0..pairs * 2 {
            skip(reader)?;
        }
    }
    let mut sync = [0; AVRO_SYNC_BYTES];
    reader.read_exact(&mut sync)?;
    Ok(sync)
}

fn avro_block(reader: &mut impl BufRead, sync: [u8; AVRO_SYNC_BYTES]) -> io::Result<()> {
    let _count = long(reader)?;
    skip(reader)?;
    let mut found = [0; AVRO_SYNC_BYTES];
    reader.read_exact(&mut found)?;
    if found == sync { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Skips a length and as many bytes.
fn skip(reader: &mut impl BufRead) -> io::Result<()> {
    let length = u64::try_from(long(reader)?).map_err(|_| io::ErrorKind::InvalidData)?;
    skip_bytes(reader, length).map(drop)
}

fn long(reader: &mut impl BufRead) -> io::Result<i64> {
    let mut number: u64 = 0;
    for shift in (0..63).step_by(7) {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        number |= u64::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            return i64::try_from(number >> 1).map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Seek, SeekFrom};

    use millrace_core::Event;

    use super::FileFraming;
    use crate::{
        bucket::{Compression, packer::Packer},
        serializers::{
            HadoopCodec, ParquetBody, ParquetCodec, ParquetSpec, Room, Rows, SequencePacking, SequenceValue,
            SerializerSpec,
        },
    };

    /// A file of three appends, and where each ends.
    fn file(spec: SerializerSpec, compression: Compression) -> (Vec<u8>, Vec<u64>) {
        let (mut serializer, mut packer) = (spec.open(), Packer::new(compression).unwrap());
        let (mut file, mut ends) = (Vec::new(), Vec::new());
        for part in 0..3 {
            let bodies = (0..50).map(|number| Event::new(format!("event {part} {number} ").repeat(number)));
            let events: Vec<Event> = bodies.collect();
            let mut plain = Vec::new();
            serializer.set_length(file.len() as u64);
            if part == 0 {
                serializer.begin(&mut plain);
            }
            let all = 0..events.len();
            let runs = std::slice::from_ref(&all);
            let rows = Rows::new(&events, runs);
            assert_eq!(serializer.append(rows, Room::UNLIMITED, &mut plain).unwrap(), 50);
            file.extend_from_slice(packer.pack(&plain).unwrap());
            ends.push(file.len() as u64);
        }
        (file, ends)
    }

    #[test]
    fn wherever_a_file_is_torn_what_is_whole_is_found() {
        let sequence = |packing| SerializerSpec::Sequence { value: SequenceValue::Bytes, packing };
        let text = SerializerSpec::Text { append_newline: true };
        let parquet = SerializerSpec::Parquet(ParquetSpec {
            codec: ParquetCodec::Zstd,
            body: ParquetBody::Binary,
            row_group_bytes_max: 8 << 10,
            row_groups_max: 100,
        });
        let cases = [
            (parquet, Compression::None),
            (sequence(SequencePacking::None), Compression::None),
            (sequence(SequencePacking::Record(HadoopCodec::Gzip)), Compression::None),
            (sequence(SequencePacking::Block(HadoopCodec::Snappy)), Compression::None),
            (text, Compression::Bzip2),
            (text, Compression::Snappy),
            (text, Compression::Lz4),
        ];
        for (spec, compression) in cases {
            let (bytes, ends) = file(spec, compression);
            let framing = FileFraming::new(spec.framing(), compression);
            assert_eq!(FileFraming::of(framing.name()), Some(framing));
            for border in [0, ends[0], ends[1]] {
                for torn in (0..bytes.len()).step_by(61).chain([bytes.len()]) {
                    let (torn, length) = (&bytes[..torn], torn as u64);
                    if length < border {
                        continue;
                    }
                    let open = |offset| -> std::io::Result<Box<dyn Read>> {
                        let mut reader = Cursor::new(torn.to_vec());
                        reader.seek(SeekFrom::Start(offset))?;
                        Ok(Box::new(reader))
                    };
                    let whole = framing.whole_bytes(open, border, length).unwrap();
                    let least =
                        ends.iter().copied().filter(|end| *end <= length).max().unwrap_or(0).max(border);
                    assert!(
                        whole >= least && whole <= length,
                        "{spec:?} {compression:?} {border} {length}: {whole}"
                    );
                    // Only entries are borders besides the ends of appends.
                    if matches!(framing, FileFraming::Parquet | FileFraming::Bzip2) {
                        assert_eq!(whole, least);
                    }
                }
            }
        }
    }
}
