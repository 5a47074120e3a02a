//! A lenient JSON reader that is asked for one part after the other.

use bytestring::ByteString;

/// How deep skipped values may be nested.
const DEPTH_MAX: usize = 255;

/// Why a request cannot be read.
#[derive(Debug, PartialEq)]
pub(super) enum Mistake {
    /// Not JSON, or not of the shape that was asked for.
    Syntax(String),
    /// JSON, but without the events that should be there.
    Nothing(String),
}

/// Where the reader stands in a list or an object.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Empty,
    Filled,
}

pub(super) struct Reader<'a> {
    text: &'a ByteString,
    at: usize,
    open: Vec<Scope>,
}

impl<'a> Reader<'a> {
    /// A mark at the start is skipped.
    pub(super) fn new(text: &'a ByteString) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at, open: Vec::new() }
    }

    /// A mistake at the place reached.
    pub(super) fn mistake(&self, reason: &str) -> Mistake {
        Mistake::Syntax(format!("{reason} at byte {}", self.at))
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments; returns what comes then without taking it.
    fn peek(&mut self) -> Result<Option<u8>, Mistake> {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => self.at += 1,
                [b'#', ..] | [b'/', b'/', ..] => {
                    self.at += memchr::memchr2(b'\n', b'\r', self.rest()).unwrap_or(self.rest().len());
                }
                [b'/', b'*', behind @ ..] => match memchr::memmem::find(behind, b"*/") {
                    Some(end) => self.at += end + 4,
                    None => return Err(self.mistake("a comment is not closed")),
                },
                rest => return Ok(rest.first().copied()),
            }
        }
    }

    fn take_if(&mut self, wanted: u8) -> Result<bool, Mistake> {
        let found = self.peek()? == Some(wanted);
        self.at += usize::from(found);
        Ok(found)
    }

    pub(super) fn is_at_end(&mut self) -> Result<bool, Mistake> {
        Ok(self.peek()?.is_none())
    }

    pub(super) fn expect_end(&mut self) -> Result<(), Mistake> {
        if self.is_at_end()? { Ok(()) } else { Err(self.mistake("there is more behind the list")) }
    }

    /// Enters a list or an object.
    pub(super) fn begin(&mut self, bracket: char, what: &str) -> Result<(), Mistake> {
        if !self.take_if(u8::try_from(bracket).unwrap_or_default())? {
            return Err(self.mistake(&format!("expected {what}")));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(self.mistake(&format!("nested deeper than {DEPTH_MAX}")));
        }
        self.open.push(Scope::Empty);
        Ok(())
    }

    /// Whether this is the first thing in its list or object; from now on it is not.
    fn enter(&mut self) -> bool {
        self.open.last_mut().is_some_and(|scope| std::mem::replace(scope, Scope::Filled) == Scope::Empty)
    }

    /// Whether the list has a further element; leaves the list if not.
    pub(super) fn next_element(&mut self) -> Result<bool, Mistake> {
        let first = self.open.last() == Some(&Scope::Empty);
        match self.peek()? {
            // Behind a comma there may be a hole, even at the end: that is an element.
            Some(b']') => {
                self.at += 1;
                self.open.pop();
                Ok(false)
            }
            Some(_) if first => Ok(self.enter()),
            Some(b',' | b';') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(self.mistake("expected a comma or the end of the list")),
            None => Err(self.mistake("the list is not closed")),
        }
    }

    /// Whether there is nothing where an element should be, as in `[,]`.
    pub(super) fn is_hole(&mut self) -> Result<bool, Mistake> {
        Ok(matches!(self.peek()?, Some(b',' | b';' | b']')))
    }

    /// The name of the object's next member; None: the object has ended, and is left.
    pub(super) fn next_name(&mut self) -> Result<Option<ByteString>, Mistake> {
        let first = self.enter();
        match self.peek()? {
            Some(b'}') => {
                self.at += 1;
                self.open.pop();
                return Ok(None);
            }
            Some(b',' | b';') if !first => self.at += 1,
            Some(_) if first => {}
            Some(_) => return Err(self.mistake("expected a comma or the end of the object")),
            None => return Err(self.mistake("the object is not closed")),
        }
        let name = match self.peek()? {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            _ => self.bare("expected a name")?,
        };
        if !self.take_if(b':')? {
            if !self.take_if(b'=')? {
                return Err(self.mistake("expected a colon"));
            }
            self.at += usize::from(self.rest().first() == Some(&b'>'));
        }
        Ok(Some(name))
    }

    /// Takes a `null`, if it is one.
    pub(super) fn null(&mut self) -> Result<bool, Mistake> {
        self.peek()?;
        let word = self.word();
        let found = word.eq_ignore_ascii_case("null");
        if found {
            self.at += word.len();
        }
        Ok(found)
    }

    /// A text, or a number or boolean as it is written; None: `null`.
    pub(super) fn text(&mut self) -> Result<Option<ByteString>, Mistake> {
        match self.peek()? {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote).map(Some),
            Some(b'{' | b'[') => Err(self.mistake("expected a text")),
            _ if self.null()? => Ok(None),
            _ => {
                let word = self.bare("expected a value")?;
                let known = ["true", "false"].into_iter().find(|known| word.eq_ignore_ascii_case(known));
                Ok(Some(known.map_or(word, ByteString::from_static)))
            }
        }
    }

    /// Passes over a value of any kind. Nesting is kept in the list of what is open, not on the stack.
    pub(super) fn skip(&mut self) -> Result<(), Mistake> {
        let mut inside = Vec::new();
        loop {
            match self.peek()? {
                Some(b'[') => {
                    self.begin('[', "a list")?;
                    inside.push(b'[');
                }
                Some(b'{') => {
                    self.begin('{', "an object")?;
                    inside.push(b'{');
                }
                _ if inside.last() == Some(&b'[') && self.is_hole()? => {}
                _ => drop(self.text()?),
            }
            loop {
                let more = match inside.last() {
                    None => return Ok(()),
                    Some(b'[') => self.next_element()?,
                    Some(_) => self.next_name()?.is_some(),
                };
                if more {
                    break;
                }
                inside.pop();
            }
        }
    }

    /// The characters up to the next that has a meaning.
    fn word(&self) -> &'a str {
        let ends = |byte: &u8| {
            matches!(
                byte,
                b'/' | b'\\'
                    | b';'
                    | b'#'
                    | b'='
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b':'
                    | b','
                    | b' '
                    | b'\t'
                    | 0x0c
                    | b'\r'
                    | b'\n'
            )
        };
        let length = self.rest().iter().position(ends).unwrap_or(self.rest().len());
        self.text.get(self.at..self.at + length).unwrap_or_default()
    }

    fn bare(&mut self, expected: &str) -> Result<ByteString, Mistake> {
        let word = self.word();
        if word.is_empty() {
            return Err(self.mistake(expected));
        }
        self.at += word.len();
        Ok(self.text.slice_ref(word))
    }

    /// A text in quotes: a slice where it has no escapes.
    fn quoted(&mut self, quote: u8) -> Result<ByteString, Mistake> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(length) = memchr::memchr2(quote, b'\\', self.rest()) else {
                return Err(self.mistake("a text is not closed"));
            };
            let part = self.text.get(self.at..self.at + length).unwrap_or_default();
            self.at += length + 1;
            if self.text.as_bytes().get(self.at - 1) == Some(&quote) {
                if out.is_empty() {
                    return Ok(self.text.slice_ref(part));
                }
                out.push_str(part);
                return Ok(out.into());
            }
            out.push_str(part);
            self.escape(&mut out)?;
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Mistake> {
        let Some(letter) = self.rest().first().copied() else {
            return Err(self.mistake("an escape is not finished"));
        };
        self.at += 1;
        out.push(match letter {
            b'"' | b'\'' | b'\\' | b'/' | b'\n' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(out),
            _ => return Err(self.mistake("an escape is not known")),
        });
        Ok(())
    }

    /// `\uXXXX`, twice for characters above U+FFFF; half a character becomes U+FFFD.
    fn unicode(&mut self, out: &mut String) -> Result<(), Mistake> {
        let high = self.four_digits()?;
        let low = match (high, self.rest()) {
            (0xd800..=0xdbff, [b'\\', b'u', ..]) => {
                let before = self.at;
                self.at += 2;
                let low = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    self.at = before;
                }
                Some(low)
            }
            _ => None,
        };
        let units = std::iter::once(high).chain(low.filter(|low| (0xdc00..=0xdfff).contains(low)));
        out.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)));
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u16, Mistake> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let code =
            digits.iter().try_fold(0, |code: u32, digit| Some(code * 16 + char::from(*digit).to_digit(16)?));
        match code.filter(|_| digits.len() == 4).and_then(|code| u16::try_from(code).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.mistake("an escape needs four digits")),
        }
    }
}
