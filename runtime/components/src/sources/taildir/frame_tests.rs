use regex::bytes::Regex;

use super::{Flush, Framing, LineEnd, LongLines, Multiline};

fn lines(line_bytes_max: usize) -> Framing {
    Framing { line_bytes_max, long_lines: LongLines::Split, multiline: None, line_end: LineEnd::Byte }
}

fn joined(start: Option<&str>, continuation: Option<&str>, end: Option<&str>, lines_max: usize) -> Framing {
    let compile = |pattern: &str| Regex::new(pattern).unwrap();
    let multiline = Multiline {
        start: start.map(compile),
        continuation: continuation.map(compile),
        end: end.map(compile),
        lines_max,
    };
    Framing { multiline: Some(multiline), ..lines(1000) }
}

/// All bodies (a `+` marks a continued one), and what is left.
fn cut(framing: &Framing, data: &[u8], flush: Flush) -> (Vec<String>, String) {
    let (mut bodies, mut at, mut mid_line) = (Vec::new(), 0, false);
    while let Some(frame) = framing.next(&data[at..], mid_line, flush) {
        assert!(frame.consumed > 0);
        if let Some(body) = frame.body {
            let text = String::from_utf8_lossy(&data[at..][body]).into_owned();
            bodies.push(if frame.continued { format!("+{text}") } else { text });
        }
        at += frame.consumed;
        mid_line = frame.mid_line;
    }
    (bodies, String::from_utf8_lossy(&data[at..]).into_owned())
}

fn expect(framing: &Framing, data: &str, flush: Flush, bodies: &[&str], left: &str) {
    let (found, rest) = cut(framing, data.as_bytes(), flush);
    assert_eq!(
        (found.iter().map(String::as_str).collect::<Vec<_>>(), rest.as_str()),
        (bodies.to_vec(), left)
    );
}

#[test]
fn lines_lose_their_end_and_one_carriage_return() {
    expect(&lines(100), "a\nb\r\n\n\r\r\nc", Flush::Nothing, &["a", "b", "", "\r"], "c");
}

#[test]
fn an_unfinished_line_is_an_event_only_when_everything_is_flushed() {
    expect(&lines(100), "a\nb", Flush::Lines, &["a"], "b");
    expect(&lines(100), "a\nb", Flush::Everything, &["a", "b"], "");
}

#[test]
fn a_line_of_the_greatest_length_is_whole_and_a_longer_one_is_split() {
    expect(&lines(4), "abcd\nabcd\r\n", Flush::Nothing, &["abcd", "abcd"], "");
    expect(&lines(4), "abcdefgh\nx\n", Flush::Nothing, &["abcd", "+efgh", "x"], "");
    expect(&lines(4), "abcdefghi\n", Flush::Nothing, &["abcd", "+efgh", "+i"], "");
    expect(&lines(4), "abcd", Flush::Nothing, &[], "abcd");
}

#[test]
fn a_cut_does_not_fall_inside_a_utf_8_character_but_any_bytes_get_through() {
    expect(&lines(4), "abcäöü\n", Flush::Nothing, &["abc", "+äö", "+ü"], "");
    let (bodies, _) = cut(&lines(4), &[0x80; 9], Flush::Everything);
    assert_eq!(bodies.len(), 3);
}

#[test]
fn the_rest_of_a_truncated_line_is_dropped() {
    let framing = Framing { long_lines: LongLines::Truncate, ..lines(4) };
    expect(&framing, "abcdefghijklm\nx\n", Flush::Nothing, &["abcd", "x"], "");
}

#[test]
fn a_start_pattern_begins_an_event() {
    let framing = joined(Some("^[A-Z]"), None, None, 100);
    expect(&framing, "A\n b\n c\nB\nC\n d\n e", Flush::Nothing, &["A\n b\n c", "B"], "C\n d\n e");
    expect(&framing, "A\n b\n c", Flush::Lines, &["A\n b"], " c");
    expect(&framing, "A\n b\n c", Flush::Everything, &["A\n b\n c"], "");
}

#[test]
fn a_continuation_pattern_holds_lines_together() {
    let framing = joined(None, Some(r"^\s"), None, 100);
    expect(&framing, "a\r\n b\r\n\tc\r\nd\r\ne\r\n", Flush::Nothing, &["a\r\n b\r\n\tc", "d"], "e\r\n");
}

#[test]
fn an_end_pattern_finishes_an_event_at_once() {
    let framing = joined(None, None, Some(";$"), 100);
    expect(&framing, "a\nb;\nc;\nd\n", Flush::Nothing, &["a\nb;", "c;"], "d\n");
}

#[test]
fn an_event_of_many_lines_has_a_limit_in_lines_and_bytes() {
    let framing = joined(Some("^!"), None, None, 2);
    expect(&framing, "!1\n2\n3\n4\n5\n", Flush::Nothing, &["!1\n2", "3\n4"], "5\n");
    let framing = Framing { line_bytes_max: 6, ..joined(Some("^!"), None, None, 99) };
    expect(&framing, "!1\n2\n3\n4\n5\n", Flush::Nothing, &["!1\n2\n3"], "4\n5\n");
    expect(&framing, "!1\n2222222\n3\n", Flush::Nothing, &["!1", "222222", "+2"], "3\n");
    expect(&framing, "!1\n22222222222", Flush::Everything, &["!1", "222222", "+22222"], "");
}

#[test]
fn utf_16_lines_end_at_a_whole_unit() {
    let framing = Framing { line_end: LineEnd::Utf16Le, ..lines(100) };
    // U+0A00 U+000A: the first unit holds a byte 0x0A that is no line end.
    let data = [0x00, 0x0a, b'\r', 0, b'\n', 0, b'x', 0];
    let frame = framing.next(&data, false, Flush::Nothing).unwrap();
    assert_eq!((frame.body, frame.consumed), (Some(0..2), 6));
    assert_eq!(framing.next(&data[6..], false, Flush::Nothing), None);
    let framing = Framing { line_end: LineEnd::Utf16Be, ..lines(100) };
    let frame = framing.next(&[0, b'a', 0, b'\n'], false, Flush::Nothing).unwrap();
    assert_eq!((frame.body, frame.consumed), (Some(0..2), 4));
}
