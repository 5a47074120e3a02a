//! The running agent: plan, supervision, sink runners, reload, shutdown.
//!
//! `AgentSpec -> AgentPlan -> Agent`. The plan is the only place that knows the registry; the agent runs what
//! the plan says; a reload is the difference of two plans. No component is known by name here.
//!
//! | module | holds |
//! |---|---|
//! | `plan` | names and options checked against factories |
//! | `build` | instances out of a plan |
//! | `sockets` | listening sockets, which outlive the sources that use them |
//! | `source_runner`, `sink_runner` | supervision of one source, of one sink or sink group |
//! | `agent` | what runs, start and shutdown |
//! | `reload` | difference of two plans and its application |
//! | `watch` | files whose change asks for a reload |
//! | `status` | the answer to "how is it doing" |

mod agent;
mod build;
mod channels;
mod delivery_ledger;
mod plan;
mod reload;
mod sink_runner;
mod sockets;
mod source_runner;
mod status;
mod watch;

pub use agent::{Agent, AgentHandle, Loader, Services, StartError};
pub use build::{endless, validate};
pub use plan::{AgentPlan, ChannelPlan, DeliveryPlan, InterceptorPlan, SelectorPlan, SinkTree, SourcePlan};
pub use reload::{Action, Change, Outcome, ReloadReport};
pub use status::{AgentStatus, ChannelStatus, ComponentStatus};
pub use watch::watch;
