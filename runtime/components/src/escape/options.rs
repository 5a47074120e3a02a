//! The options shared by every component that uses escapes.

use jiff::tz::TimeZone;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

use super::time_rule::{MissingHeader, MissingTimestamp, Round, RoundUnit, TimeRule, TimeSource};

const ROUND_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "value",
        OptionKind::Integer { min: 1, max: 60 },
        "1",
        "How many units; at most 60 seconds or minutes, at most 24 hours",
    ),
    OptionSpec::optional(
        "unit",
        OptionKind::Choice(&["second", "minute", "hour"]),
        "The unit; without it nothing is rounded",
    ),
];

/// `round value=10 unit="minute"`.
pub const ROUND: OptionSpec = OptionSpec::with_default(
    "round",
    OptionKind::Block(ROUND_OPTIONS),
    "",
    "Rounds the time of all escapes but `%t` down",
);

/// `time-zone "Europe/Berlin"`.
pub const TIME_ZONE: OptionSpec = OptionSpec::optional(
    "time-zone",
    OptionKind::Text,
    "The time zone of the escapes, such as `UTC` or `Europe/Berlin`; without it the machine's own",
);

/// `use-local-time-stamp`.
pub const USE_LOCAL_TIME_STAMP: OptionSpec = OptionSpec::with_default(
    "use-local-time-stamp",
    OptionKind::Boolean,
    "#false",
    "Takes the time of the escapes from the clock instead of the header `timestamp`",
);

/// `missing-timestamp "local"`.
pub const MISSING_TIMESTAMP: OptionSpec = OptionSpec::with_default(
    "missing-timestamp",
    OptionKind::Choice(&["reject", "local"]),
    "reject",
    "What happens to an event whose header `timestamp` is absent or no number: it goes to the dead-letter \
     channel, or the clock stands in",
);

/// `missing-header "reject"`.
pub const MISSING_HEADER: OptionSpec = OptionSpec::with_default(
    "missing-header",
    OptionKind::Choice(&["empty", "reject"]),
    "empty",
    "What an escape of an absent header becomes: nothing, or the event goes to the dead-letter channel",
);

/// Reads the options above.
///
/// # Errors
/// An unknown time zone, a rounding beyond its unit.
pub fn time_rule(section: &Section) -> Result<TimeRule, Diagnostics> {
    let mut findings = Diagnostics::default();
    let zone = match section.optional_text(TIME_ZONE.name) {
        None => TimeZone::system(),
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            findings.push(
                Diagnostic::error(
                    "escape::unknown-time-zone",
                    section.span_of(TIME_ZONE.name),
                    format!("there is no time zone {name:?}"),
                )
                .help("write a name of the IANA database, such as `UTC` or `Europe/Berlin`"),
            );
            TimeZone::UTC
        }),
    };
    let round = section.block(ROUND.name).and_then(|block| round(block, &mut findings));
    if !findings.is_empty() {
        return Err(findings);
    }
    let missing = match section.text(MISSING_TIMESTAMP.name) {
        "local" => MissingTimestamp::Local,
        _ => MissingTimestamp::Reject,
    };
    let source = if section.boolean(USE_LOCAL_TIME_STAMP.name) {
        TimeSource::Clock
    } else {
        TimeSource::Header(missing)
    };
    let missing_header = match section.text(MISSING_HEADER.name) {
        "reject" => MissingHeader::Reject,
        _ => MissingHeader::Empty,
    };
    Ok(TimeRule { source, zone, round, missing_header })
}

fn round(block: &Section, findings: &mut Diagnostics) -> Option<Round> {
    let value = block.integer("value");
    let (unit, value_max) = match block.optional_text("unit")? {
        "second" => (RoundUnit::Second, 60),
        "minute" => (RoundUnit::Minute, 60),
        _ => (RoundUnit::Hour, 24),
    };
    if value > value_max {
        findings.push(
            Diagnostic::error(
                "escape::round-too-large",
                block.span_of("value"),
                format!("hours are rounded to at most {value_max}, not {value}"),
            )
            .help("write a value of 24 or less"),
        );
    }
    Some(Round { value: i8::try_from(value).unwrap_or(1), unit })
}
