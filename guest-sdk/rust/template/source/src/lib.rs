//! A source that counts: every event is the next number, and the position says which one that is.
//!
//! A place to begin: put what you read in the place of the number, change the options, run `cargo test`.

use std::time::Duration;

use millrace_plugin::{Failure, Instance, Issue, Limits, Pace, Polled, Source};
use serde::Deserialize;

/// The options, as they stand in the configuration of the agent.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// The last number. None: it counts on for ever.
    #[serde(default)]
    last: Option<u64>,
    /// The time between two numbers, in milliseconds; 0 for as many as the agent takes.
    #[serde(default = "one_second")]
    interval_ms: u64,
}

fn one_second() -> u64 {
    1_000
}

struct MyPlugin {
    config: Config,
    next: u64,
}

impl Source for MyPlugin {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, next: 0 })
    }

    /// The position is the next number, as text. The agent stored it together with the events before it.
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
        let count = if self.config.interval_ms == 0 { limits.events_max } else { 1 };
        for _ in 0..count {
            let body = self.next.to_string();
            if self.is_at_end() || !limits.has_room(&polled.events, body.len()) {
                break;
            }
            polled
                .events
                .push(body.as_bytes())
                .header("kind", if self.next % 2 == 0 { "even" } else { "odd" });
            self.next += 1;
        }
        polled.position = Some(self.next.to_string().into_bytes());
        polled.pace = match self.config.interval_ms {
            _ if self.is_at_end() => Pace::End,
            0 => Pace::Now,
            ms => Pace::After(Duration::from_millis(ms)),
        };
        Ok(polled)
    }
}

impl MyPlugin {
    fn is_at_end(&self) -> bool {
        self.config.last.is_some_and(|last| self.next > last)
    }
}

millrace_plugin::export!(MyPlugin as source);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    const LIMITS: Limits = Limits { events_max: 2, bytes_max: 100 };

    fn bodies(events: Vec<Event>) -> Vec<String> {
        events.into_iter().map(|event| String::from_utf8(event.body).unwrap()).collect()
    }

    #[test]
    fn it_counts_to_the_last_number() {
        let mut source = testing::configure_source::<MyPlugin>(r#"{"last": 4, "interval-ms": 0}"#).unwrap();
        let read = testing::read(&mut source, None, LIMITS).unwrap();
        assert_eq!(read.events[1], Event::new("1").with_header("kind", "odd"));
        assert_eq!(bodies(read.events), ["0", "1", "2", "3", "4"]);
        assert_eq!(read.pace, Pace::End);
    }

    #[test]
    fn it_goes_on_behind_the_position() {
        let mut source = testing::configure_source::<MyPlugin>("{}").unwrap();
        let read = testing::read(&mut source, Some(b"41"), LIMITS).unwrap();
        assert_eq!(bodies(read.events), ["41"]);
        assert_eq!(read.position.as_deref(), Some(b"42".as_slice()));
        assert_eq!(read.pace, Pace::After(Duration::from_secs(1)));
    }

    #[test]
    fn a_position_of_something_else_is_refused() {
        let mut source = testing::configure_source::<MyPlugin>("{}").unwrap();
        let answer = testing::read(&mut source, Some(b"x"), LIMITS);
        assert_eq!(answer, Err(Failure::Fatal("the position is no number".into())));
    }
}
