//! Keeps what a header says in its place.
//!
//! Header values come from whoever writes the logs. In a path, a value may name a part but never add one or
//! climb: separators and control characters become `_`, and a part that reads `.` or `..` in the end, however
//! it came about, becomes `_` or `__`. In an address the rest is percent-encoded besides.

use std::fmt::Write;

/// Longest part of a path that holds a header value. Leaves room for the name that a sink appends, within the
/// 255 bytes that file systems allow.
pub const PART_BYTES_MAX: usize = 200;

/// Longest expanded text.
pub const TEXT_BYTES_MAX: usize = 3000;

/// Appends a value as (a piece of) one part of a path.
pub fn append_path(value: &str, output: &mut String) {
    output.extend(value.chars().map(|character| match character {
        '/' | '\\' => '_',
        character if character.is_control() => '_',
        character => character,
    }));
}

/// Appends a value as (a piece of) one part of an address.
pub fn append_url(value: &str, output: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                output.push(char::from(byte))
            }
            // Writing into a `String` cannot fail.
            _ => drop(write!(output, "%{byte:02X}")),
        }
    }
}

/// Appends a value as text on one line.
pub fn append_text(value: &str, output: &mut String) {
    output.extend(value.chars().map(|character| if character.is_control() { '_' } else { character }));
}

/// Makes a part of a path that names a folder itself or the one above harmless. `start` is where the part begins.
pub fn disarm_dots(output: &mut String, start: usize) {
    let part = output.get(start..).unwrap_or_default();
    if part == "." || part == ".." {
        let dots = part.len();
        output.replace_range(start.., "__".get(..dots).unwrap_or_default());
    }
}

/// The same for an address, whose path ends at the query and knows `%2e` as a dot.
pub fn disarm_dots_in_url(output: &mut String, start: usize) {
    let is_query = output.get(..start).unwrap_or_default().contains(['?', '#']);
    let part = output.get(start..).unwrap_or_default();
    let part = part.split(['?', '#']).next().unwrap_or_default();
    let (end, plain) = (start + part.len(), part.to_ascii_lowercase().replace("%2e", "."));
    if !is_query && (plain == "." || plain == "..") {
        output.replace_range(start..end, "__".get(..plain.len()).unwrap_or_default());
    }
}
