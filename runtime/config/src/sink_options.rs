//! The options that every sink and every sink group has, whatever its type.

use crate::option::{OptionKind, OptionSpec};

const BATCH: &[OptionSpec] = &[
    OptionSpec::optional(
        "events",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "Largest number of events in one transaction; if absent what suits the sink: 10000 where each delivery is \
         synced to a disk, otherwise 1000; in a group the least of its members",
    ),
    OptionSpec::with_default(
        "bytes",
        OptionKind::Size,
        "4MiB",
        "Largest size of one transaction, headers included",
    ),
    OptionSpec::with_default(
        "wait",
        OptionKind::Duration,
        "0s",
        "How long a batch that is not full waits for more events",
    ),
];

const RETRY: &[OptionSpec] = &[
    OptionSpec::with_default(
        "initial",
        OptionKind::Duration,
        "100ms",
        "Pause after the first failure; doubles each time, with jitter",
    ),
    OptionSpec::with_default("longest", OptionKind::Duration, "30s", "Longest pause between two attempts"),
    OptionSpec::optional(
        "max",
        OptionKind::Integer { min: 1, max: i64::MAX },
        "Attempts after which a batch goes to the dead-letter channel; without it retrying never ends",
    ),
];

/// Batch, retry and concurrency: checked into [`crate::SinkSpec::delivery`].
pub const SINK_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("batch", OptionKind::Block(BATCH), "", "What one take transaction holds"),
    OptionSpec::with_default(
        "retry",
        OptionKind::Block(RETRY),
        "",
        "What happens after a delivery that failed but may succeed later",
    ),
    OptionSpec::optional(
        "codec",
        OptionKind::Plugin,
        "A codec plugin that turns each event into bytes before the sink gets it",
    ),
    OptionSpec::with_default(
        "concurrency",
        OptionKind::Integer { min: 1, max: 256 },
        "1",
        "Transactions in flight at the same time; more than one gives up order",
    ),
];
