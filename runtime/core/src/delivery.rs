//! Which batch a sink is given: what lets a destination recognise one that comes again.

use bytes::Bytes;
use bytestring::ByteString;

/// Names a delivery that was prepared at its destination and is not yet shown to readers.
pub type DeliveryToken = Bytes;

/// The name of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Unique across agents and restarts. The same id always is the same events in the same order.
    pub id: ByteString,
    /// 1, then one more each time the same id is tried again, across restarts too.
    pub attempt: u32,
}

/// Which rows a take transaction holds, in the numbering of its channel, which a restart does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Taken {
    /// How many events.
    pub events: u64,
    /// The place of the first one: ascends from one event of the channel to the next.
    pub first: (u64, u32),
    /// A checksum over the places of all of them.
    pub checksum: u32,
}
