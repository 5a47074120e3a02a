//! What the operator grants to a plugin. Everything else is denied.
//!
//! | module | holds |
//! |---|---|
//! | `origin` | places of the network, as granted and as asked for |
//! | `read` | from the `grant` block to [`Grants`], with everything that is wrong |
//! | `wants` | what a plugin asks for against what it has: missing and unused grants |
//!
//! The table of the block is `millrace_config::GRANT_OPTIONS`.

mod origin;
mod read;
mod wants;

use std::{fmt, path::PathBuf};

use bytestring::ByteString;
use hyper::header::{HeaderName, HeaderValue};
use millrace_config::Span;

pub(crate) use self::{
    origin::{Origin, Scheme, Target, TargetHost},
    wants::Wants,
};

/// The grants of one plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) http: Vec<HttpGrant>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) variables: Vec<Variable>,
    /// Where `clocks` is granted.
    pub(crate) clocks: Option<Span>,
    /// Where `random` is granted.
    pub(crate) random: Option<Span>,
    pub(crate) sockets: Vec<SocketGrant>,
    /// Channels that it may route events to.
    pub(crate) channels: Vec<(ByteString, Span)>,
}

/// Requests to one origin.
#[derive(Debug, Clone)]
pub(crate) struct HttpGrant {
    pub(crate) origin: Origin,
    /// Whether the host may have an inner address.
    pub(crate) private: bool,
    pub(crate) response_bytes_max: u64,
    /// Certificates in PEM that sign for the host, in place of those of the system.
    pub(crate) authorities: Option<Vec<u8>>,
    pub(crate) span: Span,
}

/// A secret that the agent adds to requests.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) origins: Vec<Origin>,
    pub(crate) header: HeaderName,
    /// Prefix and secret; marked as sensitive.
    pub(crate) value: HeaderValue,
    /// How many bytes of `value` are the prefix, which is no secret.
    pub(crate) prefix_bytes: usize,
    pub(crate) span: Span,
}

impl Secret {
    /// The secret itself.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.value.as_bytes().get(self.prefix_bytes..).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// A directory for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// Its path as the plugin sees it.
    pub(crate) at: String,
    pub(crate) span: Span,
}

/// An environment variable with its value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) span: Span,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of the environment are often secrets.
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// TCP connections to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketGrant {
    pub(crate) host: TargetHost,
    pub(crate) port: u16,
    /// Whether the host may have an inner address.
    pub(crate) private: bool,
    pub(crate) span: Span,
}

impl SocketGrant {
    /// As it is written in a grant.
    pub(crate) fn origin(&self) -> String {
        format!("tcp://{}:{}", self.host, self.port)
    }
}

impl Grants {
    /// The names of the channels.
    pub(crate) fn channel_names(&self) -> Vec<ByteString> {
        self.channels.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The grant for a request there: one that names the place exactly before one with a star.
    pub(crate) fn http_for(&self, target: &Target) -> Option<&HttpGrant> {
        let covering = || self.http.iter().filter(|grant| grant.origin.covers(target));
        covering().find(|grant| matches!(grant.origin, Origin::One(_))).or_else(|| covering().next())
    }
}
