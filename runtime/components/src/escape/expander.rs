//! Turns templates into text for one event after another.
//!
//! Neighbours mostly share their header list, or at least the values a template looks at. So the same result
//! is handed out (a reference count) when the list is the same one, else when values and second are the same;
//! only a new combination is formatted. At most [`KNOWN_MAX`] combinations are kept.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use millrace_core::Headers;

use super::{
    confine,
    template::{Part, Piece, Target, Template},
    time_rule::{MissingHeader, TimeRule},
};
use crate::escape::Letter;

/// Combinations kept before the memory starts anew.
const KNOWN_MAX: usize = 4096;

/// Why an event cannot be placed. It never will be: nothing about the event changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexpandable {
    /// The template shows a time and the event has none.
    #[error("no header timestamp, which the time escapes need")]
    NoTimestamp,
    /// The time is not one.
    #[error("header timestamp: {value:?} is not a number of milliseconds since 1970")]
    BadTimestamp {
        /// What it says, shortened.
        value: String,
    },
    /// A header is absent, and absent headers are refused.
    #[error("no header {name}")]
    NoHeader {
        /// Its name.
        name: String,
    },
    /// A header value makes a name longer than file systems allow.
    #[error("header values make a name of {bytes} bytes; {bytes_max} are allowed")]
    TooLong {
        /// How long.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// The texts of all templates of an expander for one event.
pub type Expansion = Arc<[String]>;

/// Expands a fixed list of templates.
pub struct Expander {
    templates: Vec<Template>,
    rule: TimeRule,
    /// The headers the templates look at, each once.
    names: Vec<String>,
    uses_time: bool,
    uses_millis: bool,
    last: Option<(Headers, SystemTime, Expansion)>,
    known: HashMap<Vec<u8>, Expansion>,
    key: Vec<u8>,
}

impl Expander {
    /// An expander of these templates.
    pub fn new(templates: Vec<Template>, rule: TimeRule) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut letters = Vec::new();
        for piece in templates.iter().flat_map(Template::pieces) {
            match piece {
                Piece::Header(name) if !names.contains(name) => names.push(name.clone()),
                Piece::Time(letter) => letters.push(*letter),
                _ => {}
            }
        }
        Self {
            names,
            uses_time: !letters.is_empty(),
            uses_millis: letters.contains(&Letter::UnixMillis),
            templates,
            rule,
            last: None,
            known: HashMap::new(),
            key: Vec::new(),
        }
    }

    /// Whether every event gets the same.
    pub fn is_constant(&self) -> bool {
        !self.uses_time && self.names.is_empty()
    }

    /// Whether names of this machine are needed: then [`super::look_up_host_names`] belongs on a thread that
    /// may block, before the first event.
    pub fn uses_host_names(&self) -> bool {
        self.templates.iter().flat_map(Template::pieces).any(|piece| matches!(piece, Piece::Host(_)))
    }

    /// The texts for an event with these headers. `now` should be taken once per batch.
    ///
    /// # Errors
    /// [`Unexpandable`]: the event can never be placed.
    pub fn expand(&mut self, headers: &Headers, now: SystemTime) -> Result<&Expansion, Unexpandable> {
        let constant = self.is_constant();
        let is_last = self.last.as_ref().is_some_and(|(known, at, _)| {
            constant || (known.is_same_list(headers) && (*at == now || !self.uses_time))
        });
        if !is_last {
            let expansion = self.find_or_format(headers, now)?;
            self.last = Some((headers.clone(), now, expansion));
        }
        match &self.last {
            Some((_, _, expansion)) => Ok(expansion),
            None => unreachable!("set above"),
        }
    }

    fn find_or_format(&mut self, headers: &Headers, now: SystemTime) -> Result<Expansion, Unexpandable> {
        let millis = if self.uses_time { self.rule.unix_millis(headers, now)? } else { 0 };
        self.key.clear();
        let precision = if self.uses_millis { millis } else { millis.div_euclid(1000) };
        self.key.extend_from_slice(&precision.to_le_bytes());
        for name in &self.names {
            // No UTF-8 text holds these bytes, so that different values never make the same key.
            match headers.find(name) {
                Some(value) => self.key.extend_from_slice(value.as_bytes()),
                None => self.key.push(0xFE),
            }
            self.key.push(0xFF);
        }
        if let Some(known) = self.known.get(self.key.as_slice()) {
            return Ok(Arc::clone(known));
        }
        let expansion = self.format(headers, millis)?;
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(self.key.clone(), Arc::clone(&expansion));
        Ok(expansion)
    }

    fn format(&self, headers: &Headers, millis: i64) -> Result<Expansion, Unexpandable> {
        let time = self.rule.zoned(millis);
        let mut texts = Vec::with_capacity(self.templates.len());
        for template in &self.templates {
            let mut text = String::new();
            for (index, part) in template.parts.iter().enumerate() {
                let start = text.len();
                for piece in &part.pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Host(host) => text.push_str(host.text()),
                        Piece::Time(letter) => letter.append(&time, millis, &mut text),
                        Piece::Header(name) => {
                            self.append_header(name, headers, template.target, &mut text)?
                        }
                    }
                }
                finish_part(&mut text, start, part, template, index)?;
            }
            if text.len() > confine::TEXT_BYTES_MAX {
                let bytes_max = confine::TEXT_BYTES_MAX;
                return Err(Unexpandable::TooLong { bytes: text.len(), bytes_max });
            }
            texts.push(text);
        }
        Ok(texts.into())
    }

    fn append_header(
        &self,
        name: &str,
        headers: &Headers,
        target: Target,
        text: &mut String,
    ) -> Result<(), Unexpandable> {
        let value = match (headers.find(name), self.rule.missing_header) {
            (Some(value), _) => value.as_ref(),
            (None, MissingHeader::Empty) => "",
            (None, MissingHeader::Reject) => return Err(Unexpandable::NoHeader { name: name.to_owned() }),
        };
        match target {
            Target::Path => confine::append_path(value, text),
            Target::Url => confine::append_url(value, text),
            Target::Text => confine::append_text(value, text),
        }
        Ok(())
    }
}

/// Confines a part that holds header values and ends it with its slash. A folder without a name is left out.
fn finish_part(
    text: &mut String,
    start: usize,
    part: &Part,
    template: &Template,
    index: usize,
) -> Result<(), Unexpandable> {
    let is_final = index + 1 == template.parts.len();
    if template.target != Target::Text && part.has_header() {
        match template.target {
            Target::Url => confine::disarm_dots_in_url(text, start),
            _ => confine::disarm_dots(text, start),
        }
        let bytes = text.len() - start;
        if template.target == Target::Path && bytes > confine::PART_BYTES_MAX {
            return Err(Unexpandable::TooLong { bytes, bytes_max: confine::PART_BYTES_MAX });
        }
        if bytes == 0 && !is_final {
            return Ok(());
        }
    }
    if !is_final {
        text.push('/');
    }
    Ok(())
}

/// A value from outside, short enough for an error.
pub(super) fn shortened(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}
