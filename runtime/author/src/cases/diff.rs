//! Expected and found lines side by side: the longest common part stays, the rest is marked.

/// Lines of a side that are compared; behind them only their number is told.
const LINES_MAX: usize = 2000;
/// Equal lines shown around a difference.
const CONTEXT: usize = 2;

/// The difference as lines that begin with `-` (expected only), `+` (found only) or a blank (both). Empty: there is none.
pub fn difference(expected: &[String], found: &[String]) -> Vec<String> {
    if expected == found {
        return Vec::new();
    }
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let (head, left) = expected.split_at(same);
    let right = found.get(same..).unwrap_or_default();
    let mut lines = Vec::new();
    let shown = head.len().saturating_sub(CONTEXT);
    if shown > 0 {
        lines.push(format!("  … {shown} as expected"));
    }
    lines.extend(head.iter().skip(shown).map(|line| format!("  {line}")));
    if left.len() > LINES_MAX || right.len() > LINES_MAX {
        lines.extend(left.first().map(|line| format!("- {line}")));
        lines.extend(right.first().map(|line| format!("+ {line}")));
        lines.push(format!("  … {} lines expected behind it, {} found", left.len(), right.len()));
        return lines;
    }
    lines.extend(aligned(left, right));
    lines
}

/// By the table of longest common parts, from the end to the front.
fn aligned(left: &[String], right: &[String]) -> Vec<String> {
    let width = right.len() + 1;
    let mut table = vec![0_u32; (left.len() + 1) * width];
    let at = |table: &[u32], row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
    for (row, a) in left.iter().enumerate().rev() {
        for (column, b) in right.iter().enumerate().rev() {
            let best = if a == b {
                at(&table, row + 1, column + 1) + 1
            } else {
                at(&table, row + 1, column).max(at(&table, row, column + 1))
            };
            if let Some(cell) = table.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (left.get(row), right.get(column)) {
            (Some(a), Some(b)) if a == b => {
                lines.push(format!("  {a}"));
                (row, column) = (row + 1, column + 1);
            }
            (Some(a), b) if b.is_none() || at(&table, row + 1, column) >= at(&table, row, column + 1) => {
                lines.push(format!("- {a}"));
                row += 1;
            }
            (_, Some(b)) => {
                lines.push(format!("+ {b}"));
                column += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    fn lines(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn what_both_have_stays_and_the_rest_is_marked() {
        assert_eq!(difference(&lines("abc"), &lines("abc")), [""; 0]);
        assert_eq!(difference(&lines("abcd"), &lines("abxd")), ["  a", "  b", "- c", "+ x", "  d"]);
        assert_eq!(difference(&lines("a"), &[]), ["- a"]);
        assert_eq!(difference(&[], &lines("a")), ["+ a"]);
        assert_eq!(
            difference(&lines("abcde1"), &lines("abcde2")),
            ["  … 3 as expected", "  d", "  e", "- 1", "+ 2"]
        );
        let many: Vec<String> = (0..5000).map(|line| line.to_string()).collect();
        assert_eq!(difference(&many, &[]), ["- 0", "  … 5000 lines expected behind it, 0 found"]);
    }
}
