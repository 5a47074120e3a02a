//! A source of numbers: the events `0`, `1` and so on up to and with `last` (without end where it is not given),
//! `per-poll` of them at a time. The position is the next number, in decimal. Every answer but the last asks to be
//! called again after `pace-ms`, at once where that is 0.

use std::time::Duration;

use millrace_plugin::{Failure, Instance, Issue, Limits, Pace, Polled, Source};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "one")]
    per_poll: u32,
    #[serde(default)]
    last: Option<u64>,
    #[serde(default)]
    pace_ms: u64,
}

struct CountsSource {
    config: Config,
    next: u64,
}

impl Source for CountsSource {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, next: 0 })
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        let number = |position| std::str::from_utf8(position).ok()?.parse().ok();
        self.next = match position {
            None => 0,
            Some(position) => {
                number(position).ok_or_else(|| Failure::Fatal("the position is no number".into()))?
            }
        };
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled, Failure> {
        let mut polled = Polled::default();
        while !self.is_at_end() && polled.events.len() < self.config.per_poll as usize {
            let body = self.next.to_string();
            if !limits.has_room(&polled.events, body.len()) {
                break;
            }
            polled.events.push(body.as_bytes());
            self.next += 1;
        }
        polled.position = Some(self.next.to_string().into_bytes());
        polled.pace = match self.config.pace_ms {
            _ if self.is_at_end() => Pace::End,
            0 => Pace::Now,
            ms => Pace::After(Duration::from_millis(ms)),
        };
        Ok(polled)
    }
}

impl CountsSource {
    fn is_at_end(&self) -> bool {
        self.config.last.is_some_and(|last| self.next > last)
    }
}

millrace_plugin::export!(CountsSource as source);

fn one() -> u32 {
    1
}
