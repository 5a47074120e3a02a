//! Who a component is, as it stands beside events that leave the flow because of it.

use bytestring::ByteString;
use millrace_core::Rejection;

use crate::error::Fault;

/// A component and the version of the plugin that it runs.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) component: ByteString,
    pub(crate) plugin: ByteString,
    pub(crate) digest: ByteString,
    pub(crate) generation: ByteString,
}

impl Origin {
    /// A rejection that the guest asked for.
    pub(crate) fn rejection(&self, reason: ByteString) -> Rejection {
        Rejection::new(self.component.clone(), reason)
            .detail("plugin", self.plugin.clone())
            .detail("digest", self.digest.clone())
            .detail("generation", self.generation.clone())
    }

    /// A rejection because the event breaks the guest.
    pub(crate) fn dead_letter(&self, fault: &Fault) -> Rejection {
        self.rejection(fault.to_string().into())
            .detail("fault", fault.kind.name())
            .detail("backtrace", fault.backtrace.clone())
    }
}
