//! Selectors: which channels an event goes to.

use millrace_core::SelectorFactory;

/// All of them.
pub fn factories() -> Vec<SelectorFactory> {
    Vec::new()
}
