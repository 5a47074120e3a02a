//! Sizes and time spans: a number with a unit, both ways.
//!
//! Strict about units, because `64M` and `30` mean different things to different people; the error says how
//! to write what was probably meant.

use std::time::Duration;

const SIZE_UNITS: &[(&str, u128)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Longest first, in nanoseconds; `1m30s` must go down this list.
const DURATION_UNITS: &[(&str, u128)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is not a quantity, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    /// What is wrong with it, in a few words.
    pub label: String,
    /// What to write.
    pub help: String,
}

fn wrong<T>(label: impl Into<String>, help: impl Into<String>) -> Result<T, QuantityError> {
    Err(QuantityError { label: label.into(), help: help.into() })
}

/// A size with its unit, in bytes.
///
/// # Errors
/// The text is no size, or has no unit.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    const HELP: &str = "a size is a number with a unit, such as \"512B\", \"10MB\" or \"64MiB\"";
    let Some((number, rest)) = take_number(text.trim()) else {
        return wrong("not a size", HELP);
    };
    let unit = rest.trim_start();
    if unit.is_empty() {
        return wrong(
            "the unit is missing",
            format!("write {number} without quotes for bytes, or \"{number}MiB\""),
        );
    }
    let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return wrong("unknown unit", size_unit_help(number, unit).unwrap_or_else(|| HELP.into()));
    };
    match scaled(number, *factor).and_then(|bytes| u64::try_from(bytes).ok()) {
        Some(bytes) => Ok(bytes),
        None => wrong("too large", "the largest size is 16777215TiB"),
    }
}

fn size_unit_help(number: &str, unit: &str) -> Option<String> {
    if let Some((name, _)) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        return Some(format!("write \"{number}{name}\""));
    }
    let letter = unit.chars().next()?.to_ascii_uppercase();
    let binary = SIZE_UNITS.iter().find(|(name, _)| name.starts_with(letter) && name.ends_with("iB"))?.0;
    let decimal = if letter == 'K' { "kB".to_owned() } else { format!("{letter}B") };
    Some(format!("write \"{number}{binary}\" (powers of 1024) or \"{number}{decimal}\" (powers of 1000)"))
}

/// A time span: one or more numbers with units, the longest unit first.
///
/// # Errors
/// The text is no time span, or has no unit.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    const HELP: &str =
        "a time span is a number with a unit, such as \"200ms\", \"30s\", \"5m\", \"2h\" or \"1m30s\"";
    let mut rest = text.trim();
    let mut nanos: u128 = 0;
    let mut units = DURATION_UNITS;
    if rest.is_empty() {
        return wrong("not a time span", HELP);
    }
    while !rest.is_empty() {
        let Some((number, after)) = take_number(rest) else { return wrong("not a time span", HELP) };
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return wrong(
                "the unit is missing",
                format!("write \"{number}s\" for seconds, or use ms, m, h or d"),
            );
        }
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else {
            return wrong_duration_unit(number, unit, HELP);
        };
        let factor = units.get(at).map_or(0, |(_, factor)| *factor);
        units = units.get(at + 1..).unwrap_or_default();
        match scaled(number, factor).and_then(|more| nanos.checked_add(more)) {
            Some(sum) => nanos = sum,
            None => return wrong("too long", "the longest time span is \"36500d\""),
        }
        rest = after.trim_start();
    }
    // A century: far beyond any use, and far from overflowing the clock when it is added to now.
    if nanos > 36_500 * 86_400_000_000_000 {
        return wrong("too long", "the longest time span is \"36500d\"");
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    let part = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    Ok(Duration::new(seconds, part))
}

fn wrong_duration_unit<T>(number: &str, unit: &str, help: &str) -> Result<T, QuantityError> {
    if DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
        return wrong(
            format!("`{unit}` stands after a shorter unit"),
            "write the longest unit first: \"1h30m\"",
        );
    }
    let meant = match unit.to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hour" | "hours" | "hr" | "hrs" | "h" => "h",
        "day" | "days" | "d" => "d",
        "msec" | "millis" | "milliseconds" | "ms" => "ms",
        "µs" | "μs" | "micros" | "us" => "us",
        _ => return wrong(format!("unknown unit `{unit}`"), help),
    };
    wrong(format!("unknown unit `{unit}`"), format!("write \"{number}{meant}\""))
}

/// Splits a number, digits with an optional fraction, from what follows.
fn take_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let digits_around_dot = number.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    (digits_around_dot && number.matches('.').count() <= 1).then_some((number, rest))
}

/// `number * factor` in whole units, without a detour through floating point.
fn scaled(number: &str, factor: u128) -> Option<u128> {
    let plain = number.replace('_', "");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut sum = whole.parse::<u128>().ok()?.checked_mul(factor)?;
    let fraction = fraction.get(..fraction.len().min(15)).unwrap_or_default();
    if !fraction.is_empty() {
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        sum = sum.checked_add(fraction.parse::<u128>().ok()?.checked_mul(factor)? / scale)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_units() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("10kB", 10_000),
            ("10MB", 10_000_000),
            ("64MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("8 GiB", 8 << 30),
            ("2_000B", 2000),
            ("16777215TiB", 16_777_215 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_size_that_is_not_one_says_what_to_write() {
        for (text, label, help) in [
            ("64", "the unit is missing", "write 64 without quotes for bytes, or \"64MiB\""),
            ("64M", "unknown unit", "write \"64MiB\" (powers of 1024) or \"64MB\" (powers of 1000)"),
            ("64mib", "unknown unit", "write \"64MiB\""),
            ("3k", "unknown unit", "write \"3KiB\" (powers of 1024) or \"3kB\" (powers of 1000)"),
            ("16777216TiB", "too large", "the largest size is 16777215TiB"),
        ] {
            assert_eq!(parse_size(text), wrong(label, help), "{text}");
        }
        for text in
            ["", "-1B", "x", "1.B", ".5B", "1..5B", "1_B_", "9999999999999999999999999999999999999999B"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_spans_are_numbers_with_units_the_longest_first() {
        for (text, millis) in [
            ("0s", 0),
            ("200ms", 200),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("1m30s", 90_000),
            ("1h 2m", 3_720_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(parse_duration("7ns"), Ok(Duration::from_nanos(7)));
    }

    #[test]
    fn a_time_span_that_is_not_one_says_what_to_write() {
        for (text, label, help) in [
            ("30", "the unit is missing", "write \"30s\" for seconds, or use ms, m, h or d"),
            ("30sec", "unknown unit `sec`", "write \"30s\""),
            ("5min", "unknown unit `min`", "write \"5m\""),
            ("30s1m", "`m` stands after a shorter unit", "write the longest unit first: \"1h30m\""),
            ("99999999d", "too long", "the longest time span is \"36500d\""),
        ] {
            assert_eq!(parse_duration(text), wrong(label, help), "{text}");
        }
        for text in ["", " ", "s", "-1s", "1s-", "1x", "1.s", "99999999999999999999999999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
