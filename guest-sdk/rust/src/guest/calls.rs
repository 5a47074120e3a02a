//! The calls of each role: from the types of the bindings to the trait of the plugin, and back.

use super::Slot;
use crate::bindings::codec::exports::millrace::plugin::codec;
use crate::bindings::handover::exports::millrace::plugin::handover;
use crate::bindings::millrace::plugin::types;
use crate::bindings::sink::exports::millrace::plugin::sink;
use crate::bindings::source::exports::millrace::plugin::source;
use crate::codec::decode_all;
use crate::{Batch, Codec, Edits, Handover, Interceptor, Limits, Packed, Sink, Source, TwoPhase};

impl<T: Interceptor> Slot<T> {
    /// Passes a batch to the instance and its edits back.
    pub fn intercept(&self, batch: &types::Batch) -> Result<Vec<types::Edit>, types::Failure> {
        self.call(|plugin| {
            let mut edits = Edits::default();
            plugin.intercept(&Batch::lent(batch), &mut edits)?;
            Ok(edits.finish())
        })
    }
}

impl<T: Source> Slot<T> {
    /// Starts reading behind a position.
    pub fn open(&self, position: Option<Vec<u8>>) -> Result<(), types::Failure> {
        self.call(|plugin| Ok(plugin.open(position.as_deref())?))
    }

    /// Asks for events.
    pub fn poll(&self, events_max: u32, bytes_max: u32) -> Result<source::Polled, types::Failure> {
        self.call(|plugin| Ok(plugin.poll(Limits { events_max, bytes_max })?.into()))
    }

    /// Says what is durable.
    pub fn committed(&self, position: Vec<u8>) -> Result<(), types::Failure> {
        self.call(|plugin| Ok(plugin.committed(&position)?))
    }
}

impl<T: Sink> Slot<T> {
    /// Passes a batch to the instance.
    pub fn deliver(
        &self,
        batch: &types::Batch,
        delivery: sink::Delivery,
    ) -> Result<sink::Outcome, types::Failure> {
        self.call(|plugin| Ok(plugin.deliver(&Batch::lent(batch), &delivery.into())?.into()))
    }
}

impl<T: TwoPhase> Slot<T> {
    /// Makes what was staged survive a crash.
    pub fn prepare(&self, delivery: &str) -> Result<Vec<u8>, types::Failure> {
        self.call(|plugin| Ok(plugin.prepare(delivery)?))
    }

    /// Shows it to readers.
    pub fn commit(&self, token: &[u8]) -> Result<(), types::Failure> {
        self.call(|plugin| Ok(plugin.commit(token)?))
    }

    /// Takes it back.
    pub fn abort(&self, token: &[u8]) -> Result<(), types::Failure> {
        self.call(|plugin| Ok(plugin.abort(token)?))
    }

    /// Settles what a crash left open.
    pub fn recover(&self, tokens: Vec<Vec<u8>>) -> Result<(), types::Failure> {
        self.call(|plugin| Ok(plugin.recover(tokens)?))
    }
}

impl<T: Codec> Slot<T> {
    /// Finds frames in a piece of a stream.
    pub fn frame(&self, bytes: &[u8], at_end: bool) -> Result<codec::Cut, types::Failure> {
        self.call(|plugin| Ok(plugin.frame(bytes, at_end)?.into()))
    }

    /// Decodes frames.
    pub fn decode(&self, frames: types::Packed) -> Result<codec::Decoded, types::Failure> {
        self.call(|plugin| Ok(decode_all(plugin, &frames.into())))
    }

    /// Encodes a batch.
    pub fn encode(&self, batch: &types::Batch) -> Result<types::Packed, types::Failure> {
        self.call(|plugin| {
            let mut frames = Packed::new();
            plugin.encode(&Batch::lent(batch), &mut frames)?;
            Ok(frames.into())
        })
    }
}

impl<T: Handover> Slot<T> {
    /// Asks for what the instance keeps.
    pub fn save(&self) -> Result<handover::Snapshot, String> {
        self.call(|plugin| plugin.save().map(Into::into))
    }

    /// Hands over what another instance kept.
    pub fn restore(&self, snapshot: handover::Snapshot) -> Result<(), String> {
        self.call(|plugin| plugin.restore(snapshot.into()))
    }
}
