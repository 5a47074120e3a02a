//! Dates by pattern: Joda's letters, which Flume users have in their configurations, read by `jiff`'s strptime.
//!
//! Fields that a pattern leaves out are filled as Joda fills them: no date is 1 January 1970, a month or day
//! without a year is in 2000, no time is midnight.

use jiff::{
    civil::{Date, Time},
    fmt::strtime::BrokenDownTime,
    tz::TimeZone,
};

/// A pattern that was checked.
pub(super) struct DatePattern {
    strptime: String,
    zone: TimeZone,
}

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(super) struct BadPattern {
    pub(super) about_zone: bool,
    pub(super) text: String,
}

impl DatePattern {
    /// A pattern with `%` is strptime's own, any other is Joda's. `zone` None: the machine's.
    pub(super) fn parse(pattern: &str, zone: Option<&str>) -> Result<Self, BadPattern> {
        let zone = match zone {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| BadPattern {
                about_zone: true,
                text: format!("`{name}` is not a known time zone"),
            })?,
        };
        let strptime = match pattern.contains('%') {
            true => pattern.to_owned(),
            false => from_joda(pattern).map_err(|text| BadPattern { about_zone: false, text })?,
        };
        if pattern.is_empty() {
            return Err(BadPattern { about_zone: false, text: "the date pattern is empty".into() });
        }
        Ok(Self { strptime, zone })
    }

    /// Milliseconds since 1970; None where the text is not such a date.
    pub(super) fn millis(&self, text: &str) -> Option<i64> {
        let fields = BrokenDownTime::parse(&self.strptime, text).ok()?;
        if let Some(timestamp) = fields.timestamp() {
            return Some(timestamp.as_millisecond());
        }
        let civil = date(&fields)?.to_datetime(time(&fields)?);
        let zone = match (fields.offset(), fields.iana_time_zone()) {
            (Some(offset), _) => offset.to_time_zone(),
            (None, Some(name)) => TimeZone::get(name).ok()?,
            (None, None) => self.zone.clone(),
        };
        Some(zone.to_zoned(civil).ok()?.timestamp().as_millisecond())
    }
}

fn date(fields: &BrokenDownTime) -> Option<Date> {
    let no_date = fields.month().is_none() && fields.day().is_none() && fields.day_of_year().is_none();
    if fields.iso_week().is_some() || (fields.year().is_some() && fields.day_of_year().is_some()) {
        return fields.to_date().ok();
    }
    let year = fields.year().unwrap_or(if no_date { 1970 } else { 2000 });
    if let Some(day) = fields.day_of_year() {
        return Date::new(year, 1, 1).ok()?.checked_add(jiff::Span::new().days(day - 1)).ok();
    }
    Date::new(year, fields.month().unwrap_or(1), fields.day().unwrap_or(1)).ok()
}

fn time(fields: &BrokenDownTime) -> Option<Time> {
    match fields.hour() {
        // Minutes alone are minutes after midnight.
        None if fields.minute().is_some() || fields.second().is_some() => {
            let second = fields.second().unwrap_or(0);
            let nanosecond = fields.subsec_nanosecond().unwrap_or(0);
            Time::new(0, fields.minute().unwrap_or(0), second, nanosecond).ok()
        }
        _ => fields.to_time().ok(),
    }
}

/// Joda's letters as strptime's: the count of a letter says how it is written.
fn from_joda(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            quoted(&mut letters, &mut out)?;
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            out.push(letter);
            continue;
        }
        let mut count = 1;
        while letters.next_if_eq(&letter).is_some() {
            count += 1;
        }
        out.push_str(match (letter, count) {
            ('y' | 'Y' | 'x', 2) => "%y",
            ('y' | 'Y', _) => "%Y",
            ('x', _) => "%G",
            ('w', _) => "%V",
            ('e', _) => "%u",
            ('M', 1 | 2) => "%m",
            ('M', 3) => "%b",
            ('M', _) => "%B",
            ('D', _) => "%j",
            ('d', _) => "%d",
            ('E', 1..=3) => "%a",
            ('E', _) => "%A",
            ('a', _) => "%p",
            ('H', _) => "%H",
            ('h', _) => "%I",
            ('m', _) => "%M",
            ('s', _) => "%S",
            ('S', _) => "%f",
            ('Z', 1) => "%z",
            ('Z', 2) => "%:z",
            ('Z', _) => "%Q",
            _ => {
                return Err(format!(
                    "the date pattern's `{letter}` is not supported; known: y M d D E a H h m s S Z x w e, and text in single quotes"
                ));
            }
        });
    }
    Ok(out)
}

