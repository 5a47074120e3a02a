//! Character sets by name, for components that turn bytes into text and back.
//!
//! Text inside the agent is UTF-8. Names are those of the WHATWG encoding standard (`iso-8859-15`,
//! `shift_jis`, `windows-1252`, …) and the Java names Flume users write. Bytes that mean nothing become U+FFFD,
//! characters that a set lacks become `?`, as in Java.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::Encoding;
use millrace_config::{Diagnostic, Diagnostics, Section};

/// A character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// UTF-8, and ASCII as a part of it. Bodies pass as they are, valid or not.
    Utf8,
    /// The first 256 characters of Unicode. Browsers read the name as windows-1252; Java and syslog do not.
    Latin1,
    /// Two bytes a unit. With `None` a mark at the start says in which order; without one the high byte is first.
    Utf16(Option<ByteOrder>),
    /// Four bytes a character; as UTF-16.
    Utf32(Option<ByteOrder>),
    /// Any other.
    Other(&'static Encoding),
}

/// Which byte of a unit comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// The high one.
    Big,
    /// The low one.
    Little,
}

impl Charset {
    /// The set of this name, in any case; `_` and `-` are the same.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let plain = name.trim().to_ascii_lowercase().replace('_', "-");
        Some(match plain.as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" => Self::Utf8,
            "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => Self::Latin1,
            "utf-16" | "utf16" => Self::Utf16(None),
            "utf-16be" => Self::Utf16(Some(ByteOrder::Big)),
            "utf-16le" => Self::Utf16(Some(ByteOrder::Little)),
            "utf-32" | "utf32" => Self::Utf32(None),
            "utf-32be" => Self::Utf32(Some(ByteOrder::Big)),
            "utf-32le" => Self::Utf32(Some(ByteOrder::Little)),
            _ => Self::Other(
                Encoding::for_label(name.as_bytes()).or_else(|| Encoding::for_label(plain.as_bytes()))?,
            ),
        })
    }

    /// The set named by an option; an unknown name is a diagnostic.
    pub(crate) fn option(section: &Section, option: &str) -> Result<Self, Diagnostics> {
        let name = section.text(option);
        Self::named(name).ok_or_else(|| {
            let reason = format!("`{name}` is not a known character set");
            Diagnostic::error("components::unknown-charset", section.span_of(option), reason)
                .help("known are the names of the WHATWG encoding standard, such as \"utf-8\", \"utf-16\", \"iso-8859-1\", \"windows-1252\", \"shift_jis\"")
                .into()
        })
    }

    /// Bytes as text. Borrows where the bytes are already UTF-8.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Latin1 => encoding_rs::mem::decode_latin1(bytes),
            Self::Utf16(order) => Cow::Owned(decode_utf16(bytes, order)),
            Self::Utf32(order) => Cow::Owned(decode_utf32(bytes, order)),
            Self::Other(encoding) => encoding.decode_without_bom_handling(bytes).0,
        }
    }

    /// Text as bytes. Without an order of its own UTF-16 gets a mark and the high byte first, UTF-32 only the
    /// latter: what Java writes.
    pub(crate) fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Self::Utf8 => Cow::Borrowed(text.as_bytes()),
            Self::Latin1 => text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect(),
            Self::Utf16(order) => {
                let mark = order.is_none().then_some(0xfeff);
                let units = mark.into_iter().chain(text.encode_utf16());
                match order {
                    Some(ByteOrder::Little) => units.flat_map(u16::to_le_bytes).collect(),
                    _ => units.flat_map(u16::to_be_bytes).collect(),
                }
            }
            Self::Utf32(Some(ByteOrder::Little)) => {
                text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect()
            }
            Self::Utf32(_) => text.chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect(),
            Self::Other(encoding) => encode_other(encoding, text),
        }
    }

    /// A body in this set as one in UTF-8: the same bytes where they are that already.
    pub(crate) fn to_utf8(self, body: Bytes) -> Bytes {
        match self {
            Self::Utf8 => body,
            _ => match self.decode(&body) {
                Cow::Borrowed(_) => body,
                Cow::Owned(text) => text.into(),
            },
        }
    }
}

