//! Which time a template shows: where it comes from, in which zone, and how it is rounded.

use std::time::SystemTime;

use jiff::{Timestamp, Zoned, tz::TimeZone};
use millrace_core::Headers;

use super::expander::{Unexpandable, shortened};

/// The header that holds the time of an event, in milliseconds since 1970.
const TIMESTAMP: &str = "timestamp";

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The header `timestamp`.
    Header(MissingTimestamp),
    /// The clock of this machine.
    Clock,
}

/// What happens to an event without a usable `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingTimestamp {
    /// It is refused.
    Reject,
    /// The clock of this machine stands in.
    Local,
}

/// What stands for a header that an event does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingHeader {
    /// Nothing, as in Flume.
    Empty,
    /// The event is refused.
    Reject,
}

/// Rounds a time down to a multiple of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// How many units. At least 1.
    pub value: i8,
    /// The unit; smaller ones become zero.
    pub unit: RoundUnit,
}

/// A field of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundUnit {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
}

/// How the time of an event is found and shown.
#[derive(Debug, Clone)]
pub struct TimeRule {
    /// Where it comes from.
    pub source: TimeSource,
    /// The zone of all letters.
    pub zone: TimeZone,
    /// Rounding, for all letters but `%t`.
    pub round: Option<Round>,
    /// What an absent header means.
    pub missing_header: MissingHeader,
}

impl Default for TimeRule {
    fn default() -> Self {
        Self {
            source: TimeSource::Header(MissingTimestamp::Reject),
            zone: TimeZone::UTC,
            round: None,
            missing_header: MissingHeader::Empty,
        }
    }
}

impl TimeRule {
    /// The time of an event in milliseconds since 1970.
    pub(super) fn unix_millis(&self, headers: &Headers, now: SystemTime) -> Result<i64, Unexpandable> {
        let missing = match self.source {
            TimeSource::Clock => return Ok(clock_millis(now)),
            TimeSource::Header(missing) => missing,
        };
        let found = headers.find(TIMESTAMP);
        match (found.and_then(|text| text.parse().ok()).filter(is_representable), missing) {
            (Some(millis), _) => Ok(millis),
            (None, MissingTimestamp::Local) => Ok(clock_millis(now)),
            (None, MissingTimestamp::Reject) => Err(match found {
                None => Unexpandable::NoTimestamp,
                Some(text) => Unexpandable::BadTimestamp { value: shortened(text) },
            }),
        }
    }

    /// The time as the letters show it.
    pub(super) fn zoned(&self, unix_millis: i64) -> Zoned {
        let time = Timestamp::from_millisecond(unix_millis).unwrap_or_default().to_zoned(self.zone.clone());
        match self.round {
            Some(round) => round.down(&time),
            None => time,
        }
    }
}

impl Round {
    /// Works on the field of the calendar, as Flume does: 09:47 rounded to 20 minutes is 09:40.
    fn down(self, time: &Zoned) -> Zoned {
        let fields = time.with().subsec_nanosecond(0);
        let value = self.value.max(1);
        let rounded = match self.unit {
            RoundUnit::Second => fields.second(time.second() - time.second() % value),
            RoundUnit::Minute => fields.second(0).minute(time.minute() - time.minute() % value),
            RoundUnit::Hour => fields.second(0).minute(0).hour(time.hour() - time.hour() % value),
        };
        // Only a time at the very edge of what can be represented fails.
        rounded.build().unwrap_or_else(|_| time.clone())
    }
}

fn clock_millis(now: SystemTime) -> i64 {
    let elapsed = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).ok().filter(is_representable).unwrap_or(0)
}

fn is_representable(millis: &i64) -> bool {
    // One day away from the limits: every zone can show it.
    const DAY: i64 = 86_400_000;
    *millis > Timestamp::MIN.as_millisecond() + DAY && *millis < Timestamp::MAX.as_millisecond() - DAY
}
