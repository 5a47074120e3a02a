//! A source of endless numbers, one per poll, whose position is the next number, until it would be `turn`: then it goes
//! back to `1`, as if the events behind that had not been read.

use millrace_plugin::{Failure, Instance, Issue, Limits, Polled, Source};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "three")]
    turn: u64,
}

struct SourceBackwards {
    turn: u64,
    next: u64,
}

impl Source for SourceBackwards {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { turn: config.turn, next: 0 })
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        let number = position.and_then(|position| std::str::from_utf8(position).ok()?.parse().ok());
        self.next = number.unwrap_or(0);
        Ok(())
    }

    fn poll(&mut self, _: Limits) -> Result<Polled, Failure> {
        let mut polled = Polled::default();
        polled.events.push(self.next.to_string().as_bytes());
        self.next += 1;
        if self.next == self.turn {
            self.next = 1;
        }
        polled.position = Some(self.next.to_string().into_bytes());
        Ok(polled)
    }
}

millrace_plugin::export!(SourceBackwards as source);

fn three() -> u64 {
    3
}
