//! The `grant` block of a plugin: its table. What the grants mean is decided by whoever runs the plugin.

use std::path::Path;

use crate::{
    diagnostic::Files,
    node::{Node, Scalar},
    option::{OptionKind, OptionSpec},
};

const HTTP: &[OptionSpec] = &[
    OptionSpec::optional(
        "private",
        OptionKind::Boolean,
        "Whether the host may have an address of this machine or of a private network",
    ),
    OptionSpec::with_default("response", OptionKind::Size, "8MiB", "Largest response that is read"),
    OptionSpec::optional(
        "ca",
        OptionKind::Path,
        "PEM file with the certificates that sign for the host, in place of those of the system",
    ),
];

const SECRET: &[OptionSpec] = &[
    OptionSpec::optional("env", OptionKind::Text, "The variable of the agent's environment that holds it"),
    OptionSpec::optional(
        "file",
        OptionKind::Path,
        "The file that holds it; a line break at the end is cut off",
    ),
    OptionSpec::optional(
        "origin",
        OptionKind::Texts,
        "Where it may be sent; may be left out where a single origin is granted",
    ),
    OptionSpec::with_default(
        "header",
        OptionKind::Text,
        "authorization",
        "The header of the request that carries it",
    ),
    OptionSpec::optional(
        "prefix",
        OptionKind::Text,
        "What stands before it in the header; `Bearer ` where the header is `authorization`",
    ),
];

const DIRECTORY: &[OptionSpec] =
    &[OptionSpec::optional("at", OptionKind::Text, "Its path as the plugin sees it; the same unless given")];

const VARIABLE: &[OptionSpec] = &[OptionSpec::optional(
    "value",
    OptionKind::Text,
    "Its value; that of the agent's environment unless given",
)];

const SOCKET: &[OptionSpec] = &[OptionSpec::optional(
    "private",
    OptionKind::Boolean,
    "Whether the host may have an address of this machine or of a private network",
)];

/// What a plugin can be granted; everything else is denied.
pub const GRANT_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "http",
        OptionKind::Cases(HTTP),
        "HTTP requests to these origins: `https://api.example.com`, `http://127.0.0.1:8080`, `https://*.example.com`",
    ),
    OptionSpec::optional(
        "secret",
        OptionKind::Cases(SECRET),
        "A secret that the agent adds to requests; the plugin knows its name only",
    ),
    OptionSpec::optional(
        "directory",
        OptionKind::Cases(DIRECTORY),
        "Reading this directory and what is in it",
    ),
    OptionSpec::optional("env", OptionKind::Cases(VARIABLE), "These environment variables"),
    OptionSpec::optional("clocks", OptionKind::Boolean, "The clocks of WASI, and waiting for them"),
    OptionSpec::optional("random", OptionKind::Boolean, "The random numbers of WASI"),
    OptionSpec::optional(
        "socket",
        OptionKind::Cases(SOCKET),
        "TCP connections of the plugin's own to these places: `tcp://db.example.com:5432`",
    ),
    OptionSpec::optional("channel", OptionKind::Cases(&[]), "Routing events to these channels"),
];

/// Joins the relative paths of directories to the folder of their file, as options of the kind path are.
pub(super) fn join_directories(grant: &mut Node, files: &Files) {
    for directory in grant.children.iter_mut().filter(|child| child.name.value == "directory") {
        for argument in &mut directory.arguments {
            if let Scalar::Text(path) = &mut argument.value
                && !path.is_empty()
                && Path::new(path.as_str()).is_relative()
                && let Some(joined) = files.folder(argument.span.file).join(path.as_str()).to_str()
            {
                *path = joined.to_owned();
            }
        }
    }
}
