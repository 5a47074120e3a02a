//! The agent's surroundings: environment variables, width and colours of the terminal. The only place that
//! reads them.
#![expect(clippy::disallowed_methods, reason = "this is where the command line reads the environment")]

use std::{io::IsTerminal, path::PathBuf};

use millrace_config::SystemEnvironment;

/// What `${env:…}` and `${file:…}` read.
pub(crate) fn environment() -> SystemEnvironment {
    SystemEnvironment::new(|name| std::env::var(name).ok())
}

/// Whether to colour what goes to standard output.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Whether to colour what goes to standard error.
pub(crate) fn colour_errors() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Where things are kept that can be had again: `$XDG_CACHE_HOME/millrace`, otherwise `~/.cache/millrace`.
pub(crate) fn cache_folder() -> PathBuf {
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(home).unwrap_or_else(std::env::temp_dir).join("millrace")
}

/// Columns of the terminal, where they are known.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .filter(|width| *width >= 40)
        .unwrap_or(100)
}
