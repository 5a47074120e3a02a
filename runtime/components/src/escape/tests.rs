use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use millrace_core::Headers;

use super::{
    Expander, Letter, MissingHeader, MissingTimestamp, Round, RoundUnit, Target, Template, TimeRule,
    TimeSource, Unexpandable,
};

/// Sat 2024-02-03 09:05:07.123 in UTC.
const MILLIS: &str = "1706951107123";

fn headers(entries: &[(&'static str, &'static str)]) -> Headers {
    entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000)
}

fn expand_with(
    text: &str,
    target: Target,
    rule: TimeRule,
    entries: &[(&'static str, &'static str)],
) -> Result<String, Unexpandable> {
    let mut expander = Expander::new(vec![Template::parse(text, target).unwrap()], rule);
    expander.expand(&headers(entries), now()).map(|texts| texts[0].clone())
}

fn path(text: &str, entries: &[(&'static str, &'static str)]) -> String {
    expand_with(text, Target::Path, TimeRule::default(), entries).unwrap()
}

fn zone(name: &str) -> TimeRule {
    TimeRule { zone: TimeZone::get(name).unwrap(), ..TimeRule::default() }
}

fn mistakes(text: &str) -> Vec<String> {
    Template::parse(text, Target::Path).unwrap_err()
}

#[test]
fn every_letter_of_flume_shows_its_part_of_the_time() {
    let table = [
        ("%t", "1706951107123"),
        ("%s", "1706951107"),
        ("%Y", "2024"),
        ("%y", "24"),
        ("%m", "02"),
        ("%n", "2"),
        ("%d", "03"),
        ("%e", "3"),
        ("%j", "034"),
        ("%H", "09"),
        ("%k", "9"),
        ("%I", "09"),
        ("%l", "9"),
        ("%M", "05"),
        ("%S", "07"),
        ("%p", "AM"),
        ("%a", "Sat"),
        ("%A", "Saturday"),
        ("%b", "Feb"),
        ("%B", "February"),
        ("%c", "Sat Feb 3 09:05:07 2024"),
        ("%D", "02/03/24"),
        ("%z", "+0000"),
        ("%%", "%"),
    ];
    for (escape, expected) in table {
        assert_eq!(path(escape, &[("timestamp", MILLIS)]), expected, "{escape}");
    }
    assert_eq!(table.len(), Letter::all().len() + 1);
}

#[test]
fn the_afternoon_and_midnight_are_written_with_twelve_hours() {
    let show = |millis| path("%H %k %I %l %p", &[("timestamp", millis)]);
    assert_eq!(show("1706918400000"), "00 0 12 12 AM");
    assert_eq!(show("1706961600000"), "12 12 12 12 PM");
    assert_eq!(show("1706965200000"), "13 13 01 1 PM");
}

#[test]
fn the_time_zone_moves_every_letter_but_the_epoch_ones() {
    let show = |name| {
        expand_with("%Y%m%d-%H%M %z %s %t", Target::Text, zone(name), &[("timestamp", MILLIS)]).unwrap()
    };
    assert_eq!(show("America/New_York"), "20240203-0405 -0500 1706951107 1706951107123");
    assert_eq!(show("Asia/Kolkata"), "20240203-1435 +0530 1706951107 1706951107123");
    assert_eq!(show("Pacific/Auckland"), "20240203-2205 +1300 1706951107 1706951107123");
}

#[test]
fn rounding_works_on_the_field_and_spares_the_exact_time() {
    let show = |value, unit, millis| {
        let rule = TimeRule { round: Some(Round { value, unit }), ..TimeRule::default() };
        expand_with("%H:%M:%S %s %t", Target::Text, rule, &[("timestamp", millis)]).unwrap()
    };
    assert_eq!(show(1, RoundUnit::Second, MILLIS), "09:05:07 1706951107 1706951107123");
    assert_eq!(show(5, RoundUnit::Second, MILLIS), "09:05:05 1706951105 1706951107123");
    assert_eq!(show(60, RoundUnit::Second, MILLIS), "09:05:00 1706951100 1706951107123");
    assert_eq!(show(10, RoundUnit::Minute, MILLIS), "09:00:00 1706950800 1706951107123");
    assert_eq!(show(20, RoundUnit::Minute, "1706953620000"), "09:40:00 1706953200 1706953620000");
    assert_eq!(show(6, RoundUnit::Hour, MILLIS), "06:00:00 1706940000 1706951107123");
    assert_eq!(show(24, RoundUnit::Hour, MILLIS), "00:00:00 1706918400 1706951107123");
}

