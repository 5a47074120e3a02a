//! Log lines, which go to the log of the agent with the name of the component.
//!
//! ```
//! use millrace_plugin::log;
//!
//! let dropped = 3;
//! log::info!("dropped {dropped} events");
//! log::warn!("odd line"; "row" => 17, "why" => "no date");
//! ```
//!
//! Text is only built when the agent keeps lines of that level. Each plugin has a quota.

#[cfg(target_arch = "wasm32")]
use crate::bindings::millrace::plugin::log as host;

#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace, __log_warn as warn,
};

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step, for the author of the plugin.
    Trace,
    /// What helps to find a mistake.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is odd, and the plugin went on.
    Warn,
    /// Something went wrong.
    Error,
}

/// Says whether a line of this level would be kept.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_arch = "wasm32")]
    return host::enabled(level.into());
    #[cfg(not(target_arch = "wasm32"))]
    return level >= Level::Info;
}

/// Writes one line, with named values. It never fails.
pub fn emit(level: Level, text: &str, fields: &[(String, String)]) {
    #[cfg(target_arch = "wasm32")]
    host::emit(level.into(), text, fields);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {text} {fields:?}");
}

#[cfg(target_arch = "wasm32")]
impl From<Level> for host::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// Writes a line at any level: what the five macros share.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_line {
    ($level:ident, $($format:expr),+ $(; $($name:expr => $value:expr),+)?) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            let fields: &[(::std::string::String, ::std::string::String)] =
                &[$($((::std::string::ToString::to_string(&$name), ::std::string::ToString::to_string(&$value))),+)?];
            $crate::log::emit($crate::log::Level::$level, &::std::format!($($format),+), fields);
        }
    };
}

/// Writes a line of level `trace`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace { ($($line:tt)+) => { $crate::__log_line!(Trace, $($line)+) }; }

/// Writes a line of level `debug`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug { ($($line:tt)+) => { $crate::__log_line!(Debug, $($line)+) }; }

/// Writes a line of level `info`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info { ($($line:tt)+) => { $crate::__log_line!(Info, $($line)+) }; }

/// Writes a line of level `warn`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn { ($($line:tt)+) => { $crate::__log_line!(Warn, $($line)+) }; }

/// Writes a line of level `error`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error { ($($line:tt)+) => { $crate::__log_line!(Error, $($line)+) }; }
