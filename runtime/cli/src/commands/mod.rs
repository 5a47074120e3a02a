//! One file per command.

pub(crate) mod check;
pub(crate) mod explain;
mod explain_plugin;
pub(crate) mod generate;
pub(crate) mod graph;
pub(crate) mod log_level;
pub(crate) mod plugin;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod status;