#[test]
fn rounding_down_in_a_repeated_hour_stays_in_the_same_one() {
    let rule =
        TimeRule { round: Some(Round { value: 30, unit: RoundUnit::Minute }), ..zone("Europe/Berlin") };
    // 02:45 occurs twice on 2024-10-27: at 00:45 UTC in summer time, at 01:45 UTC in winter time.
    for (millis, expected) in [("1729989900000", "02:30 +0200"), ("1729993500000", "02:30 +0100")] {
        let shown = expand_with("%H:%M %z", Target::Text, rule.clone(), &[("timestamp", millis)]);
        assert_eq!(shown.unwrap(), expected);
    }
}

#[test]
fn headers_stand_where_they_are_named_and_absent_ones_are_empty() {
    assert_eq!(path("/logs/%{host}-%{a.b_c-1}/x", &[("host", "web"), ("a.b_c-1", "7")]), "/logs/web-7/x");
    assert_eq!(path("/logs/pre-%{host}/x", &[]), "/logs/pre-/x");
    assert_eq!(path("/logs/%{host}/x", &[]), "/logs/x", "a folder without a name is left out");
    assert_eq!(path("/logs/%{host}", &[]), "/logs/");
    assert_eq!(path("%{host}/x", &[]), "x", "never turned into an absolute path");
    let strict = TimeRule { missing_header: MissingHeader::Reject, ..TimeRule::default() };
    let refused = expand_with("/logs/%{host}", Target::Path, strict, &[]);
    assert_eq!(refused.unwrap_err().to_string(), "no header host");
}

#[test]
fn an_event_without_a_usable_time_is_refused_or_gets_the_clock() {
    let rule = |source| TimeRule { source, ..TimeRule::default() };
    let reject = || rule(TimeSource::Header(MissingTimestamp::Reject));
    let refusal = |entries| expand_with("%Y", Target::Path, reject(), entries).unwrap_err().to_string();
    assert_eq!(refusal(&[]), "no header timestamp, which the time escapes need");
    assert_eq!(
        refusal(&[("timestamp", "yesterday")]),
        "header timestamp: \"yesterday\" is not a number of milliseconds since 1970"
    );
    for hostile in ["99999999999999999999", "9223372036854775807", "-9223372036854775808", "", "1e3", " 1"] {
        assert!(expand_with("%Y", Target::Path, reject(), &[("timestamp", hostile)]).is_err(), "{hostile}");
    }
    let local = || rule(TimeSource::Header(MissingTimestamp::Local));
    assert_eq!(expand_with("%t", Target::Path, local(), &[]).unwrap(), "1700000000000");
    assert_eq!(expand_with("%t", Target::Path, local(), &[("timestamp", "no")]).unwrap(), "1700000000000");
    assert_eq!(expand_with("%t", Target::Path, local(), &[("timestamp", "5")]).unwrap(), "5");
    let clock = expand_with("%t", Target::Path, rule(TimeSource::Clock), &[("timestamp", "5")]);
    assert_eq!(clock.unwrap(), "1700000000000");
    assert_eq!(path("/logs/100%%", &[]), "/logs/100%", "a percent sign needs no time");
}

#[test]
fn times_before_1970_are_shown() {
    assert_eq!(path("%Y-%m-%d %s", &[("timestamp", "-1")]), "1969-12-31 -1");
}

#[test]
fn mistakes_are_all_found_and_named() {
    assert_eq!(
        mistakes("/a/%q/%{host/%"),
        [
            format!("%q is unknown: the letters are {}; a percent sign is written %%", Letter::all()),
            "%{host/% is never closed by `}`".to_owned(),
            "a % at the end means nothing; a percent sign is written %%".to_owned(),
        ]
    );
    assert_eq!(mistakes("%{}"), ["%{} is no header name: letters, digits, `_`, `.` and `-` are allowed"]);
    assert_eq!(mistakes("%{a b}").len(), 1);
    assert_eq!(
        mistakes("%[hostname]"),
        ["%[hostname] is unknown: there are %[localhost], %[IP] and %[FQDN]"]
    );
    assert_eq!(mistakes("%ü").len(), 1);
    assert_eq!(
        mistakes("/a/%{b}/../c"),
        ["`..` after an escape could leave the folder that stands before it"]
    );
    assert!(Template::parse("../a/%{b}", Target::Path).is_ok(), "the operator may climb before any escape");
    assert!(Template::parse("http://%{host}/a", Target::Url).is_err());
    assert!(Template::parse("http://host:80/%{a}/../b", Target::Url).is_ok());
}

