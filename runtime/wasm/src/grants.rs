//! What the operator grants to a plugin: `grant { channel "audit" }`.

use bytestring::ByteString;
use millrace_config::{Diagnostic, Diagnostics, Node, Scalar};

/// The grants of one plugin.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Channels that it may route events to.
    pub(crate) channels: Vec<ByteString>,
}

impl Grants {
    /// Reads the `grant` node.
    ///
    /// # Errors
    /// Grants that are unknown or not written well: a grant that does nothing would mislead.
    pub(crate) fn read(node: Option<&Node>) -> Result<Self, Diagnostics> {
        let mut grants = Self::default();
        let mut found = Diagnostics::default();
        for child in node.map(|node| node.children.as_slice()).unwrap_or_default() {
            match child.name.value.as_str() {
                "channel" => grants.channels.extend(names(child, &mut found)),
                other => found.push(
                    Diagnostic::error("plugin::unknown-grant", child.name.span, format!("there is no grant {other}"))
                        .label("unknown")
                        .help("an interceptor can be granted channels: channel \"name\""),
                ),
            }
        }
        if found.has_errors() { Err(found) } else { Ok(grants) }
    }
}

fn names(node: &Node, found: &mut Diagnostics) -> Vec<ByteString> {
    if node.arguments.is_empty() {
        let reason = "grant channel names no channel";
        found.push(Diagnostic::error("plugin::unknown-grant", node.span, reason).help("channel \"name\""));
    }
    let mut names = Vec::new();
    for argument in &node.arguments {
        match &argument.value {
            Scalar::Text(name) => names.push(name.as_str().into()),
            _ => found.push(
                Diagnostic::error("plugin::unknown-grant", argument.span, "the name of a channel is a string")
                    .help("channel \"name\""),
            ),
        }
    }
    names
}
