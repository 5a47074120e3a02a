//! The Rust side of the WIT package: names, and the types that cross the boundary.
//!
//! Our own structs instead of generated ones: generated types own and copy everything, which costs more than the
//! call itself. wasmtime compares them with the component's own types when a plugin is loaded, so they cannot
//! drift from `wit/` unnoticed.

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Lower};

/// The interfaces by their names, without versions, and the versions of the package that are served.
pub(crate) mod interface {
    pub(crate) const PACKAGE: &str = "millrace:plugin/";
    pub(crate) const TYPES: &str = "millrace:plugin/types";
    pub(crate) const LOG: &str = "millrace:plugin/log";
    pub(crate) const METRICS: &str = "millrace:plugin/metrics";
    pub(crate) const LIFECYCLE: &str = "millrace:plugin/lifecycle";
    pub(crate) const INTERCEPTOR: &str = "millrace:plugin/interceptor";
    pub(crate) const SOURCE: &str = "millrace:plugin/source";
    pub(crate) const SINK: &str = "millrace:plugin/sink";
    pub(crate) const TWO_PHASE: &str = "millrace:plugin/two-phase";
    pub(crate) const CODEC: &str = "millrace:plugin/codec";
    pub(crate) const HANDOVER: &str = "millrace:plugin/handover";
    pub(crate) const CLOCK: &str = "millrace:plugin/clock";
    pub(crate) const STATE: &str = "millrace:plugin/state";
    pub(crate) const HTTP: &str = "millrace:plugin/http";

    /// The versions of the package that are served to components side by side, by their numbers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Version {
        /// What the SDKs build for.
        V0_1,
        /// The next one.
        V0_2,
    }

    impl Version {
        pub(crate) const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

        /// The number that fits all components of this version.
        pub(crate) fn number(self) -> &'static str {
            match self {
                Self::V0_1 => "0.1.0",
                Self::V0_2 => "0.2.0",
            }
        }

        /// An interface in this version.
        pub(crate) fn of(self, interface: &str) -> String {
            format!("{interface}@{}", self.number())
        }

        /// Which version of an interface a name means, if it is one that is served.
        pub(crate) fn find(name: &str, interface: &str) -> Option<Self> {
            Self::ALL.into_iter().find(|version| crate::imports::is_compatible(name, &version.of(interface)))
        }
    }

    /// The versions as people say them.
    pub(crate) fn served() -> String {
        let short = |version: Version| version.number().trim_end_matches(".0");
        Version::ALL.map(short).join(" and ")
    }
}

/// Stands for the batch of the call under way; it lives in the store, so the handle carries nothing.
pub(crate) enum LentBatch {}

/// Name and value.
pub(crate) type Header = (String, String);

#[derive(Debug, Clone, Default, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Packed {
    pub(crate) bytes: Bytes,
    pub(crate) ends: Vec<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct HeaderTable {
    pub(crate) names: Vec<String>,
    pub(crate) counts: Vec<u32>,
    #[component(name = "name-ids")]
    pub(crate) name_ids: Vec<u32>,
    pub(crate) values: Packed,
}

#[derive(Debug, Clone, Default, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct PackedEvents {
    pub(crate) headers: HeaderTable,
    pub(crate) bodies: Packed,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct OneEvent {
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Bytes,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct BodyEdits {
    pub(crate) rows: Vec<u32>,
    pub(crate) bodies: Packed,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct HeaderEdit {
    pub(crate) name: String,
    pub(crate) rows: Vec<u32>,
    pub(crate) values: Packed,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct HeaderRemoval {
    pub(crate) name: String,
    pub(crate) rows: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Splits {
    pub(crate) rows: Vec<u32>,
    pub(crate) counts: Vec<u32>,
    pub(crate) events: PackedEvents,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct LabelledRows {
    pub(crate) label: String,
    pub(crate) rows: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Edit {
    #[component(name = "drop")]
    Drop(Vec<u32>),
    #[component(name = "set-bodies")]
    SetBodies(BodyEdits),
    #[component(name = "set-header")]
    SetHeader(HeaderEdit),
    #[component(name = "set-header-on-all")]
    SetHeaderOnAll(Header),
    #[component(name = "remove-header")]
    RemoveHeader(HeaderRemoval),
    #[component(name = "remove-header-on-all")]
    RemoveHeaderOnAll(String),
    #[component(name = "split")]
    Split(Splits),
    #[component(name = "route")]
    Route(LabelledRows),
    #[component(name = "reject")]
    Reject(LabelledRows),
}

/// What an instance answers instead of edits.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Failure {
    /// Later, not before this many milliseconds.
    #[component(name = "retry")]
    Retry(Option<u32>),
    /// Never.
    #[component(name = "reject")]
    Reject(String),
    /// The instance is broken.
    #[component(name = "fatal")]
    Fatal(String),
}

/// Why a request of the `state` interface is refused.
#[expect(dead_code, reason = "the package has this case for stores that can fail; the one there is cannot")]
#[derive(Debug, Clone, PartialEq, ComponentType, Lower)]
#[component(variant)]
pub(crate) enum StateFailure {
    #[component(name = "quota")]
    Quota,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "denied")]
    Denied,
    #[component(name = "unavailable")]
    Unavailable(String),
}

#[expect(dead_code, reason = "only ever made out of what a guest passes")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// Who an instance is; the guest's `lifecycle.instance`.
#[derive(Debug, Clone, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Identity {
    pub(crate) agent: String,
    pub(crate) component: String,
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    pub(crate) generation: u64,
}

/// The same since 0.2, where an instance also learns which agent runs it.
#[derive(Debug, Clone, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct IdentityV2 {
    pub(crate) agent: String,
    #[component(name = "agent-version")]
    pub(crate) agent_version: &'static str,
    pub(crate) component: String,
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    pub(crate) generation: u64,
}

impl From<Identity> for IdentityV2 {
    fn from(identity: Identity) -> Self {
        let Identity { agent, component, lane, lanes, generation } = identity;
        Self { agent, agent_version: env!("CARGO_PKG_VERSION"), component, lane, lanes, generation }
    }
}

/// A mistake in the configuration, as the guest sees it.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Issue {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// What an instance leaves to the next generation.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Snapshot {
    pub(crate) schema: String,
    pub(crate) version: u32,
    pub(crate) data: Bytes,
}

