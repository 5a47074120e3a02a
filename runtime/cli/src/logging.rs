//! The agent's own log: text or JSON on standard error, with a filter that can change while it runs.

use millrace_admin::LogLevel;
use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

use crate::args::LogFormat;

/// Changes the filter of the running log.
pub(crate) struct LogFilter {
    handle: Handle<EnvFilter, Registry>,
}

/// Starts logging.
pub(crate) fn start(filter: &str, format: LogFormat) -> anyhow::Result<LogFilter> {
    let filter = parse(filter).map_err(|error| anyhow::anyhow!("--log: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(crate::place::colour_errors());
    match format {
        LogFormat::Text => registry.with(lines).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(LogFilter { handle })
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| {
        format!("`{filter}` is no filter ({error}); use error, warn, info, debug, trace or `info,millrace_engine=debug`")
    })
}

impl LogLevel for LogFilter {
    fn current(&self) -> String {
        self.handle.with_current(ToString::to_string).unwrap_or_else(|error| error.to_string())
    }

    fn change(&self, filter: &str) -> Result<(), String> {
        self.handle.reload(parse(filter)?).map_err(|error| error.to_string())?;
        tracing::info!(filter, "log filter changed");
        Ok(())
    }
}
