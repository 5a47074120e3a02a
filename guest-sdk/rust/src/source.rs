//! The trait of a plugin that brings events in by being asked for them.

use std::time::Duration;

use crate::bindings::source::exports::millrace::plugin::source as raw;
use crate::{Events, Failure, Instance, Issue};

/// Brings events in by being asked for them. Sockets and framing stay with the agent: for data that is
/// pushed, write a [`Codec`](crate::Codec) for a source of the agent.
///
/// The agent stores the position in the same commit as the events, so reading is exactly once into a
/// file channel if the position says exactly where reading stands.
///
/// ```
/// use millrace_plugin::{Failure, Instance, Issue, Limits, NoConfig, Pace, Polled, Source};
///
/// struct Countdown {
///     next: u64,
/// }
///
/// impl Source for Countdown {
///     type Config = NoConfig;
///
///     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
///         Ok(Self { next: 3 })
///     }
///
///     fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
///         self.next = match position {
///             None => 3,
///             Some([next]) => (*next).into(),
///             Some(other) => return Err(Failure::Fatal(format!("a position of {} bytes", other.len()))),
///         };
///         Ok(())
///     }
///
///     fn poll(&mut self, limits: Limits) -> Result<Polled, Failure> {
///         let mut polled = Polled::default();
///         while self.next > 0 && limits.has_room(&polled.events, 1) {
///             polled.events.push(self.next.to_string().as_bytes());
///             self.next -= 1;
///         }
///         polled.position = Some(vec![self.next as u8]);
///         polled.pace = if self.next == 0 { Pace::End } else { Pace::Now };
///         Ok(polled)
///     }
/// }
///
/// millrace_plugin::export!(Countdown as source);
/// # use millrace_plugin::testing::{self, Event};
/// # let mut source = testing::configure_source::<Countdown>("{}").unwrap();
/// # let read = testing::read(&mut source, None, Limits { events_max: 2, bytes_max: 100 }).unwrap();
/// # assert_eq!(read.events, ["3", "2", "1"].map(Event::new));
/// ```
pub trait Source: Sized {
    /// The options, as for an [`Interceptor`](crate::Interceptor).
    type Config: serde::de::DeserializeOwned;

    /// Checks the options and makes the instance. Called once, before anything else, and also by
    /// `millrace check`, so it connects to nothing. All mistakes should be reported at once.
    fn configure(config: Self::Config, instance: &Instance) -> Result<Self, Vec<Issue>>;

    /// Starts, or starts again, behind the events of the last position that was committed; none is the
    /// beginning. Called after `configure`, and again after every failure of a call.
    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure>;

    /// Gives what there is, within the limits, without waiting for more. Not called while the channel is
    /// full. The next call may come before the events of this one are durable.
    fn poll(&mut self, limits: Limits) -> Result<Polled, Failure>;

    /// Hears that everything up to this position is durable, to acknowledge it upstream. A crash can skip
    /// it; `open` then gets the same position.
    fn committed(&mut self, _position: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    /// Called last, if the agent has the time, in milliseconds. Nothing may depend on it.
    fn stop(&mut self, _deadline_ms: u32) {}
}

/// How much one answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many events.
    pub events_max: u32,
    /// How many bytes their bodies and headers may have together, but for a first event that is larger.
    pub bytes_max: u32,
}

impl Limits {
    /// Says whether another event of so many bytes may join these. The first one always may.
    pub fn has_room(&self, events: &Events, bytes: usize) -> bool {
        let is_within = events.bytes().saturating_add(bytes) <= self.bytes_max as usize;
        events.len() < self.events_max as usize && (events.is_empty() || is_within)
    }
}

/// One answer of a source. The default is: nothing new, ask again at once.
#[derive(Clone, Debug, Default)]
pub struct Polled {
    /// The events, perhaps none.
    pub events: Events,
    /// Where reading stands behind these events, in a form of the plugin's own, at most 64 KiB. None:
    /// unchanged.
    pub position: Option<Vec<u8>>,
    /// When to ask again.
    pub pace: Pace,
}

/// When to ask a source again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At once: there is more.
    #[default]
    Now,
    /// Not before so long.
    After(Duration),
    /// Never: all has been read.
    End,
}

impl From<Pace> for raw::Pace {
    fn from(pace: Pace) -> Self {
        match pace {
            Pace::Now => Self::Now,
            Pace::After(pause) => Self::After(u32::try_from(pause.as_millis()).unwrap_or(u32::MAX)),
            Pace::End => Self::End,
        }
    }
}

impl From<Polled> for raw::Polled {
    fn from(polled: Polled) -> Self {
        Self { events: polled.events.into(), position: polled.position, pace: polled.pace.into() }
    }
}
