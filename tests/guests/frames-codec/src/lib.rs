//! A codec of frames: the bytes 0x4D 0x52, the length of the payload as a u32 with the big end first, the payload, which
//! is the body of one event. Another magic, or more than 1 MiB, is not of this kind; the payload `bad` is refused,
//! an empty one makes no event.

use millrace_plugin::{Batch, Codec, Cut, Events, Failure, Instance, Issue, NoConfig, Packed};

const MAGIC: [u8; 2] = [0x4D, 0x52];
const HEAD_BYTES: usize = 6;
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

struct FramesCodec;

impl Codec for FramesCodec {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Result<Cut, Failure> {
        let mut cut = Cut::default();
        loop {
            let rest = &bytes[cut.end()..];
            if !MAGIC.starts_with(&rest[..rest.len().min(2)]) {
                return Err(Failure::Reject("a frame begins with 0x4D 0x52".into()));
            }
            let Some((head, payload)) = rest.split_first_chunk::<HEAD_BYTES>() else {
                cut.wanted = HEAD_BYTES as u32;
                break;
            };
            let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
            if length > PAYLOAD_BYTES_MAX {
                return Err(Failure::Reject(format!("a payload of {length} bytes is over the limit")));
            }
            if payload.len() < length {
                cut.wanted = (HEAD_BYTES + length) as u32;
                break;
            }
            cut.push(HEAD_BYTES + length);
        }
        if at_end && cut.end() < bytes.len() {
            return Err(Failure::Reject("the last frame is not whole".into()));
        }
        Ok(cut)
    }

    fn decode(&mut self, frame: &[u8], events: &mut Events) -> Result<(), String> {
        match frame.get(HEAD_BYTES..) {
            None => Err("the frame is too short".into()),
            Some(b"bad") => Err("the payload is bad".into()),
            Some(b"") => Ok(()),
            Some(payload) => {
                events.push(payload);
                Ok(())
            }
        }
    }

    fn encode(&mut self, batch: &Batch, frames: &mut Packed) -> Result<(), Failure> {
        for body in batch.bodies() {
            frames.push_with(|out| {
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&(body.len() as u32).to_be_bytes());
                out.extend_from_slice(body);
            });
        }
        Ok(())
    }
}

millrace_plugin::export!(FramesCodec as codec);
