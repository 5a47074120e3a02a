//! From KDL text to a checked specification: documents, includes, options, diagnostics.
//!
//! `text -> Node tree -> AgentSpec`, then the engine checks each component's node against the option table
//! of its factory and gets a [`Section`] with typed values. Nothing here stops at the first mistake: every
//! step returns what it could make of its input together with [`Diagnostics`].
//!
//! This is the only crate that names `kdl`.
//!
//! ```
//! use millrace_config::{MapEnvironment, OptionKind, OptionSpec, Report, check, parse_text};
//!
//! const MEMORY: &[OptionSpec] = &[OptionSpec::with_default(
//!     "capacity",
//!     OptionKind::Integer { min: 1, max: 1_000_000 },
//!     "10000",
//!     "Largest number of events",
//! )];
//! let text = "channels { memory \"m\" { capcity 5 } }\nsources { seq \"s\" channel=\"m\" }\nsinks { null \"n\" channel=\"m\" }";
//! let (spec, mut found) = parse_text("agent.kdl", text, &MapEnvironment::default());
//! assert!(found.is_empty());
//! let (section, more) = check(&spec.channels[0].node, MEMORY, false, &spec.files);
//! found.extend(more);
//! assert_eq!(section.integer("capacity"), 10_000);
//! assert_eq!(
//!     Report::new(&found, &spec.files).render_text(false, 80),
//!     "error[config::unknown-option]: unknown option `capcity` of `memory`
//!  --> agent.kdl:1:25
//! 1 | channels { memory \"m\" { capcity 5 } }
//!   |                         ^^^^^^^ not known here
//!   = help: did you mean `capacity`?
//! "
//! );
//! ```
#![deny(missing_docs)]

mod check;
mod diagnostic;
mod document;
mod environment;
mod expand;
mod explain;
mod json;
mod load;
mod node;
mod option;
mod quantity;
mod reader;
mod repair;
mod report;
mod scan;
mod scripts;
mod section;
mod sink_options;
mod spec;
mod suggest;

pub use check::check;
pub use diagnostic::{Diagnostic, Diagnostics, FileId, Files, Severity, Span};
pub use environment::{Environment, MapEnvironment, SystemEnvironment};
pub use explain::{Explained, ExplainedOption, explain_markdown, explain_options, explain_text};
pub use json::{pointer_name_span, pointer_span, to_json};
pub use load::{load, parse_nodes, parse_text};
pub use node::{Node, Property, Scalar, Spanned};
pub use option::{OptionKind, OptionSpec};
pub use quantity::{QuantityError, parse_duration, parse_size};
pub use reader::{AGENT_OPTIONS, GRANT_OPTIONS, LIMIT_OPTIONS, PLUGIN_OPTIONS, read_plugin};
pub use report::Report;
pub use section::{Section, TextFile, Value};
pub use sink_options::SINK_OPTIONS;
pub use spec::{
    AgentSettings, AgentSpec, ComponentSpec, GroupMember, GroupSpec, PluginSpec, ScriptSpec, SinkSpec,
    SourceSpec,
};
pub use suggest::closest;
