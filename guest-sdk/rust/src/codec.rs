//! The trait of a plugin that turns frames into events and back.

use crate::bindings::codec::exports::millrace::plugin::codec as raw;
use crate::bindings::millrace::plugin::types;
use crate::{Batch, Events, Failure, Instance, Issue, Packed};

/// Turns frames into events and back, for sources and sinks of the agent.
///
/// ```
/// use millrace_plugin::{Batch, Codec, Cut, Events, Failure, Instance, Issue, NoConfig, Packed};
///
/// /// Each frame: one byte with the length, then the body.
/// struct Short;
///
/// impl Codec for Short {
///     type Config = NoConfig;
///
///     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
///         Ok(Self)
///     }
///
///     fn frame(&mut self, bytes: &[u8], _at_end: bool) -> Result<Cut, Failure> {
///         let mut cut = Cut::default();
///         while let [length, rest @ ..] = &bytes[cut.end()..] {
///             if rest.len() < usize::from(*length) {
///                 cut.wanted = 1 + u32::from(*length);
///                 break;
///             }
///             cut.push(1 + usize::from(*length));
///         }
///         Ok(cut)
///     }
///
///     fn decode(&mut self, frame: &[u8], events: &mut Events) -> Result<(), String> {
///         let [_, body @ ..] = frame else { return Err("an empty frame".into()) };
///         events.push(body);
///         Ok(())
///     }
///
///     fn encode(&mut self, batch: &Batch, frames: &mut Packed) -> Result<(), Failure> {
///         for body in batch.bodies() {
///             let length = u8::try_from(body.len()).map_err(|_| Failure::Reject("too long".into()))?;
///             frames.push_with(|out| {
///                 out.push(length);
///                 out.extend_from_slice(body);
///             });
///         }
///         Ok(())
///     }
/// }
///
/// millrace_plugin::export!(Short as codec);
/// # use millrace_plugin::testing::{self, Event};
/// # let mut codec = testing::configure_codec::<Short>("{}").unwrap();
/// # let frames = testing::encode(&mut codec, vec![Event::new("ab"), Event::new("")]).unwrap();
/// # assert_eq!(frames.bytes(), b"\x02ab\0");
/// # let decoded = testing::decode_stream(&mut codec, frames.bytes(), 1).unwrap();
/// # assert_eq!(decoded, [Ok(vec![Event::new("ab")]), Ok(vec![Event::new("")])]);
/// ```
pub trait Codec: Sized {
    /// The options, as for an [`Interceptor`](crate::Interceptor).
    type Config: serde::de::DeserializeOwned;

    /// Checks the options and makes the instance. Called once, before anything else, and also by
    /// `millrace check`. All mistakes should be reported at once.
    fn configure(config: Self::Config, instance: &Instance) -> Result<Self, Vec<Issue>>;

    /// Finds the whole frames at the beginning of a piece of a stream. What is left behind the last frame
    /// comes again, with more behind it, unless `at_end`. [`Failure::Reject`] closes a stream that is
    /// not of this kind.
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Result<Cut, Failure>;

    /// Decodes one whole frame into any number of events. An error refuses the frame, with this reason:
    /// events of it that were pushed before are taken off again, and it goes to the dead-letter channel.
    fn decode(&mut self, frame: &[u8], events: &mut Events) -> Result<(), String>;

    /// Encodes a batch: pushes one byte string for each event. They are written one after the other.
    fn encode(&mut self, batch: &Batch, frames: &mut Packed) -> Result<(), Failure>;

    /// Called last, if the agent has the time, in milliseconds. Nothing may depend on it.
    fn stop(&mut self, _deadline_ms: u32) {}
}

/// Where frames end in a piece of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    ends: Vec<u32>,
    /// How many bytes are needed behind the last frame, at least, before asking again makes sense; 0 where
    /// that is not known.
    pub wanted: u32,
}

impl Cut {
    /// Adds a frame of so many bytes behind the last one. A frame has at least one byte.
    pub fn push(&mut self, bytes: usize) {
        let end = self.end() + bytes;
        assert!(bytes > 0 && end <= u32::MAX as usize, "a frame has between 1 byte and 4 GiB");
        self.ends.push(end as u32);
    }

    /// Says where the last frame ends: where to look for the next one.
    pub fn end(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Gives the place behind each frame.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}

/// Decodes frame by frame, and keeps count.
pub(crate) fn decode_all<T: Codec>(codec: &mut T, frames: &Packed) -> raw::Decoded {
    let mut events = Events::default();
    let mut counts = Vec::with_capacity(frames.len());
    let mut refused = Vec::new();
    for (frame, bytes) in frames.rows() {
        let before = events.len();
        if let Err(reason) = codec.decode(bytes, &mut events) {
            events.truncate(before);
            refused.push(raw::Refusal { frame, failure: types::Failure::Reject(reason) });
        }
        counts.push(events.len().saturating_sub(before) as u32);
    }
    raw::Decoded { events: events.into(), counts, refused }
}

impl From<Cut> for raw::Cut {
    fn from(cut: Cut) -> Self {
        Self { ends: cut.ends, wanted: cut.wanted }
    }
}
