//! The letters that stand for parts of a time, as Flume writes them. Names of days and months are English.

use std::fmt::Write;

use jiff::Zoned;

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// `%a`: day of the week, short.
    WeekdayShort,
    /// `%A`: day of the week.
    Weekday,
    /// `%b`: month, short.
    MonthShort,
    /// `%B`: month.
    Month,
    /// `%c`: `Sat Feb 3 09:05:07 2024`.
    DateTime,
    /// `%d`: day of the month, 01 to 31.
    Day,
    /// `%e`: day of the month, 1 to 31.
    DayPlain,
    /// `%D`: `02/03/24`, which makes three parts of a path.
    Date,
    /// `%H`: hour, 00 to 23.
    Hour,
    /// `%k`: hour, 0 to 23.
    HourPlain,
    /// `%I`: hour, 01 to 12.
    Hour12,
    /// `%l`: hour, 1 to 12.
    Hour12Plain,
    /// `%j`: day of the year, 001 to 366.
    DayOfYear,
    /// `%m`: month, 01 to 12.
    MonthNumber,
    /// `%n`: month, 1 to 12.
    MonthNumberPlain,
    /// `%M`: minute, 00 to 59.
    Minute,
    /// `%p`: `AM` or `PM`.
    HalfDay,
    /// `%s`: seconds since 1970.
    UnixSeconds,
    /// `%S`: second, 00 to 59.
    Second,
    /// `%t`: milliseconds since 1970, never rounded.
    UnixMillis,
    /// `%y`: year, two digits.
    YearShort,
    /// `%Y`: year.
    Year,
    /// `%z`: distance from UTC, `-0400`.
    Offset,
}

const LETTERS: &[(char, Letter)] = &[
    ('a', Letter::WeekdayShort),
    ('A', Letter::Weekday),
    ('b', Letter::MonthShort),
    ('B', Letter::Month),
    ('c', Letter::DateTime),
    ('d', Letter::Day),
    ('e', Letter::DayPlain),
    ('D', Letter::Date),
    ('H', Letter::Hour),
    ('k', Letter::HourPlain),
    ('I', Letter::Hour12),
    ('l', Letter::Hour12Plain),
    ('j', Letter::DayOfYear),
    ('m', Letter::MonthNumber),
    ('n', Letter::MonthNumberPlain),
    ('M', Letter::Minute),
    ('p', Letter::HalfDay),
    ('s', Letter::UnixSeconds),
    ('S', Letter::Second),
    ('t', Letter::UnixMillis),
    ('y', Letter::YearShort),
    ('Y', Letter::Year),
    ('z', Letter::Offset),
];

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Letter {
    /// The meaning of a letter.
    pub fn of(letter: char) -> Option<Self> {
        LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, meaning)| *meaning)
    }

    /// All letters, for diagnostics.
    pub fn all() -> String {
        LETTERS.iter().map(|(letter, _)| *letter).collect()
    }

    /// Appends this part of the time. `unix_millis` is the time before it was rounded.
    pub fn append(self, time: &Zoned, unix_millis: i64, output: &mut String) {
        // Writing into a `String` cannot fail.
        let _written = match self {
            Self::WeekdayShort => write!(output, "{:.3}", weekday(time)),
            Self::Weekday => output.write_str(weekday(time)),
            Self::MonthShort => write!(output, "{:.3}", month(time)),
            Self::Month => output.write_str(month(time)),
            Self::DateTime => write!(
                output,
                "{:.3} {:.3} {} {:02}:{:02}:{:02} {:04}",
                weekday(time),
                month(time),
                time.day(),
                time.hour(),
                time.minute(),
                time.second(),
                time.year()
            ),
            Self::Day => write!(output, "{:02}", time.day()),
            Self::DayPlain => write!(output, "{}", time.day()),
            Self::Date => write!(output, "{:02}/{:02}/{:02}", time.month(), time.day(), short_year(time)),
            Self::Hour => write!(output, "{:02}", time.hour()),
            Self::HourPlain => write!(output, "{}", time.hour()),
            Self::Hour12 => write!(output, "{:02}", hour_of_12(time)),
            Self::Hour12Plain => write!(output, "{}", hour_of_12(time)),
            Self::DayOfYear => write!(output, "{:03}", time.day_of_year()),
            Self::MonthNumber => write!(output, "{:02}", time.month()),
            Self::MonthNumberPlain => write!(output, "{}", time.month()),
            Self::Minute => write!(output, "{:02}", time.minute()),
            Self::HalfDay => output.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
            Self::UnixSeconds => write!(output, "{}", time.timestamp().as_millisecond().div_euclid(1000)),
            Self::Second => write!(output, "{:02}", time.second()),
            Self::UnixMillis => write!(output, "{unix_millis}"),
            Self::YearShort => write!(output, "{:02}", short_year(time)),
            Self::Year => write!(output, "{:04}", time.year()),
            Self::Offset => {
                let minutes = time.offset().seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(output, "{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
    }
}

fn weekday(time: &Zoned) -> &'static str {
    let day = usize::try_from(time.weekday().to_monday_zero_offset()).unwrap_or(0);
    WEEKDAYS.get(day).copied().unwrap_or_default()
}

fn month(time: &Zoned) -> &'static str {
    let month = usize::try_from(time.month()).unwrap_or(1);
    MONTHS.get(month - 1).copied().unwrap_or_default()
}

fn hour_of_12(time: &Zoned) -> i8 {
    match time.hour() % 12 {
        0 => 12,
        hour => hour,
    }
}

fn short_year(time: &Zoned) -> i16 {
    time.year().rem_euclid(100)
}
