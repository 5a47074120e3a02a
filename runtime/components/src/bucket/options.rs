//! The options that every sink with a bucket writer has.

use std::time::Duration;

use millrace_config::{OptionKind, OptionSpec, Section};

use super::RollRules;

const ROLL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "interval",
        OptionKind::Duration,
        "30s",
        "How long after its first event a file is finished; `0s`: never",
    ),
    OptionSpec::optional(
        "size",
        OptionKind::Size,
        "Size a file does not exceed (unless one event does); compressed files are checked after each batch",
    ),
    OptionSpec::optional(
        "count",
        OptionKind::Integer { min: 1, max: i64::MAX },
        "Number of events after which a file is finished",
    ),
    OptionSpec::optional(
        "idle",
        OptionKind::Duration,
        "How long after its last event a file is finished; without it only the other rules count",
    ),
];

/// `roll interval="5m" size="128MiB"`.
pub const ROLL: OptionSpec = OptionSpec::with_default(
    "roll",
    OptionKind::Block(ROLL_OPTIONS),
    "",
    "When a file is finished and the next begun",
);

/// Reads it.
pub fn roll_rules(section: &Section) -> RollRules {
    let roll = section.block("roll");
    let duration = |option| {
        roll.and_then(|roll| roll.optional_duration(option)).filter(|duration| *duration > Duration::ZERO)
    };
    // A limit of nothing is Flume's word for no limit.
    let size = roll.and_then(|roll| roll.optional_size("size")).filter(|bytes| *bytes > 0);
    let count = roll.and_then(|roll| roll.optional_integer("count"));
    RollRules {
        interval: duration("interval"),
        bytes_max: size.unwrap_or(u64::MAX),
        events_max: count.and_then(|count| u64::try_from(count).ok()).unwrap_or(u64::MAX),
        idle: duration("idle"),
    }
}
