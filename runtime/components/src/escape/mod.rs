//! Escapes: paths, addresses and other texts that depend on the event.
//!
//! `%{host}` is a header, `%Y` a part of a time, `%[FQDN]` a name of this machine. The words are Flume's; what
//! differs is meant to be safer:
//! - a template is parsed once, and an unknown letter is a mistake in the configuration, not an empty text;
//! - what a header says can never leave the place where it is written: separators and control characters in a
//!   value become `_`, and a part of the path that would read `.` or `..` does too (see `confine`);
//! - an event whose time is missing is refused (and goes to the dead-letter channel) instead of being tried for
//!   ever, and `%%` needs no time.
//!
//! Nothing here touches a file system or a network, so any sink can use it. Formatting happens once for each
//! combination of header values and second, not once per event (see [`Expander`]).

mod confine;
mod expander;
mod grouping;
mod host;
mod letter;
mod options;
mod template;
mod time_rule;

pub use expander::{Expander, Expansion, Unexpandable};
pub use grouping::{Group, group};
pub use host::look_up_host_names;
pub use letter::Letter;
pub use options::{MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, USE_LOCAL_TIME_STAMP, time_rule};
pub use template::{Target, Template};
pub use time_rule::{MissingHeader, MissingTimestamp, Round, RoundUnit, TimeRule, TimeSource};

#[cfg(test)]
mod tests;
