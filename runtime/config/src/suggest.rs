//! "Did you mean …": the closest of the known words, and the list of them.

/// Similarity (Jaro-Winkler, 0 to 1) from which a word is worth proposing; below it proposals look random.
const SIMILAR: f64 = 0.84;
/// Longer lists are cut: nobody reads them under an error.
const KNOWN_MAX: usize = 24;

/// The known word closest to what was written, if any is close.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = normal(written);
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&plain, &normal(word)), word))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, word)| word)
}

/// `did you mean `a`? known: a, b, c`, or only the second half.
pub(crate) fn help(written: &str, known: &[&str]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let list = list(known);
    Some(match closest(written, known.iter().copied()) {
        Some(word) if known.len() == 1 => format!("did you mean `{word}`?"),
        Some(word) => format!("did you mean `{word}`? known: {list}"),
        None => format!("known: {list}"),
    })
}

/// The known words in order, cut where there are too many.
pub(crate) fn list(known: &[&str]) -> String {
    let mut words: Vec<&str> = known.to_vec();
    words.sort_unstable();
    words.dedup();
    let more = words.len().saturating_sub(KNOWN_MAX);
    words.truncate(KNOWN_MAX);
    let list = words.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}

/// `batchSize` and `batch_size` are as good as `batch-size`.
fn normal(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    for (at, letter) in word.chars().enumerate() {
        if letter.is_uppercase() && at > 0 && !plain.ends_with('-') {
            plain.push('-');
        }
        plain.extend(letter.to_lowercase());
    }
    plain.replace(['_', '.'], "-")
}