fn decode_utf16(bytes: &[u8], order: Option<ByteOrder>) -> String {
    let (little, bytes) = match (order, bytes) {
        (None, [0xff, 0xfe, rest @ ..]) => (true, rest),
        (None, [0xfe, 0xff, rest @ ..]) => (false, rest),
        _ => (order == Some(ByteOrder::Little), bytes),
    };
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units =
        pairs.iter().map(|pair| if little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) });
    let letters = char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    letters.chain((!odd.is_empty()).then_some(char::REPLACEMENT_CHARACTER)).collect()
}

fn decode_utf32(bytes: &[u8], order: Option<ByteOrder>) -> String {
    let (little, bytes) = match (order, bytes) {
        (None, [0xff, 0xfe, 0, 0, rest @ ..]) => (true, rest),
        (None, [0, 0, 0xfe, 0xff, rest @ ..]) => (false, rest),
        _ => (order == Some(ByteOrder::Little), bytes),
    };
    let (quads, odd) = bytes.as_chunks::<4>();
    let units =
        quads.iter().map(|quad| if little { u32::from_le_bytes(*quad) } else { u32::from_be_bytes(*quad) });
    let letters = units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    letters.chain((!odd.is_empty()).then_some(char::REPLACEMENT_CHARACTER)).collect()
}

/// The standard writes `&#1234;` for characters a set lacks; logs want one `?`.
fn encode_other<'a>(encoding: &'static Encoding, text: &'a str) -> Cow<'a, [u8]> {
    let (bytes, _, lossy) = encoding.encode(text);
    if !lossy {
        return bytes;
    }
    let mut letter = [0; 4];
    text.chars()
        .flat_map(|next| {
            let (bytes, _, lossy) = encoding.encode(next.encode_utf8(&mut letter));
            if lossy { vec![b'?'] } else { bytes.into_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Charset;

    fn charset(name: &str) -> Charset {
        Charset::named(name).unwrap()
    }

    #[test]
    fn names_are_found_in_any_spelling_and_nonsense_is_not() {
        assert_eq!(charset("UTF8"), Charset::Utf8);
        assert_eq!(charset("ISO_8859_1"), Charset::Latin1);
        assert_eq!(charset("Shift_JIS"), Charset::Other(encoding_rs::SHIFT_JIS));
        assert_eq!(Charset::named("utf-99"), None);
        assert_eq!(Charset::named(""), None);
    }

    #[test]
    fn text_comes_back_from_every_set_that_holds_it() {
        for name in ["utf-8", "utf-16", "utf-16be", "utf-16le", "utf-32", "utf-32be", "utf-32le", "gb18030"] {
            let set = charset(name);
            assert_eq!(set.decode(&set.encode("aé€😀\n")), "aé€😀\n", "{name}");
        }
        for name in ["latin1", "windows-1252", "iso-8859-15"] {
            let set = charset(name);
            assert_eq!(set.decode(&set.encode("grün\u{a7}")), "grün\u{a7}", "{name}");
        }
    }

    #[test]
    fn the_bytes_are_those_java_writes() {
        assert_eq!(&*charset("utf-16").encode("ä"), b"\xfe\xff\x00\xe4");
        assert_eq!(&*charset("utf-32").encode("ä"), b"\0\0\x00\xe4");
        assert_eq!(&*charset("latin1").encode("ä\u{85}€"), b"\xe4\x85?");
        assert_eq!(&*charset("iso-8859-15").encode("€日x"), b"\xa4?x");
    }

    #[test]
    fn what_means_nothing_is_replaced_and_a_mark_says_the_order() {
        assert_eq!(charset("utf-16").decode(b"\xff\xfea\0b"), "a\u{fffd}");
        assert_eq!(charset("utf-16").decode(b"\0a\xd8\0\0b"), "a\u{fffd}b");
        assert_eq!(charset("utf-32").decode(b"\0\0\0a\x7f\xff\xff\xff\0"), "a\u{fffd}\u{fffd}");
        assert_eq!(charset("utf-8").decode(b"a\xffb"), "a\u{fffd}b");
    }
}
