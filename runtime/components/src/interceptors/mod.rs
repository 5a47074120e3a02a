//! Interceptors: what looks at events on their way.
//!
//! Options and results are Flume's, names in kebab-case. Expressions are those of the `regex` crate: linear in
//! time, without look-around and back-references, and they run over bytes, so a body need not be UTF-8.

use millrace_config::{Diagnostic, Diagnostics, Section};
use millrace_core::{Batch, ByteString, InterceptorFactory};

mod host;
mod regex_extractor;
mod regex_filter;
mod remove_header;
mod search_replace;
mod static_header;
mod timestamp;
mod unique_id;

#[cfg(test)]
mod testing;

/// All of them.
pub fn factories() -> Vec<InterceptorFactory> {
    vec![
        host::FACTORY,
        regex_extractor::FACTORY,
        regex_filter::FACTORY,
        remove_header::FACTORY,
        search_replace::FACTORY,
        static_header::FACTORY,
        timestamp::FACTORY,
        unique_id::FACTORY,
    ]
}

/// Sets one header of all events to the same value.
fn set_header(batch: &mut Batch, name: &ByteString, value: &ByteString, preserve: bool) {
    batch.change_headers(|headers| {
        if !(preserve && headers.contains(name)) {
            headers.set(name.clone(), value.clone());
        }
    });
}

/// Compiles an option as an expression on bodies.
fn body_regex(section: &Section, option: &str) -> Result<regex::bytes::Regex, Diagnostics> {
    regex::bytes::Regex::new(section.text(option)).map_err(|error| bad_regex(section, option, &error))
}

/// Compiles an expression made from an option as one on text.
fn text_regex(section: &Section, option: &str, text: &str) -> Result<regex::Regex, Diagnostics> {
    regex::Regex::new(text).map_err(|error| bad_regex(section, option, &error))
}

fn bad_regex(section: &Section, option: &str, error: &regex::Error) -> Diagnostics {
    let reason = format!("`{option}` is not an expression that can be used here: {error}");
    Diagnostic::error("config::bad-regex", section.span_of(option), reason).into()
}
