//! Why there is no response, for the plugin and for the operator.

use std::net::IpAddr;

/// What a plugin is told; the `error` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("denied")]
    Denied,
    #[error("the name cannot be resolved")]
    Dns,
    #[error("too slow")]
    Timeout,
    #[error("the response is too large")]
    TooLarge,
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Transport(String),
}

/// Why no connection was made. It travels through the client as the source of its error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{origin} is not granted")]
    Origin { origin: String },
    #[error("{address} is {place}")]
    Address { address: IpAddr, place: &'static str },
    #[error("secret {0} is not granted")]
    Secret(String),
    #[error("secret {name} is not granted for {origin}")]
    SecretOrigin { name: String, origin: String },
    #[error("not in `configure`")]
    Configure,
    #[error("the name cannot be resolved: {0}")]
    Dns(String),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Connect(String),
}

impl Refused {
    /// The value of the label `what` of the metric; None: no matter of grants.
    pub(crate) fn what(&self) -> Option<&'static str> {
        match self {
            Self::Origin { .. } => Some("http-origin"),
            Self::Address { .. } => Some("address"),
            Self::Secret(_) | Self::SecretOrigin { .. } => Some("secret"),
            Self::Configure => Some("configure"),
            Self::Dns(_) | Self::Tls(_) | Self::Connect(_) => None,
        }
    }
}

impl From<&Refused> for HttpError {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Dns(_) => Self::Dns,
            Refused::Tls(reason) | Refused::Connect(reason) => Self::Transport(reason.clone()),
            // Why exactly is for the operator: a plugin could map the network by the answers.
            _ => Self::Denied,
        }
    }
}
