//! What an instance leaves to the next generation when the agent swaps a plugin while it runs.

use crate::bindings::handover::exports::millrace::plugin::handover as raw;

/// For plugins that keep something in memory which the next generation should have. Optional: without it
/// the next generation starts afresh. Exported by `export!(MyPlugin as interceptor + handover)`.
///
/// A crash skips it, so what is kept must be a cache, or something that may be lost.
pub trait Handover {
    /// Gives what the instance keeps. Called between two batches, on the instance that leaves; it gets no
    /// further batch unless the swap is undone. An error leaves the next generation without it.
    fn save(&mut self) -> Result<Snapshot, String>;

    /// Takes over what an instance kept. Called after `configure`, before the first batch. An error, for
    /// example about a schema that is not known, ends the swap, and the old instance goes on.
    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String>;
}

/// What an instance keeps, in a form of the plugin's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of that form.
    pub schema: String,
    /// Its version.
    pub version: u32,
    /// The content.
    pub data: Vec<u8>,
}

impl Snapshot {
    /// Makes a snapshot.
    pub fn new(schema: impl Into<String>, version: u32, data: impl Into<Vec<u8>>) -> Self {
        Self { schema: schema.into(), version, data: data.into() }
    }

    /// Gives the content if it has this form, or else an error that names both.
    pub fn expect(self, schema: &str, version: u32) -> Result<Vec<u8>, String> {
        if self.schema == schema && self.version == version {
            return Ok(self.data);
        }
        Err(format!("expected `{schema}` version {version}, got `{}` version {}", self.schema, self.version))
    }
}

impl From<raw::Snapshot> for Snapshot {
    fn from(snapshot: raw::Snapshot) -> Self {
        Self { schema: snapshot.schema, version: snapshot.version, data: snapshot.data }
    }
}

impl From<Snapshot> for raw::Snapshot {
    fn from(snapshot: Snapshot) -> Self {
        Self { schema: snapshot.schema, version: snapshot.version, data: snapshot.data }
    }
}
