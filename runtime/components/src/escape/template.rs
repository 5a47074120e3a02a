//! The parsed form of a text with escapes.

use super::{host::HostName, letter::Letter};

/// What a template makes, which decides what header values may do in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A path: header values stay within the part they are written in.
    Path,
    /// An address: as a path, and percent-encoded.
    Url,
    /// Text on one line.
    Text,
}

/// A text with escapes, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(super) target: Target,
    /// What stands between slashes; for [`Target::Text`] there is one part, slashes and all.
    pub(super) parts: Vec<Part>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) pieces: Vec<Piece>,
}

/// A piece of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Header(String),
    Host(HostName),
    Time(Letter),
}

impl Part {
    pub(super) fn has_header(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Header(_)))
    }

    fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Literal(_)))
    }

    fn reads(&self, text: &str) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Literal(literal)] if literal == text)
    }

    fn push_literal(&mut self, character: char) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(literal)) => literal.push(character),
            _ => self.pieces.push(Piece::Literal(character.into())),
        }
    }
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// Every mistake in it, as a sentence.
    pub fn parse(text: &str, target: Target) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut parts = vec![Part::default()];
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
            let Some(part) = parts.last_mut() else { break };
            match character {
                '/' if target != Target::Text => parts.push(Part::default()),
                '%' => match escape(rest) {
                    Ok((piece, length)) => {
                        match piece {
                            Some(piece) => part.pieces.push(piece),
                            None => part.push_literal('%'),
                        }
                        rest = rest.get(length..).unwrap_or_default();
                    }
                    Err(mistake) => mistakes.push(mistake),
                },
                character => part.push_literal(character),
            }
        }
        let template = Self { target, parts };
        mistakes.extend(template.misplaced());
        if mistakes.is_empty() { Ok(template) } else { Err(mistakes) }
    }

    /// A template that shows one text, whatever is in it.
    pub fn literal(text: &str) -> Self {
        let part = Part { pieces: vec![Piece::Literal(text.to_owned())] };
        Self { target: Target::Text, parts: vec![part] }
    }

    /// The template with another one appended, as if they had been written as one text.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        let mut parts = other.parts.into_iter();
        if let (Some(last), Some(first)) = (self.parts.last_mut(), parts.next()) {
            last.pieces.extend(first.pieces);
        }
        self.parts.extend(parts);
        self
    }

    /// Whether it shows the same for every event.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(Part::is_literal)
    }

    /// Whether it has several parts.
    pub fn has_separator(&self) -> bool {
        self.parts.len() > 1
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.parts.iter().flat_map(|part| &part.pieces)
    }

    /// What would let a header value decide more than its own part.
    fn misplaced(&self) -> Option<String> {
        match self.target {
            Target::Text => None,
            Target::Path => self
                .parts
                .iter()
                .skip_while(|part| part.is_literal())
                .any(|part| part.reads(".."))
                .then(|| "`..` after an escape could leave the folder that stands before it".to_owned()),
            // `https:`, nothing, `host:port`.
            Target::Url => self
                .parts
                .iter()
                .take(3)
                .any(|part| !part.is_literal())
                .then(|| "the scheme and the host of an address cannot depend on an event".to_owned()),
        }
    }
}

/// Reads what follows a `%`: the piece (none for `%%`) and how many bytes it takes.
fn escape(rest: &str) -> Result<(Option<Piece>, usize), String> {
    match rest.chars().next() {
        Some('{') => {
            let name = enclosed(rest, '}')?;
            let is_allowed = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
            if name.is_empty() || !name.chars().all(is_allowed) {
                return Err(format!(
                    "%{{{name}}} is no header name: letters, digits, `_`, `.` and `-` are allowed"
                ));
            }
            Ok((Some(Piece::Header(name.to_owned())), name.len() + 2))
        }
        Some('[') => {
            let name = enclosed(rest, ']')?;
            let host = HostName::of(name)
                .ok_or_else(|| format!("%[{name}] is unknown: there are %[localhost], %[IP] and %[FQDN]"))?;
            Ok((Some(Piece::Host(host)), name.len() + 2))
        }
        Some('%') => Ok((None, 1)),
        Some(letter) => match Letter::of(letter) {
            Some(meaning) => Ok((Some(Piece::Time(meaning)), letter.len_utf8())),
            None => Err(format!(
                "%{letter} is unknown: the letters are {}; a percent sign is written %%",
                Letter::all()
            )),
        },
        None => Err("a % at the end means nothing; a percent sign is written %%".to_owned()),
    }
}

fn enclosed(rest: &str, end: char) -> Result<&str, String> {
    let inner = rest.get(1..).unwrap_or_default();
    match inner.find(end) {
        Some(length) => Ok(inner.get(..length).unwrap_or_default()),
        None => Err(format!("%{rest} is never closed by `{end}`")),
    }
}
