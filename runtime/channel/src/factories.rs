//! The list of all channel types.

use millrace_core::ChannelFactory;

/// Every type of channel, for the registry.
pub fn factories() -> Vec<ChannelFactory> {
    vec![crate::memory::FACTORY, crate::file::FACTORY, crate::spillable::FACTORY]
}
