//! The declaration of a component's options: one table drives parsing, defaults, diagnostics, `millrace
//! explain` and the reference pages.

/// One option of a component.
///
/// An option may be written as a child node (`capacity 10_000`) or as a property (`capacity=10_000`).
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its name in kebab-case.
    pub name: &'static str,
    /// What it holds.
    pub kind: OptionKind,
    /// Its default as one would write it in KDL (`"30s"` is written `30s` here). None: absent unless given.
    pub default: Option<&'static str>,
    /// Whether leaving it out is a mistake.
    pub required: bool,
    /// One line: third person, present tense, no full stop.
    pub summary: &'static str,
}

impl OptionSpec {
    /// An option that may be left out and then has no value.
    pub const fn optional(name: &'static str, kind: OptionKind, summary: &'static str) -> Self {
        Self { name, kind, default: None, required: false, summary }
    }

    /// An option that must be given.
    pub const fn required(name: &'static str, kind: OptionKind, summary: &'static str) -> Self {
        Self { name, kind, default: None, required: true, summary }
    }

    /// An option with a default.
    pub const fn with_default(
        name: &'static str,
        kind: OptionKind,
        default: &'static str,
        summary: &'static str,
    ) -> Self {
        Self { name, kind, default: Some(default), required: false, summary }
    }
}

/// What an option holds, and how it is written.
#[derive(Debug, Clone, Copy)]
pub enum OptionKind {
    /// A string.
    Text,
    /// A whole number between two bounds, both included. `2_000_000` is allowed.
    Integer {
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed.
        max: i64,
    },
    /// A number between two bounds, both included.
    Float {
        /// The smallest value allowed.
        min: f64,
        /// The largest value allowed.
        max: f64,
    },
    /// `#true` or `#false`; the bare name of the option as a node means `#true`.
    Boolean,
    /// A number of bytes: `"64MiB"`, `"10MB"`, `"512B"` or a whole number.
    Size,
    /// A time span: `"200ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`; also `"1m30s"`. A bare number is an error.
    Duration,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A path; a relative one starts at the folder of the file that names it.
    Path,
    /// A regular expression in the syntax of the `regex` crate, compiled while checking.
    Regex,
    /// An address to listen on or to connect to: `host:port`.
    Address,
    /// One or more strings: several arguments, and repeated nodes, add up.
    Texts,
    /// One or more paths, as [`OptionKind::Path`].
    Paths,
    /// One or more addresses, as [`OptionKind::Address`].
    Addresses,
    /// Names with string values: `headers { env "prod"; team "web" }` or `headers env="prod"`.
    Map,
    /// A group of options of its own: `roll interval="30s" size="128MiB"`. Without a value in the file its own
    /// defaults apply (the section is always there) unless one of them is required.
    Block(&'static [OptionSpec]),
    /// A group that may be repeated, each with an optional first argument as its name.
    Blocks(&'static [OptionSpec]),
    /// A group that may be repeated, each with one or more arguments: `case "crit" "alert" channel="fast"`. Read
    /// by [`crate::Section::blocks`] and [`crate::Section::names`].
    Cases(&'static [OptionSpec]),
    /// A plugin by its name, with options that only it knows: `codec "frames" { magic "MR" }`. Read by
    /// [`crate::Section::block`] and [`crate::Section::name`].
    Plugin,
}
