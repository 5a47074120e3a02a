//! An interceptor that masks card numbers: runs of 13 to 19 digits, but for the last few of them.
//!
//! A place to begin: change the options, change `intercept`, run `cargo test`.

use std::ops::{Range, RangeInclusive};

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

/// How many digits a card number has. A run of any other length is left alone.
const DIGITS: RangeInclusive<usize> = 13..=19;

/// The options, as they stand in the configuration of the agent.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// What is written over the digits: one ASCII character.
    #[serde(default = "number_sign")]
    mask: String,
    /// How many digits at the end of a number stay.
    #[serde(default = "four")]
    keep: usize,
}

fn number_sign() -> String {
    "#".to_owned()
}

fn four() -> usize {
    4
}

struct MyPlugin {
    mask: u8,
    keep: usize,
}

impl Interceptor for MyPlugin {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let mask = match config.mask.as_bytes() {
            [mask] => *mask,
            _ => {
                issues.push(Issue::new("/mask", "expected one ASCII character"));
                0
            }
        };
        if config.keep > *DIGITS.start() {
            issues.push(Issue::new("/keep", format!("expected 0 to {}", DIGITS.start())));
        }
        if issues.is_empty() { Ok(Self { mask, keep: config.keep }) } else { Err(issues) }
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let mut runs = Vec::new();
        for (row, body) in batch.bodies().rows() {
            runs.clear();
            find_runs(body, |run| runs.push(run.start..run.end - self.keep));
            runs.retain(|run: &Range<usize>| !run.is_empty());
            if runs.is_empty() {
                continue;
            }
            edits.set_body_with(row, |out| {
                let start = out.len();
                out.extend_from_slice(body);
                for run in &runs {
                    out[start + run.start..start + run.end].fill(self.mask);
                }
            });
            edits.set_header(row, "redacted", &runs.len().to_string());
        }
        Ok(())
    }
}

/// Finds the runs of digits that are as long as a card number.
///
/// One byte in 13 is looked at until there is a digit, since no run that counts fits between two of those.
fn find_runs(body: &[u8], mut found: impl FnMut(Range<usize>)) {
    let step = *DIGITS.start();
    let mut behind = 0;
    let mut at = step - 1;
    while let Some(byte) = body.get(at) {
        if !byte.is_ascii_digit() {
            at += step;
            continue;
        }
        let before = body[behind..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let after = body[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        behind = at + after;
        if DIGITS.contains(&(before + after)) {
            found(at - before..behind);
        }
        at = behind + step;
    }
}

millrace_plugin::export!(MyPlugin);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    fn run(config: &str, body: &str) -> Event {
        let mut plugin = testing::configure::<MyPlugin>(config).unwrap();
        let mut kept = testing::run(&mut plugin, vec![Event::new(body)]).unwrap().kept;
        kept.remove(0)
    }

    #[test]
    fn card_numbers_are_masked_but_for_the_last_digits() {
        let masked = Event::new("card ############1111 paid").with_header("redacted", "1");
        assert_eq!(run("{}", "card 4111111111111111 paid"), masked);
        let masked = Event::new("****************,*************").with_header("redacted", "2");
        assert_eq!(run(r#"{"mask": "*", "keep": 0}"#, "4111111111111111,1234567890123"), masked);
    }

    #[test]
    fn runs_of_another_length_are_left_alone() {
        for body in ["", "123456789012", "12345678901234567890", "1234-5678-9012-3456"] {
            assert_eq!(run("{}", body), Event::new(body));
        }
    }

    #[test]
    fn a_run_is_found_wherever_it_stands() {
        for before in 0..30 {
            for length in 12..=20 {
                let body = format!("{}{}x", "y".repeat(before), "7".repeat(length));
                let is_masked = (13..=19).contains(&length);
                assert_eq!(run("{}", &body).header("redacted"), is_masked.then_some("1"), "{body}");
            }
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let issues = testing::configure::<MyPlugin>(r#"{"mask": "", "keep": 14}"#).err().unwrap();
        let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["/mask", "/keep"]);
    }
}
