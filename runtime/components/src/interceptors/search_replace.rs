//! Replaces what an expression finds in bodies.
//!
//! The expression runs over the bytes of a UTF-8 body as they are: bytes that are not UTF-8 stay untouched, and
//! a body without a match is passed on without a copy. Bodies in another character set are decoded for it.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Interceptor, InterceptorError, InterceptorFactory};
use regex::bytes::{Captures, Regex, Replacer};

use crate::charset::Charset;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("search-pattern", OptionKind::Regex, "Expression whose every match is replaced"),
    OptionSpec::with_default(
        "replace-string",
        OptionKind::Text,
        "",
        r"Replacement: `$1` and `${name}` stand for groups, `\$` and `\\` for themselves",
    ),
    OptionSpec::with_default("charset", OptionKind::Text, "UTF-8", "Character set of the bodies"),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "search-replace",
    summary: "Replaces every match of an expression in the body",
    options: OPTIONS,
    open: false,
    example: "search-replace search-pattern=#\"\\b\\d{16}\\b\"# replace-string=\"****\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let search = super::body_regex(section, "search-pattern")?;
    let replacement = Replacement::parse(section.text("replace-string"), &search).map_err(|reason| {
        Diagnostic::error("components::bad-replacement", section.span_of("replace-string"), reason)
            .help(r"`$1` or `${name}` stands for a group; write a dollar as `\$` and a backslash as `\\`")
    })?;
    let charset = Charset::option(section, "charset")?;
    Ok(Box::new(SearchReplaceInterceptor { search, replacement, charset }))
}

struct SearchReplaceInterceptor {
    search: Regex,
    replacement: Replacement,
    charset: Charset,
}

impl SearchReplaceInterceptor {
    /// The new body where there was a match.
    fn replaced(&self, body: &[u8]) -> Option<Bytes> {
        if self.charset == Charset::Utf8 {
            return match self.search.replace_all(body, &self.replacement) {
                Cow::Borrowed(_) => None,
                Cow::Owned(replaced) => Some(replaced.into()),
            };
        }
        let text = self.charset.decode(body);
        match self.search.replace_all(text.as_bytes(), &self.replacement) {
            Cow::Borrowed(_) => None,
            Cow::Owned(replaced) => {
                let text = String::from_utf8_lossy(&replaced);
                Some(self.charset.encode(&text).into_owned().into())
            }
        }
    }
}

#[async_trait]
impl Interceptor for SearchReplaceInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        for event in batch.events_mut() {
            if let Some(body) = self.replaced(&event.body) {
                event.body = body;
            }
        }
        Ok(batch)
    }
}

/// A replacement in Java's syntax.
#[derive(Debug, PartialEq)]
struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    Group(usize),
}

impl Replacement {
    /// Java's rules: a backslash takes the next character literally; `$` is followed by a group number (as many
    /// digits as still name a group of the expression) or by `{name}`.
    fn parse(text: &str, search: &Regex) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => literal.push(letters.next().ok_or("the replacement ends with a single backslash")?),
                '$' => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Group(group(&mut letters, search)?));
                }
                _ => literal.push(letter),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

/// Reads what follows a dollar.
fn group(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, search: &Regex) -> Result<usize, String> {
    if letters.next_if_eq(&'{').is_some() {
        let name: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
        let found = search.capture_names().position(|known| known == Some(name.as_str()));
        return found.ok_or_else(|| format!("the expression has no group named `{name}`"));
    }
    let Some(first) = letters.next_if(char::is_ascii_digit).and_then(|digit| digit.to_digit(10)) else {
        return Err("a dollar is not followed by a group".into());
    };
    let mut number = first as usize;
    if number >= search.captures_len() {
        let groups = search.captures_len() - 1;
        return Err(format!("`${number}` is not a group: the expression has {groups}"));
    }
    while let Some(longer) =
        letters.peek().and_then(|letter| letter.to_digit(10)).map(|digit| number * 10 + digit as usize)
        && longer < search.captures_len()
    {
        number = longer;
        letters.next();
    }
    Ok(number)
}

