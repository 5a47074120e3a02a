//! A codec of lines that breaks on the line `poison`. `in` says in which call (`frame`, `decode`, `encode`, or `stop`, where
//! no line is needed), `kind` what it does there: `traps`, `loops`, or `lies` (`frame` cuts behind the end, `encode` gives
//! one byte string too many).

use millrace_plugin::{Batch, Codec, Cut, Events, Failure, Instance, Issue, Packed};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    r#in: Call,
    #[serde(default)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Call {
    Frame,
    Decode,
    Encode,
    Stop,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Traps,
    Loops,
    Lies,
}

struct CodecBreaks {
    config: Config,
}

impl Codec for CodecBreaks {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config })
    }

    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Result<Cut, Failure> {
        let mut cut = Cut::default();
        while let Some(length) = bytes[cut.end()..].iter().position(|byte| *byte == b'\n') {
            if self.is_lying(Call::Frame, &bytes[cut.end()..][..length]) {
                cut.push(bytes.len() + 1);
                return Ok(cut);
            }
            cut.push(length + 1);
        }
        if at_end && cut.end() < bytes.len() {
            cut.push(bytes.len() - cut.end());
        }
        Ok(cut)
    }

    fn decode(&mut self, frame: &[u8], events: &mut Events) -> Result<(), String> {
        let line = frame.strip_suffix(b"\n").unwrap_or(frame);
        self.is_lying(Call::Decode, line);
        events.push(line);
        Ok(())
    }

    fn encode(&mut self, batch: &Batch, frames: &mut Packed) -> Result<(), Failure> {
        for body in batch.bodies() {
            if self.is_lying(Call::Encode, body) {
                frames.push_with(|out| out.push(b'?'));
            }
            frames.push_with(|out| {
                out.extend_from_slice(body);
                out.push(b'\n');
            });
        }
        Ok(())
    }

    fn stop(&mut self, _: u32) {
        assert!(self.config.r#in != Call::Stop, "asked to panic in stop");
    }
}

impl CodecBreaks {
    /// Does what was asked for with this line. True: the answer shall be wrong.
    fn is_lying(&self, call: Call, line: &[u8]) -> bool {
        if self.config.r#in != call || line != b"poison" {
            return false;
        }
        match self.config.kind {
            Kind::Traps => panic!("asked to panic in {call:?}"),
            Kind::Loops => {
                let mut turns = 0_u64;
                loop {
                    turns = std::hint::black_box(turns.wrapping_add(1));
                }
            }
            Kind::Lies => true,
        }
    }
}

millrace_plugin::export!(CodecBreaks as codec);
