//! A source of endless numbers, one per poll, that breaks a rule once the number `at` is reached. `kind` is `loops` (poll does
//! not come back), `allocates`, `recurses`, `too-many` (ten times the events that were asked for), `huge-position`, `gives-up`
//! (fails for good), `later` (asks for a pause), or `spins` (has nothing, and wants to be asked again at once). With `stop`
//! it breaks no rule, but panics while it is stopped.

use millrace_plugin::{Failure, Instance, Issue, Limits, Polled, Source};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    kind: Kind,
    #[serde(default)]
    at: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Loops,
    Allocates,
    Recurses,
    TooMany,
    HugePosition,
    GivesUp,
    Later,
    Spins,
    Stop,
}

struct SourceBreaks {
    config: Config,
    next: u64,
}

impl Source for SourceBreaks {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, next: 0 })
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        let number = position.and_then(|position| std::str::from_utf8(position).ok()?.parse().ok());
        self.next = number.unwrap_or(0);
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled, Failure> {
        let mut polled = Polled::default();
        let is_due = self.next >= self.config.at;
        if is_due {
            match self.config.kind {
                Kind::Loops => spin(),
                Kind::Allocates => hoard(),
                Kind::Recurses => drop(std::hint::black_box(deeper(1))),
                Kind::TooMany => {
                    for _ in 0..u64::from(limits.events_max) * 10 {
                        polled.events.push(b"one too many");
                    }
                    return Ok(polled);
                }
                Kind::HugePosition => {
                    polled.position = Some(vec![b'x'; 1 << 20]);
                    return Ok(polled);
                }
                Kind::GivesUp => return Err(Failure::Fatal("asked to give up".into())),
                Kind::Later => return Err(Failure::Retry(None)),
                Kind::Spins | Kind::Stop => return Ok(polled),
            }
        }
        polled.events.push(self.next.to_string().as_bytes());
        self.next += 1;
        polled.position = Some(self.next.to_string().into_bytes());
        Ok(polled)
    }

    fn stop(&mut self, _: u32) {
        assert!(!matches!(self.config.kind, Kind::Stop), "asked to panic in stop");
    }
}

millrace_plugin::export!(SourceBreaks as source);

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&hoard);
    }
}

// Using the result behind the call keeps it from becoming a loop.
#[expect(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth) + 1)) + depth
}