/// When a source wants to be asked again.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Pace {
    /// At once.
    #[component(name = "now")]
    Now,
    /// Not before this many milliseconds.
    #[component(name = "after")]
    After(u32),
    /// Never.
    #[component(name = "end")]
    End,
}

/// One answer of a source.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Polled {
    pub(crate) events: PackedEvents,
    pub(crate) position: Option<Bytes>,
    pub(crate) pace: Pace,
}

/// Which batch a sink gets; the guest's `sink.delivery`.
#[derive(Debug, Clone, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct DeliveryNote {
    pub(crate) id: String,
    pub(crate) attempt: u32,
}

/// A row that a sink did not take.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct RowRefusal {
    pub(crate) row: u32,
    pub(crate) failure: Failure,
}

/// How far a sink got.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Outcome {
    #[component(name = "delivered")]
    Delivered,
    #[component(name = "partial")]
    Partial(Vec<RowRefusal>),
}

/// A frame that a codec could not decode.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct FrameRefusal {
    pub(crate) frame: u32,
    pub(crate) failure: Failure,
}

/// The events of many frames.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Decoded {
    pub(crate) events: PackedEvents,
    pub(crate) counts: Vec<u32>,
    pub(crate) refused: Vec<FrameRefusal>,
}

/// The frames at the beginning of a piece of a stream.
#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Cut {
    pub(crate) ends: Vec<u32>,
    pub(crate) wanted: u32,
}

type Lent = wasmtime::component::Resource<LentBatch>;

pub(crate) type ConfigureParams = (String, Identity);
pub(crate) type ConfigureParamsV2 = (String, IdentityV2);
pub(crate) type ConfigureResults = (Result<(), Vec<Issue>>,);
pub(crate) type StopParams = (u32,);
pub(crate) type InterceptParams = (Lent,);
pub(crate) type InterceptResults = (Result<Vec<Edit>, Failure>,);
pub(crate) type SaveResults = (Result<Snapshot, String>,);
pub(crate) type RestoreParams = (Snapshot,);
pub(crate) type RestoreResults = (Result<(), String>,);
pub(crate) type OpenParams = (Option<Bytes>,);
pub(crate) type PollParams = (u32, u32);
pub(crate) type PollResults = (Result<Polled, Failure>,);
pub(crate) type CommittedParams = (Bytes,);
pub(crate) type DeliverParams = (Lent, DeliveryNote);
pub(crate) type DeliverResults = (Result<Outcome, Failure>,);
pub(crate) type PrepareParams = (String,);
pub(crate) type PrepareResults = (Result<Bytes, Failure>,);
pub(crate) type TokenParams = (Bytes,);
pub(crate) type RecoverParams = (Vec<Bytes>,);
pub(crate) type FrameParams = (Bytes, bool);
pub(crate) type FrameResults = (Result<Cut, Failure>,);
pub(crate) type DecodeParams = (Packed,);
pub(crate) type DecodeResults = (Result<Decoded, Failure>,);
pub(crate) type EncodeParams = (Lent,);
pub(crate) type EncodeResults = (Result<Packed, Failure>,);
/// Of functions that only succeed or fail: `open`, `committed`, `commit`, `abort`, `recover`.
pub(crate) type DoneResults = (Result<(), Failure>,);
