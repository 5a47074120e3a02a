//! What is connected to what, for rules that only several components together can break.
//!
//! The engine knows the connections and no type; a crate of components knows its types and sees no others. A rule
//! of such a crate gets the connections of a checked configuration, and says what cannot work.

use millrace_config::{Diagnostics, Section};

use crate::selector::Way;

/// The connections of one agent.
#[derive(Debug, Default)]
pub struct Wiring<'a> {
    /// All channels.
    pub channels: Vec<WiredChannel<'a>>,
    /// All sources.
    pub sources: Vec<WiredSource<'a>>,
    /// All sinks, those in groups too.
    pub sinks: Vec<WiredSink<'a>>,
    /// The channel that the configuration names for rejected events.
    pub dead_letter: Option<&'a str>,
}

/// A channel.
#[derive(Debug)]
pub struct WiredChannel<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
}

/// A source.
#[derive(Debug)]
pub struct WiredSource<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// Its options.
    pub section: &'a Section,
    /// The channels that its selector may choose.
    pub ways: &'a [Way],
}

/// A sink.
#[derive(Debug)]
pub struct WiredSink<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// Its options.
    pub section: &'a Section,
    /// The channel that it, or its group, empties.
    pub channel: &'a str,
    /// How the channel is emptied: [`millrace_config::SINK_OPTIONS`], where a group is, those of the group.
    pub delivery: &'a Section,
    /// The outermost group that it is in.
    pub group: Option<&'a str>,
}

/// Says what is wrong with how components are connected.
pub type WiringRule = fn(&Wiring<'_>) -> Diagnostics;
