//! A stream in another character set as UTF-8, block by block.

use crate::{charset::ByteOrder, charset::Charset, sources::lines::LineCutter};

/// Decodes the bytes of one connection; a character may be split between two blocks.
pub(super) enum StreamDecoder {
    /// Every byte is a character.
    Latin1,
    /// With a state.
    Stateful(encoding_rs::Decoder),
}

impl StreamDecoder {
    /// None: the bytes are passed on as they are.
    pub(super) fn new(charset: Charset) -> Option<Self> {
        Some(match charset {
            Charset::Utf8 | Charset::Utf32(_) => return None,
            Charset::Latin1 => Self::Latin1,
            Charset::Utf16(None) => Self::Stateful(encoding_rs::UTF_16BE.new_decoder()),
            Charset::Utf16(Some(ByteOrder::Big)) => {
                Self::Stateful(encoding_rs::UTF_16BE.new_decoder_without_bom_handling())
            }
            Charset::Utf16(Some(ByteOrder::Little)) => {
                Self::Stateful(encoding_rs::UTF_16LE.new_decoder_without_bom_handling())
            }
            Charset::Other(encoding) => Self::Stateful(encoding.new_decoder_without_bom_handling()),
        })
    }

    /// Decodes a block into the lines; `last` also writes what is left of an unfinished character.
    pub(super) fn decode(&mut self, block: &[u8], last: bool, lines: &mut LineCutter) {
        match self {
            Self::Latin1 => lines.push(encoding_rs::mem::decode_latin1(block).as_bytes()),
            Self::Stateful(decoder) => {
                let mut text =
                    String::with_capacity(decoder.max_utf8_buffer_length(block.len()).unwrap_or(0));
                // The room is as large as the decoder asked for, so one call takes the whole block.
                let _ = decoder.decode_to_string(block, &mut text, last);
                lines.push(text.as_bytes());
            }
        }
    }
}
