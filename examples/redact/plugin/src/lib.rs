//! Masks card numbers and whatever matches the configured patterns in the bodies of events.
//!
//! Bytes are overwritten in place, so a body keeps its length, and only bodies that changed go back.

mod cards;

use std::ops::Range;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use regex_automata::hybrid::BuildError;
use regex_automata::hybrid::regex::{Cache, Regex};
use regex_automata::util::syntax;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// What matches one of these is masked.
    #[serde(default, deserialize_with = "millrace_plugin::one_or_many")]
    pattern: Vec<String>,
    /// Whether numbers that look like payment cards are masked, but for their last four digits.
    #[serde(default = "yes")]
    cards: bool,
    /// What is written over them: one ASCII character.
    #[serde(default = "number_sign")]
    mask: String,
    /// A header that says in how many places something was masked, on events that had any.
    #[serde(default)]
    count_header: Option<String>,
}

fn yes() -> bool {
    true
}

fn number_sign() -> String {
    "#".to_owned()
}

struct Redact {
    pattern: Option<(Regex, Cache)>,
    cards: bool,
    mask: u8,
    count_header: Option<String>,
    /// The places of one body; kept for its memory.
    places: Vec<Range<usize>>,
}

impl Interceptor for Redact {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        for (index, pattern) in config.pattern.iter().enumerate() {
            if let Err(error) = compile(std::slice::from_ref(pattern)) {
                let path = format!("/pattern/{index}");
                issues.push(Issue::new(path, format!("not a regular expression: {error}")));
            }
        }
        let &[mask] = config.mask.as_bytes() else {
            issues.push(Issue::new("/mask", "expected one ASCII character"));
            return Err(issues);
        };
        if !config.cards && config.pattern.is_empty() {
            issues.push(Issue::new("", "nothing to mask: `cards` is off and there is no `pattern`"));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        // One automaton for all of them goes through each body once.
        let pattern = match config.pattern.is_empty() {
            true => None,
            false => Some(
                compile(&config.pattern)
                    .map_err(|error| vec![Issue::new("/pattern", format!("together too large: {error}"))])?,
            ),
        };
        let pattern = pattern.map(|regex| {
            let cache = regex.create_cache();
            (regex, cache)
        });
        let Config { cards, count_header, .. } = config;
        Ok(Self { pattern, cards, mask, count_header, places: Vec::new() })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            self.find(body);
            if self.places.is_empty() {
                continue;
            }
            edits.set_body_with(row, |out| {
                let start = out.len();
                out.extend_from_slice(body);
                for place in &self.places {
                    out[start + place.start..start + place.end].fill(self.mask);
                }
            });
            if let Some(header) = &self.count_header {
                edits.set_header(row, header, &self.places.len().to_string());
            }
        }
        Ok(())
    }
}

impl Redact {
    /// Finds what is to be masked in one body.
    fn find(&mut self, body: &[u8]) {
        self.places.clear();
        if self.cards {
            cards::find(body, |card| {
                // The last four digits tell apart the cards of one person, and no more.
                self.places.push(card.start..card.end - 4);
            });
        }
        if let Some((pattern, cache)) = &mut self.pattern {
            let found = pattern.find_iter(cache, body).map(|found| found.range());
            self.places.extend(found.filter(|place| !place.is_empty()));
        }
    }
}

fn compile(patterns: &[String]) -> Result<Regex, String> {
    let bytes = syntax::Config::new().unicode(false).utf8(false);
    Regex::builder().syntax(bytes).build_many(patterns).map_err(|error| reason(&error))
}

/// Takes the innermost cause; its last line says what is wrong, those before it draw the place.
fn reason(error: &BuildError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().lines().last().unwrap_or_default().to_owned()
}

millrace_plugin::export!(Redact);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    fn redact(config: &str, body: &str) -> String {
        let mut plugin = testing::configure::<Redact>(config).unwrap();
        let outcome = testing::run(&mut plugin, vec![Event::new(body)]).unwrap();
        String::from_utf8(outcome.kept[0].body.clone()).unwrap()
    }

    #[test]
    fn card_numbers_are_masked_but_for_the_last_four_digits() {
        assert_eq!(redact("{}", "card 4111111111111111 paid"), "card ############1111 paid");
        assert_eq!(redact("{}", "4111 1111 1111 1111"), "###############1111");
        assert_eq!(redact("{}", "order 4111111111111112"), "order 4111111111111112");
        assert_eq!(redact(r#"{"mask":"*"}"#, "378282246310005"), "***********0005");
    }

    #[test]
    fn patterns_are_masked_whole() {
        let config =
            r#"{"cards": false, "mask": "x", "pattern": ["\\b\\d{3}-\\d{4}\\b", "token=[a-z0-9]+"]}"#;
        assert_eq!(redact(config, "call 555-1234 token=abc1 end"), "call xxxxxxxx xxxxxxxxxx end");
        assert_eq!(redact(config, "4111111111111111"), "4111111111111111");
        assert_eq!(redact(r#"{"pattern": "a*"}"#, "bab"), "b#b");
    }

    #[test]
    fn only_events_with_something_to_mask_are_touched() {
        let mut plugin = testing::configure::<Redact>(r#"{"count-header": "masked"}"#).unwrap();
        let events = vec![
            Event::new("nothing"),
            Event::new("4111111111111111 5555555555554444"),
            Event::new(vec![0xff, 0x00]),
        ];
        let outcome = testing::run(&mut plugin, events.clone()).unwrap();
        let masked = Event::new("############1111 ############4444").with_header("masked", "2");
        assert_eq!(outcome.kept, [events[0].clone(), masked, events[2].clone()]);
    }

    #[test]
    fn every_mistake_is_reported() {
        let issues = testing::configure::<Redact>(r#"{"pattern": ["ok", "(", "[z-a]"], "mask": "**"}"#);
        let issues = issues.err().unwrap();
        let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["/pattern/1", "/pattern/2", "/mask"]);
        assert_eq!(issues[0].reason, "not a regular expression: error: unclosed group");
        let issues = testing::configure::<Redact>(r#"{"cards": false}"#).err().unwrap();
        assert_eq!(issues[0].path, "");
    }
}
