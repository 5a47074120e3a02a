//! Replacing an interceptor by its next version while batches flow.

/// A version that is ready to take the place of the one before it. Everything that can fail is done. Where the two
/// hand over what they keep in memory, batches wait until this is completed or dropped; dropped means that the
/// one before goes on as if nothing had been.
pub trait Takeover: Send {
    /// The new version gets all further batches, or its trial begins. What an operator should know about it, line by
    /// line.
    fn complete(self: Box<Self>) -> Vec<String>;
}

/// How far the replacement of a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapState {
    /// The new version is being watched; the old one is kept.
    Trial,
    /// The new version is in force.
    Promoted,
    /// The old version is in force again.
    RolledBack,
}

/// The last replacement of an interceptor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SwapStatus {
    /// `immediate`, `canary` or `shadow`.
    pub mode: &'static str,
    /// How far it is.
    pub state: SwapState,
    /// When it began, in milliseconds since 1970.
    pub since_unix_millis: u64,
    /// When the trial ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_unix_millis: Option<u64>,
    /// The generation that was in force before.
    pub old_generation: u64,
    /// The generation that replaces it.
    pub new_generation: u64,
    /// The generation whose results count now.
    pub running_generation: u64,
    /// Batches since it began.
    pub batches: u64,
    /// Events that the new version worked on since then.
    pub events: u64,
    /// Events of earlier batches on which both versions were compared beforehand.
    pub events_replayed: u64,
    /// On how many of those they differ.
    pub events_replayed_differing: u64,
    /// Events of live batches on which both versions were compared.
    pub events_compared: u64,
    /// On how many of those they differ.
    pub events_differing: u64,
    /// Batches that the new version broke on, or refused, and the old one did not.
    pub faults: u64,
    /// Why it was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The first differences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}