impl Replacer for &Replacement {
    fn replace_append(&mut self, captures: &Captures<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Group(number) => {
                    out.extend_from_slice(captures.get(*number).map_or(&[], |found| found.as_bytes()));
                }
            }
        }
    }

    /// A replacement without groups needs no groups to be found, which is several times faster.
    fn no_expansion<'r>(&'r mut self) -> Option<Cow<'r, [u8]>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed(&[])),
            [Part::Literal(text)] => Some(Cow::Borrowed(text.as_bytes())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::Event;

    use super::FACTORY;
    use crate::interceptors::testing::{bodies, build, event, run};

    async fn replaced(pattern: &str, replacement: &str, body: &'static [u8]) -> Vec<u8> {
        let kdl = format!("search-replace search-pattern=#\"{pattern}\"# replace-string=#\"{replacement}\"#");
        run(&FACTORY, &kdl, vec![Event::new(body)]).await[0].body.to_vec()
    }

    #[tokio::test]
    async fn the_replacement_follows_java() {
        for (pattern, replacement, body, expected) in [
            (r"\d+", "", "a1b22c", "abc"),
            (r"(\w+)@(\w+)", "$2 at $1", "joe@home x", "home at joe x"),
            (r"(\w)", "$1$1", "ab", "aabb"),
            ("a", r"\$1", "banana", "b$1n$1n$1"),
            ("a", r"\\", "ba", r"b\"),
            ("a", r"\n", "ba", "bn"),
            ("(a)", "$12", "a", "a2"),
            ("(?<word>b+)", "<${word}>", "abba", "a<bb>a"),
            ("(x)?b", "[$1]", "ab", "a[]"),
            ("b", "$0$0", "abc", "abbc"),
            ("", "-", "ab", "-a-b-"),
            ("x*", "-", "", "-"),
            ("^a", "b", "aaa", "baa"),
        ] {
            let out = replaced(pattern, replacement, body.as_bytes()).await;
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{pattern} -> {replacement}");
        }
    }

    #[tokio::test]
    async fn the_digits_of_a_group_end_where_the_groups_end() {
        let eleven = "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)";
        assert_eq!(replaced(eleven, "$11$12", b"abcdefghijk").await, b"ka2");
    }

    #[tokio::test]
    async fn bytes_that_are_not_utf8_stay_as_they_are() {
        assert_eq!(replaced("a", "b", b"\xffa\xfe\0").await, b"\xffb\xfe\0");
        assert_eq!(replaced("ä", "ae", "\u{e4}".as_bytes()).await, b"ae");
    }

    #[tokio::test]
    async fn a_body_without_a_match_is_not_copied() {
        let body = bytes::Bytes::from(vec![b'x'; 100]);
        for charset in ["utf-8", "latin1"] {
            let kdl = format!("search-replace search-pattern=\"nothing\" charset=\"{charset}\"");
            let out = run(&FACTORY, &kdl, vec![Event::new(body.clone())]).await;
            assert_eq!(out[0].body.as_ptr(), body.as_ptr());
        }
    }

    #[tokio::test]
    async fn other_character_sets_are_searched_as_text_and_written_back() {
        let kdl = "search-replace search-pattern=\"ä\" replace-string=\"€ö\" charset=\"iso-8859-1\"";
        let out = run(&FACTORY, kdl, vec![Event::new(&b"x\xe4y"[..]), Event::new(&b"\xff"[..])]).await;
        assert_eq!(bodies(&out), [&b"x?\xf6y"[..], b"\xff"]);
    }

    #[test]
    fn mistakes_in_the_replacement_are_found_before_it_runs() {
        for (replacement, reason) in [
            ("$1", "`$1` is not a group: the expression has 0"),
            ("a$", "a dollar is not followed by a group"),
            ("$x", "a dollar is not followed by a group"),
            ("${who}", "the expression has no group named `who`"),
            (r"a\", "the replacement ends with a single backslash"),
        ] {
            let kdl = format!("search-replace search-pattern=\"a\" replace-string=#\"{replacement}\"#");
            let found = build(&FACTORY, &kdl).err().unwrap();
            assert_eq!(found.iter().next().unwrap().reason, reason);
        }
        let kdl = "search-replace search-pattern=\"a\" charset=\"klingon\"";
        let found = build(&FACTORY, kdl).err().unwrap();
        assert_eq!(found.iter().next().unwrap().code, "components::unknown-charset");
    }

    #[tokio::test]
    async fn headers_and_order_stay() {
        let events = vec![event("ab", &[("a", "a")]), event("ba", &[])];
        let out = run(&FACTORY, "search-replace search-pattern=\"a\" replace-string=\"c\"", events).await;
        assert_eq!(out, [event("cb", &[("a", "a")]), event("bc", &[])]);
    }
}
