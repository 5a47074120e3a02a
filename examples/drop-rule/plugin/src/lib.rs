//! Drops events whose body contains one of the configured texts.
//!
//! The smallest plugin that does real work, and the one to swap while the agent runs.

use millrace_plugin::{Batch, Edits, Failure, Finder, Instance, Interceptor, Issue, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Events that contain any of these are dropped.
    #[serde(deserialize_with = "millrace_plugin::one_or_many")]
    contains: Vec<String>,
}

struct DropRule {
    needles: Vec<Finder>,
}

impl Interceptor for DropRule {
    type Config = Config;

    fn configure(config: Config, instance: &Instance) -> Result<Self, Vec<Issue>> {
        if config.contains.is_empty() {
            return Err(vec![Issue::new("/contains", "expected at least one text")]);
        }
        let empty = config.contains.iter().any(String::is_empty);
        if empty {
            return Err(vec![Issue::new("/contains", "an empty text would drop every event")]);
        }
        log::debug!("generation {}: {} texts", instance.generation, config.contains.len());
        Ok(Self { needles: config.contains.into_iter().map(Finder::new).collect() })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for needle in &self.needles {
            edits.drop_rows(needle.rows(batch.bodies()));
        }
        Ok(())
    }
}

millrace_plugin::export!(DropRule);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    fn kept(config: &str, bodies: &[&str]) -> Vec<String> {
        let mut rule = testing::configure::<DropRule>(config).unwrap();
        let events = bodies.iter().map(|body| Event::new(*body)).collect();
        let kept = testing::run(&mut rule, events).unwrap().kept;
        kept.into_iter().map(|event| String::from_utf8(event.body).unwrap()).collect()
    }

    #[test]
    fn events_that_contain_the_text_are_dropped() {
        let config = r#"{"contains": "debug"}"#;
        assert_eq!(kept(config, &["a debug line", "debu", "", "xdebug"]), ["debu", ""]);
    }

    #[test]
    fn an_event_that_contains_several_of_the_texts_is_dropped_once() {
        let config = r#"{"contains": ["one", "two"]}"#;
        assert_eq!(kept(config, &["two one", "three", "two"]), ["three"]);
    }

    #[test]
    fn an_empty_text_is_refused() {
        let issues = testing::configure::<DropRule>(r#"{"contains": ""}"#).err().unwrap();
        assert_eq!(issues, [Issue::new("/contains", "an empty text would drop every event")]);
    }
}