#[test]
fn header_values_never_leave_their_part_of_the_path() {
    let attacks = [
        ("../../etc/passwd", "/logs/.._.._etc_passwd/x"),
        ("..", "/logs/__/x"),
        (".", "/logs/_/x"),
        ("/etc", "/logs/_etc/x"),
        ("a/../../b", "/logs/a_.._.._b/x"),
        ("..\\..\\windows", "/logs/.._.._windows/x"),
        ("nul\0byte", "/logs/nul_byte/x"),
        ("new\nline\r\u{7f}\u{85}", "/logs/new_line___/x"),
        ("...", "/logs/.../x"),
        ("%Y%{host}", "/logs/%Y%{host}/x"),
        ("ünï", "/logs/ünï/x"),
    ];
    for (value, expected) in attacks {
        assert_eq!(path("/logs/%{a}/x", &[("a", value)]), expected, "{value:?}");
    }
    assert_eq!(path("/logs/%{a}%{b}/x", &[("a", "."), ("b", ".")]), "/logs/__/x", "not even together");
    assert_eq!(path("/logs/.%{a}/x", &[("a", ".")]), "/logs/__/x", "nor with the operator's help");
    assert_eq!(path("/logs/%{a}.%{b}/x", &[]), "/logs/_/x");
    assert_eq!(path("%{a}", &[("a", "..")]), "__");
}

#[test]
fn an_address_keeps_its_shape_whatever_a_header_says() {
    let url = |value| {
        expand_with("http://h:1/a/%{v}/b?q=%{v}", Target::Url, TimeRule::default(), &[("v", value)]).unwrap()
    };
    assert_eq!(url("x y/z"), "http://h:1/a/x%20y%2Fz/b?q=x%20y%2Fz");
    assert_eq!(url(".."), "http://h:1/a/__/b?q=..");
    let last = |text, value| expand_with(text, Target::Url, TimeRule::default(), &[("v", value)]).unwrap();
    assert_eq!(last("http://h/a/%{v}?q=%{v}", ".."), "http://h/a/__?q=..");
    assert_eq!(last("http://h/a/%{v}#x", "."), "http://h/a/_#x");
    assert_eq!(last("http://h/a/%%2E%{v}/b", "."), "http://h/a/__/b");
    assert_eq!(last("http://h/a?p=x/%{v}/b", ".."), "http://h/a?p=x/../b", "a query has no folders");
    assert_eq!(url("a?b#c&d=ü"), "http://h:1/a/a%3Fb%23c%26d%3D%C3%BC/b?q=a%3Fb%23c%26d%3D%C3%BC");
}

#[test]
fn a_name_too_long_for_a_file_system_is_refused() {
    let value: &'static str = "x".repeat(200).leak();
    assert_eq!(path("/%{a}", &[("a", value)]).len(), 201);
    let error = expand_with("/%{a}y", Target::Path, TimeRule::default(), &[("a", value)]).unwrap_err();
    assert_eq!(error, Unexpandable::TooLong { bytes: 201, bytes_max: 200 });
    let deep = "%{a}/".repeat(20);
    assert!(expand_with(&deep, Target::Path, TimeRule::default(), &[("a", value)]).is_err());
}

#[test]
fn the_names_of_this_machine_are_filled_in() {
    let shown = path("%[localhost]|%[IP]|%[FQDN]", &[]);
    let names: Vec<&str> = shown.split('|').collect();
    assert_eq!(names[0], gethostname::gethostname().to_string_lossy());
    assert!(names[1].parse::<std::net::IpAddr>().is_ok(), "{shown}");
    assert!(!names[2].is_empty());
}

#[test]
fn results_are_shared_by_events_of_the_same_values_and_second() {
    let template = Template::parse("/%{host}/%H%M%S", Target::Path).unwrap();
    let mut expander = Expander::new(vec![template], TimeRule::default());
    let mut texts = |host: &'static str, millis: &'static str, extra: &'static str| {
        let headers = headers(&[("extra", extra), ("host", host), ("timestamp", millis)]);
        expander.expand(&headers, now()).unwrap().clone()
    };
    let first = texts("a", "1000", "1");
    assert!(std::sync::Arc::ptr_eq(&first, &texts("a", "1999", "2")));
    let other = texts("b", "1000", "3");
    assert_eq!((first[0].as_str(), other[0].as_str()), ("/a/000001", "/b/000001"));
    assert_eq!(texts("a", "2000", "4")[0], "/a/000002");
    assert!(std::sync::Arc::ptr_eq(&first, &texts("a", "1000", "5")));
}

#[test]
fn ten_thousand_different_values_do_not_fill_the_memory_and_are_all_right() {
    let template = Template::parse("/%{host}", Target::Path).unwrap();
    let mut expander = Expander::new(vec![template], TimeRule::default());
    for number in 0..10_000 {
        let headers: Headers = [("host".into(), format!("h{number}").into())].into_iter().collect();
        assert_eq!(expander.expand(&headers, now()).unwrap()[0], format!("/h{number}"));
    }
}

#[test]
fn a_constant_template_looks_at_nothing() {
    let mut expander =
        Expander::new(vec![Template::parse("/logs/x", Target::Path).unwrap()], TimeRule::default());
    assert!(expander.is_constant());
    let first = expander.expand(&headers(&[]), now()).unwrap().clone();
    let second = expander.expand(&headers(&[("a", "b")]), now() + Duration::from_secs(5)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, second));
}
