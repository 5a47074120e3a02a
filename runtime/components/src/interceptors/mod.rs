//! Interceptors: what looks at events on their way.

use millrace_core::InterceptorFactory;

/// All of them.
pub fn factories() -> Vec<InterceptorFactory> {
    Vec::new()
}
