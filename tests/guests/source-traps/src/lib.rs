//! A source of endless numbers, one per poll, that panics in the call named by `in` (`open`, `poll` or `committed`) once
//! the number `at` is reached: in `open` and `committed` at that position, in `poll` before it gives that number.
//! With `once`, only an instance that did not begin at that number panics, so a restart gets over it.

use millrace_plugin::{Failure, Instance, Issue, Limits, Polled, Source};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    r#in: Call,
    #[serde(default)]
    at: u64,
    #[serde(default)]
    once: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Call {
    Open,
    Poll,
    Committed,
}

struct SourceTraps {
    config: Config,
    first: u64,
    next: u64,
}

impl Source for SourceTraps {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, first: 0, next: 0 })
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        self.next = position.map_or(0, number);
        self.first = self.next;
        self.check(Call::Open, self.next);
        Ok(())
    }

    fn poll(&mut self, _: Limits) -> Result<Polled, Failure> {
        self.check(Call::Poll, self.next);
        let mut polled = Polled::default();
        polled.events.push(self.next.to_string().as_bytes());
        self.next += 1;
        polled.position = Some(self.next.to_string().into_bytes());
        Ok(polled)
    }

    fn committed(&mut self, position: &[u8]) -> Result<(), Failure> {
        self.check(Call::Committed, number(position));
        Ok(())
    }
}

impl SourceTraps {
    fn check(&self, call: Call, number: u64) {
        let is_over = self.config.once && self.first == self.config.at;
        let is_due = self.config.r#in == call && number >= self.config.at;
        assert!(!is_due || is_over, "asked to panic at {number}");
    }
}

millrace_plugin::export!(SourceTraps as source);

fn number(position: &[u8]) -> u64 {
    std::str::from_utf8(position).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
