//! A component's options after the check against its table: typed values by name.
//!
//! Getters assert that the option is declared with that kind: a misspelt name is a mistake in our code, and
//! the suite that builds every factory from its own table finds it.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use crate::{
    diagnostic::{FileId, Span},
    node::{Node, Scalar, Spanned},
};

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a choice, a regular expression or an address.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Boolean(bool),
    /// Bytes.
    Size(u64),
    /// A time span.
    Duration(Duration),
    /// A path, already joined to the folder of its file.
    Path(std::path::PathBuf),
    /// A text file that was read with the configuration.
    TextFile(TextFile),
    /// Several strings or addresses.
    Texts(Vec<Spanned<String>>),
    /// Several paths.
    Paths(Vec<std::path::PathBuf>),
    /// Names with values, in order of writing.
    Map(Vec<(String, String)>),
    /// A group of options.
    Block(Box<Section>),
    /// Repeated groups of options.
    Blocks(Vec<Section>),
}

/// A text file that is a part of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct TextFile {
    /// Where it is, joined to the folder of the file that names it.
    pub path: std::path::PathBuf,
    /// Its number among the files of the configuration: places in it can be told.
    pub file: FileId,
    /// What it holds.
    pub text: Arc<str>,
}

/// The checked options of one component, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    pub(crate) kind: Spanned<String>,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) span: Span,
    pub(crate) declared: Vec<&'static str>,
    pub(crate) values: BTreeMap<&'static str, Spanned<Value>>,
    pub(crate) node: Node,
}

impl Section {
    /// The component's type, or the name of the block.
    pub fn kind(&self) -> &str {
        &self.kind.value
    }

    /// The component's own name: its first argument.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| name.value.as_str())
    }

    /// All arguments that are text, in order: the values of a `case`.
    pub fn names(&self) -> impl Iterator<Item = Spanned<String>> {
        self.node.arguments.iter().filter_map(|argument| match &argument.value {
            Scalar::Text(text) => Some(Spanned::new(text.clone(), argument.span)),
            _ => None,
        })
    }

    /// The whole node.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The node as it was written, for components with options of their own making (plugins).
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where an option stands: its value if given, otherwise the component's type.
    pub fn span_of(&self, option: &str) -> Span {
        self.values.get(option).map_or(self.kind.span, |value| value.span)
    }

    /// Whether the option has a value, given or by default.
    pub fn has(&self, option: &str) -> bool {
        self.find(option).is_some()
    }

    fn find(&self, option: &str) -> Option<&Value> {
        assert!(self.declared.contains(&option), "option {option} is not declared for {}", self.kind.value);
        self.values.get(option).map(|value| &value.value)
    }

    /// Text, choice, expression or address that may be absent.
    pub fn optional_text(&self, option: &str) -> Option<&str> {
        match self.find(option) {
            Some(Value::Text(text)) => Some(text),
            found => absent(option, found),
        }
    }

    /// Text, choice, expression or address with a default or required.
    pub fn text(&self, option: &str) -> &str {
        present(option, self.optional_text(option))
    }

    /// A whole number that may be absent.
    pub fn optional_integer(&self, option: &str) -> Option<i64> {
        match self.find(option) {
            Some(Value::Integer(number)) => Some(*number),
            found => absent(option, found),
        }
    }

    /// A whole number with a default or required.
    pub fn integer(&self, option: &str) -> i64 {
        present(option, self.optional_integer(option))
    }

    /// A whole number whose table bounds it to what fits a `usize`.
    pub fn count(&self, option: &str) -> usize {
        usize::try_from(self.integer(option)).unwrap_or(usize::MAX)
    }

    /// A number that may be absent.
    pub fn optional_float(&self, option: &str) -> Option<f64> {
        match self.find(option) {
            Some(Value::Float(number)) => Some(*number),
            found => absent(option, found),
        }
    }

    /// Yes or no; an absent one is no.
    pub fn boolean(&self, option: &str) -> bool {
        match self.find(option) {
            Some(Value::Boolean(yes)) => *yes,
            found => absent::<()>(option, found).is_some(),
        }
    }

    /// A number of bytes that may be absent.
    pub fn optional_size(&self, option: &str) -> Option<u64> {
        match self.find(option) {
            Some(Value::Size(bytes)) => Some(*bytes),
            found => absent(option, found),
        }
    }

    /// A number of bytes with a default or required.
    pub fn size(&self, option: &str) -> u64 {
        present(option, self.optional_size(option))
    }

    /// A time span that may be absent.
    pub fn optional_duration(&self, option: &str) -> Option<Duration> {
        match self.find(option) {
            Some(Value::Duration(duration)) => Some(*duration),
            found => absent(option, found),
        }
    }

    /// A time span with a default or required.
    pub fn duration(&self, option: &str) -> Duration {
        present(option, self.optional_duration(option))
    }

    /// A path that may be absent.
    pub fn optional_path(&self, option: &str) -> Option<&Path> {
        match self.find(option) {
            Some(Value::Path(path)) => Some(path),
            found => absent(option, found),
        }
    }

    /// A path with a default or required.
    pub fn path(&self, option: &str) -> &Path {
        present(option, self.optional_path(option))
    }

    /// A text file that may be absent.
    pub fn optional_text_file(&self, option: &str) -> Option<&TextFile> {
        match self.find(option) {
            Some(Value::TextFile(file)) => Some(file),
            found => absent(option, found),
        }
    }

    /// Whether the text files of two components of the same type hold the same.
    pub fn same_text_files(&self, other: &Self) -> bool {
        let texts = |section: &Self| {
            let text = |value: &Spanned<Value>| match &value.value {
                Value::TextFile(file) => Some(Arc::clone(&file.text)),
                _ => None,
            };
            section.values.values().filter_map(text).collect::<Vec<_>>()
        };
        texts(self) == texts(other)
    }

    /// Several strings or addresses; none when absent.
    pub fn texts(&self, option: &str) -> &[Spanned<String>] {
        match self.find(option) {
            Some(Value::Texts(texts)) => texts,
            found => absent(option, found).unwrap_or_default(),
        }
    }

    /// Several paths; none when absent.
    pub fn paths(&self, option: &str) -> &[std::path::PathBuf] {
        match self.find(option) {
            Some(Value::Paths(paths)) => paths,
            found => absent(option, found).unwrap_or_default(),
        }
    }

    /// Names with values; none when absent.
    pub fn map(&self, option: &str) -> &[(String, String)] {
        match self.find(option) {
            Some(Value::Map(entries)) => entries,
            found => absent(option, found).unwrap_or_default(),
        }
    }

    /// A group of options; absent only where it was not given and one of its options is required.
    pub fn block(&self, option: &str) -> Option<&Section> {
        match self.find(option) {
            Some(Value::Block(section)) => Some(section),
            found => absent(option, found),
        }
    }

    /// Repeated groups of options; none when absent.
    pub fn blocks(&self, option: &str) -> &[Section] {
        match self.find(option) {
            Some(Value::Blocks(sections)) => sections,
            found => absent(option, found).unwrap_or_default(),
        }
    }
}

/// A value of another kind means that our code and its table disagree.
fn absent<T>(option: &str, found: Option<&Value>) -> Option<T> {
    assert!(found.is_none(), "option {option} is read as another kind than it is declared: {found:?}");
    None
}

/// An option read without `optional_` is required or has a default, which the check has filled in.
fn present<T>(option: &str, found: Option<T>) -> T {
    assert!(found.is_some(), "option {option} is read as always present, but its table does not say so");
    let Some(value) = found else { unreachable!("asserted above") };
    value
}
