//! Finds payment card numbers: 13 to 19 digits with a valid check digit, in one piece or in the groups in
//! which they are printed.
//!
//! Logs are full of numbers that are none, so the form is strict: a time stamp must not become a card. A
//! number begins with 2 to 6, as those of all large issuers do (and a time since 1970 does not), stands
//! alone, and has a valid Luhn sum. Groups are separated by the same single space or dash.
//!
//! Fast, because it looks at two bytes of twelve: of any 13 bytes inside of a card, two neighbours are never
//! both separators, so a pair without a digit is outside of every card.

use std::ops::Range;

/// The shortest number in digits, and so in bytes.
const LENGTH_MIN: usize = 13;
/// The longest number in digits.
const LENGTH_MAX: usize = 19;
/// The groups in which cards are printed.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// Calls `found` for each card number, in order.
pub(crate) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        let is_near = text[at].is_ascii_digit() || text.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !is_near {
            at += LENGTH_MIN - 1;
            continue;
        }
        let start = start_of_run(text, at);
        at = search_run(text, start, &mut found).max(at + 1);
    }
}

fn is_separator(byte: u8) -> bool {
    byte == b' ' || byte == b'-'
}

/// Goes back to where digits with single separators begin.
fn start_of_run(text: &[u8], at: usize) -> usize {
    let mut start = if text[at].is_ascii_digit() { at } else { at + 1 };
    loop {
        match text[..start] {
            [.., last] if last.is_ascii_digit() => start -= 1,
            [.., digit, last] if is_separator(last) && digit.is_ascii_digit() => start -= 2,
            _ => return start,
        }
    }
}

/// Tries a card at each group of a run, and gives the place behind the run.
fn search_run(text: &[u8], start: usize, found: &mut impl FnMut(Range<usize>)) -> usize {
    let mut at = start;
    loop {
        let next = match card_at(text, at) {
            Some(end) => {
                found(at..end);
                end
            }
            None => at + digits_at(text, at),
        };
        let goes_on = next + 1 < text.len() && is_separator(text[next]) && text[next + 1].is_ascii_digit();
        if !goes_on {
            return next;
        }
        at = next + 1;
    }
}

/// Gives the end of the card that begins at the group at `start`.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    let is_first = matches!(text.get(start), Some(b'2'..=b'6'));
    // A letter, a point or the like in front means that the digits are part of something else.
    let is_apart =
        start == 0 || !(text[start - 1].is_ascii_alphanumeric() || b"._".contains(&text[start - 1]));
    if !is_first || !is_apart {
        return None;
    }
    let is_card = |end: &usize| is_end(text, *end) && has_valid_check_digit(&text[start..*end]);
    match digits_at(text, start) {
        length @ LENGTH_MIN..=LENGTH_MAX => Some(start + length).filter(is_card),
        // All printed forms begin with a group of four.
        4 => GROUPS.iter().filter_map(|groups| end_of_groups(text, start, groups)).find(is_card),
        _ => None,
    }
}

fn is_end(text: &[u8], end: usize) -> bool {
    text.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

/// Gives the end of these groups, if they stand at `start`, the first of which has been seen.
fn end_of_groups(text: &[u8], start: usize, groups: &[usize]) -> Option<usize> {
    let mut at = start + groups[0];
    let separator = *text.get(at).filter(|byte| is_separator(**byte))?;
    for length in &groups[1..] {
        if text.get(at) != Some(&separator) || digits_at(text, at + 1) != *length {
            return None;
        }
        at += 1 + length;
    }
    Some(at)
}

fn digits_at(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
}

/// The Luhn sum: every second digit from the right counts twice.
fn has_valid_check_digit(card: &[u8]) -> bool {
    let digits = card.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') << (place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Vec<&str> {
        let mut cards = Vec::new();
        find(text.as_bytes(), |place| cards.push(&text[place]));
        cards
    }

    #[test]
    fn cards_are_found_in_every_form_and_place() {
        for card in [
            "4222222222222",
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "3782 822463 10005",
            "3056 930902 5904",
            "6304000000000000000",
        ] {
            for before in 0..30 {
                for around in [("", ""), (" ", " "), ("=", ","), ("\"", "\""), ("(", ").")] {
                    let text = format!("{}{}{card}{}", "x".repeat(before), around.0, around.1);
                    let expected = if around.0.is_empty() && before > 0 { vec![] } else { vec![card] };
                    assert_eq!(cards(&text), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn several_cards_are_found_beside_each_other_and_behind_a_date() {
        assert_eq!(
            cards("2026-11-22 4111 1111 1111 1111 5555555555554444 17"),
            ["4111 1111 1111 1111", "5555555555554444"]
        );
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "",
            "4",
            "4111111111111112",
            "1700000000000",
            "1700000000000000000",
            "2026-11-22 10:31:05.123456",
            "4111 1111-1111 1111",
            "41111111 11111111",
            "a4111111111111111",
            "4111111111111111b",
            "0.4111111111111111",
            "44111111111111111111",
            "4111  1111  1111  1111",
        ] {
            assert_eq!(cards(text), Vec::<&str>::new(), "{text}");
        }
    }
}
