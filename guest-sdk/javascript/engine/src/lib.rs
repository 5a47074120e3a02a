//! The script engine of Millrace: runs a JavaScript file as an interceptor.
//!
//! A plugin like any other. Its options are `{"script": {"name", "source", …}, "options": {…}}`: the agent puts the
//! text of the file there, and what else stands in the interceptor's section is for the script's own `configure`.
//!
//! | module | holds |
//! |---|---|
//! | `script` | one script: loading, `configure`, one call per batch |
//! | `thrown` | what an exception means, and where it came from |
//! | `call` | the batch under way and the edits noted so far |
//! | `value` | from JavaScript values to Rust and back |
//! | `api` | what scripts can call |
//! | `prelude.js` | the part of it that is JavaScript: `Event`, `console`, the failures |
//!
//! Nothing here is a border of trust: the engine runs inside of the sandbox, with the limits of a plugin.

mod api;
mod call;
mod script;
mod thrown;
mod value;

millrace_plugin::export!(script::Script);