/// Text in single quotes; two of them stand for one.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Result<(), String> {
    if letters.next_if_eq(&'\'').is_some() {
        out.push('\'');
        return Ok(());
    }
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if letters.next_if_eq(&'\'').is_none() => return Ok(()),
            _ => out.push(letter),
        }
    }
    Err("a single quote in the date pattern is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::DatePattern;

    fn millis(pattern: &str, text: &str) -> Option<i64> {
        DatePattern::parse(pattern, Some("UTC")).unwrap().millis(text)
    }

    #[test]
    fn joda_patterns_read_what_joda_reads() {
        for (pattern, text, expected) in [
            ("yyyy-MM-dd HH:mm:ss", "2012-10-17 14:34:44", 1_350_484_484_000),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2012-10-17T14:34:44.338", 1_350_484_484_338),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2012-10-17T14:34:44.338+0200", 1_350_477_284_338),
            ("yyyy-MM-dd'T'HH:mm:ssZZ", "2012-10-17T14:34:44+02:00", 1_350_477_284_000),
            ("yyyy-MM-dd HH:mm ZZZ", "2012-10-17 14:34 Europe/Berlin", 1_350_477_240_000),
            ("dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2000:13:55:36 -0700", 971_211_336_000),
            ("EEE, dd MMM yyyy HH:mm:ss", "Tue, 10 Oct 2000 13:55:36", 971_186_136_000),
            ("EEEE d MMMM yyyy h:mm a", "Tuesday 1 August 2000 1:05 PM", 965_135_100_000),
            ("yyyyMMddHHmmss", "20121017143444", 1_350_484_484_000),
            ("yy-M-d", "12-1-7", 1_325_894_400_000),
            ("yyyy", "2012", 1_325_376_000_000),
            ("yyyy-DDD", "2012-032", 1_328_054_400_000),
            ("MM-dd", "03-01", 951_868_800_000),
            ("HH:mm", "01:02", 3_720_000),
            ("mm:ss", "01:02", 62_000),
            ("yyyy-MM-dd 'o''clock' HH", "1970-01-02 o'clock 00", 86_400_000),
            ("%s", "1350484484", 1_350_484_484_000),
            ("%d.%m.%Y", "02.01.1970", 86_400_000),
        ] {
            assert_eq!(millis(pattern, text), Some(expected), "{pattern} of {text}");
        }
    }

    #[test]
    fn what_is_not_such_a_date_has_no_time() {
        for text in
            ["", "x", "2012-13-01", "2012-02-30", "2012-02-01 ", "2012-02-01x", "\u{661}", "99999-01-01"]
        {
            assert_eq!(millis("yyyy-MM-dd", text), None, "{text}");
        }
        assert_eq!(millis("yyyy-DDD", "2013-366"), None);
    }

    #[test]
    fn the_zone_holds_for_dates_without_one_only() {
        let berlin = DatePattern::parse("yyyy-MM-dd", Some("Europe/Berlin")).unwrap();
        assert_eq!(berlin.millis("2012-07-01"), Some(1_341_093_600_000));
        let with_offset = DatePattern::parse("yyyy-MM-dd Z", Some("Europe/Berlin")).unwrap();
        assert_eq!(with_offset.millis("2012-07-01 +0000"), Some(1_341_100_800_000));
    }

    #[test]
    fn patterns_that_cannot_be_read_are_refused() {
        for (pattern, zone) in
            [("", None), ("yyyy kk", None), ("'open", None), ("yyyy", Some("Mars/Olympus"))]
        {
            assert!(DatePattern::parse(pattern, zone).is_err(), "{pattern}");
        }
    }
}
