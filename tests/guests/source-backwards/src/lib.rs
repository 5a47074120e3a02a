//! A source whose position goes backwards: the events `0` to `9`, one per poll, at the positions `9` down to `0`. The
//! form of a position is the plugin's own, so this must read on like any other.

use millrace_plugin::{Failure, Instance, Issue, Limits, NoConfig, Pace, Polled, Source};

struct SourceBackwards {
    left: u8,
}

impl Source for SourceBackwards {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { left: 10 })
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        self.left = match position {
            None => 10,
            Some([digit @ b'0'..=b'9']) => digit - b'0',
            Some(_) => return Err(Failure::Fatal("the position is no digit".into())),
        };
        Ok(())
    }

    fn poll(&mut self, _: Limits) -> Result<Polled, Failure> {
        let mut polled = Polled::default();
        if self.left > 0 {
            polled.events.push((10 - self.left).to_string().as_bytes());
            self.left -= 1;
        }
        polled.position = Some(self.left.to_string().into_bytes());
        polled.pace = if self.left == 0 { Pace::End } else { Pace::Now };
        Ok(polled)
    }
}

millrace_plugin::export!(SourceBackwards as source);
