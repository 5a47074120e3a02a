//! A command line as words.

/// Splits at white space; quotes and backslashes keep it.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => quoted(&mut letters, letter, word.get_or_insert_default())?,
            '\\' => {
                let next = letters.next().ok_or("the command ends with a single backslash")?;
                word.get_or_insert_default().push(next);
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(letters: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == quote => return Ok(()),
            '\\' if quote == '"' => match letters.next() {
                Some(next @ ('"' | '\\')) => word.push(next),
                next => {
                    word.push('\\');
                    word.extend(next);
                }
            },
            _ => word.push(letter),
        }
    }
    Err(format!("the command has a quote {quote} that is not closed"))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn white_space_separates_and_quotes_keep_it() {
        for (text, expected) in [
            ("tail -F /var/log/a", vec!["tail", "-F", "/var/log/a"]),
            ("  a\t b\n", vec!["a", "b"]),
            ("a 'b c' \"d e\"f", vec!["a", "b c", "d ef"]),
            (r#"'a\b' "c\"d\\e\f" g\ h"#, vec![r"a\b", r#"c"d\e\f"#, "g h"]),
            ("a '' \"\"", vec!["a", "", ""]),
            ("", vec![]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_finished_is_a_mistake() {
        for text in ["a 'b", "a \"b\\\"", "a\\", "\""] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
