//! The model of the agent: events, batches, the traits of every kind of component, and the path from a
//! source through interceptors and a selector into channels.
//!
//! Nothing here does I/O, spawns a task or reads a clock; KDL and WebAssembly are unknown here. What needs
//! the outside (clock, positions on disk, plugins) is a trait that the engine fills in.
//!
//! | module | holds |
//! |---|---|
//! | `event`, `batch` | what flows |
//! | `source`, `interceptor`, `selector`, `channel`, `sink` | the traits |
//! | `channel_processor` | hops 2 to 5: interceptors, selector, two-phase put |
//! | `swap` | replacing an interceptor while batches flow |
//! | `position`, `state` | what becomes durable together with events |
//! | `factory`, `registry`, `wiring` | how components are declared, found and connected |
//! | `error` | what went wrong and whether to try again |
//! | `metrics`, `health` | what components report about themselves |
#![deny(missing_docs)]

mod backoff;
mod batch;
mod channel;
mod channel_processor;
mod clock;
mod codec;
mod dead_letter;
mod delivery;
mod error;
mod event;
mod factory;
mod health;
mod interceptor;
mod metrics;
mod plugin;
mod position;
mod registry;
mod selector;
mod sink;
mod source;
mod state;
mod swap;
mod wiring;

pub use backoff::Backoff;
pub use batch::{Batch, BatchLimit, Destination, Diverted};
pub use bytestring::ByteString;
pub use channel::{Channel, ChannelStats, PutTransaction, Reconfigured, TakeTransaction};
pub use channel_processor::{ChannelProcessor, Pipeline, PipelineChannel, PipelineInterceptor};
pub use clock::Clock;
pub use codec::{Codec, CodecError, Decoded, Encoded};
pub use dead_letter::{Rejection, dead_letter_event};
pub use delivery::{Delivery, DeliveryToken, Taken};
pub use error::{
    BoxError, ChannelError, InterceptorError, ProcessError, Refusal, Retry, SinkError, SourceError,
};
pub use event::{Event, Headers};
pub use factory::{
    BuildContext, ChannelFactory, InterceptorFactory, Member, SelectorContext, SelectorFactory, SinkFactory,
    SinkProcessorFactory, SourceFactory,
};
pub use health::{Health, HealthState};
pub use interceptor::Interceptor;
pub use metrics::{ChannelMetrics, InterceptorMetrics, Labels, Metrics, SinkMetrics, SourceMetrics};
pub use plugin::{NoPlugins, PluginHost};
pub use position::{PositionStore, PositionUpdate, Positions};
pub use registry::Registry;
pub use selector::{Route, Selector, Way};
pub use sink::Sink;
pub use source::{BoundSocket, Listen, Source, SourceContext};
pub use state::{
    STATE_ENTRY_BYTES, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateError, StateStore, StateStores,
    StateTransaction, StateWrites, is_state_owner,
};
pub use swap::{SwapState, SwapStatus, Takeover};
pub use wiring::{WiredChannel, WiredSink, WiredSource, Wiring, WiringRule};
