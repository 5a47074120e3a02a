//! What a status code means for the events that were sent.

/// What becomes of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They have arrived.
    Deliver,
    /// They are sent again.
    Retry,
    /// They go to the dead-letter channel.
    Reject,
}

/// The rules: those of the configuration before the general ones, exact codes before classes.
#[derive(Debug, Clone, Default)]
pub struct StatusRules {
    exact: Vec<(u16, Verdict)>,
    classes: Vec<(u16, Verdict)>,
}

impl StatusRules {
    /// Adds a rule: `"503" "reject"`, `"4xx" "retry"`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, status: &str, verdict: &str) -> Result<(), String> {
        let verdict = match verdict {
            "deliver" => Verdict::Deliver,
            "retry" => Verdict::Retry,
            "reject" => Verdict::Reject,
            other => return Err(format!("{other:?} is none of `deliver`, `retry`, `reject`")),
        };
        let wrong = || format!("{status:?} is neither a status code nor a class such as `4xx`");
        let is_exact = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let (rules, number) = match status.to_ascii_lowercase().strip_suffix("xx") {
            Some(class) => (&mut self.classes, class.parse().ok().filter(|class| (1..=5).contains(class))),
            None => {
                let code = status.parse().ok().filter(|code| is_exact && (100..=599).contains(code));
                (&mut self.exact, code)
            }
        };
        rules.push((number.ok_or_else(wrong)?, verdict));
        Ok(())
    }

    /// What this status means.
    pub fn verdict(&self, status: u16) -> Verdict {
        let find = |rules: &[(u16, Verdict)], number| {
            rules.iter().rev().find(|(known, _)| *known == number).map(|(_, verdict)| *verdict)
        };
        find(&self.exact, status).or_else(|| find(&self.classes, status / 100)).unwrap_or(match status {
            200..=299 => Verdict::Deliver,
            // Too slow, too early, too many: the server says itself that it is a matter of time.
            408 | 425 | 429 => Verdict::Retry,
            400..=499 => Verdict::Reject,
            _ => Verdict::Retry,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{StatusRules, Verdict};

    #[test]
    fn general_rules_hold_where_nothing_is_said() {
        let rules = StatusRules::default();
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(rules.verdict(status), Verdict::Deliver, "{status}");
        }
        for status in [100, 301, 302, 304, 307, 308, 408, 425, 429, 500, 502, 503, 504, 599, 600, 999] {
            assert_eq!(rules.verdict(status), Verdict::Retry, "{status}");
        }
        for status in [400, 401, 403, 404, 409, 410, 413, 415, 422, 499] {
            assert_eq!(rules.verdict(status), Verdict::Reject, "{status}");
        }
    }

    #[test]
    fn an_exact_code_beats_a_class_in_any_order() {
        let mut rules = StatusRules::default();
        rules.add("404", "deliver").unwrap();
        rules.add("4XX", "retry").unwrap();
        rules.add("503", "reject").unwrap();
        assert_eq!(rules.verdict(404), Verdict::Deliver);
        assert_eq!(rules.verdict(400), Verdict::Retry);
        assert_eq!(rules.verdict(503), Verdict::Reject);
        assert_eq!(rules.verdict(500), Verdict::Retry);
    }

    #[test]
    fn wrong_rules_are_named() {
        let mut rules = StatusRules::default();
        for status in ["", "xx", "0xx", "6xx", "99", "600", "40", "4x", "+20", "2000", "ok", "-1xx"] {
            assert!(rules.add(status, "retry").is_err(), "{status:?}");
        }
        assert_eq!(
            rules.add("200", "accept").unwrap_err(),
            "\"accept\" is none of `deliver`, `retry`, `reject`"
        );
    }
}
