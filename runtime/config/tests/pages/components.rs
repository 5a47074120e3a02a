//! A few component tables, as the engine would bring them.

use millrace_config::{AgentSpec, ComponentSpec, Diagnostics, OptionKind, OptionSpec, check};

const ROLL: &[OptionSpec] = &[
    OptionSpec::with_default("interval", OptionKind::Duration, "30s", "Time after which a file is closed"),
    OptionSpec::with_default("size", OptionKind::Size, "128MiB", "Size at which a file is closed"),
];

const TLS: &[OptionSpec] = &[
    OptionSpec::required("certificate", OptionKind::Path, "The certificate chain"),
    OptionSpec::required("key", OptionKind::Path, "The private key"),
];

const CASE: &[OptionSpec] =
    &[OptionSpec::required("channel", OptionKind::Texts, "The channels of these values")];

const DEFAULT: &[OptionSpec] =
    &[OptionSpec::optional("channel", OptionKind::Texts, "The channels of all others")];

const MEMORY: &[OptionSpec] = &[
    OptionSpec::with_default(
        "capacity",
        OptionKind::Integer { min: 1, max: 100_000_000 },
        "10000",
        "Largest number of events",
    ),
    OptionSpec::with_default("bytes", OptionKind::Size, "64MiB", "Largest size of all events"),
];

const TAILDIR: &[OptionSpec] = &[
    OptionSpec::required("path", OptionKind::Paths, "The files to follow"),
    OptionSpec::optional("multiline", OptionKind::Regex, "Matches the first line of an event"),
    OptionSpec::with_default("start", OptionKind::Choice(&["head", "tail"]), "head", "Where new files begin"),
    OptionSpec::with_default("idle", OptionKind::Duration, "2m", "Time after which a quiet file is closed"),
    OptionSpec::with_default("offset-header", OptionKind::Boolean, "#false", "Adds the offset of each line"),
    OptionSpec::optional("headers", OptionKind::Map, "Headers of every event"),
    OptionSpec::with_default(
        "sample",
        OptionKind::Float { min: 0.0, max: 1.0 },
        "1.0",
        "Share of the lines that are read",
    ),
];

const NETCAT: &[OptionSpec] = &[
    OptionSpec::required("listen", OptionKind::Address, "Where to listen"),
    OptionSpec::optional("tls", OptionKind::Block(TLS), "Encrypts connections"),
];

const FILE_ROLL: &[OptionSpec] = &[
    OptionSpec::required("directory", OptionKind::Path, "Where the files go"),
    OptionSpec::with_default("roll", OptionKind::Block(ROLL), "", "When a file is closed"),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip", "zstd"]),
        "none",
        "How files are compressed",
    ),
    OptionSpec::optional("password", OptionKind::Text, "A secret"),
];

const MULTIPLEXING: &[OptionSpec] = &[
    OptionSpec::required("header", OptionKind::Text, "The header that decides"),
    OptionSpec::optional("case", OptionKind::Cases(CASE), "The channels for some values"),
    OptionSpec::with_default("default", OptionKind::Block(DEFAULT), "", "The channels for all other values"),
];

/// None for a type that is open: a plugin.
fn table(kind: &str) -> Option<&'static [OptionSpec]> {
    match kind {
        "memory" | "file" => Some(MEMORY),
        "taildir" => Some(TAILDIR),
        "netcat" => Some(NETCAT),
        "file-roll" => Some(FILE_ROLL),
        "multiplexing" => Some(MULTIPLEXING),
        "wasm" => None,
        _ => Some(&[]),
    }
}

/// Checks every component against its table, and the channels named by selectors.
pub fn check_components(spec: &AgentSpec) -> Diagnostics {
    let mut found = Diagnostics::default();
    for component in spec.components() {
        let ComponentSpec { kind, node, .. } = component;
        let options = table(&kind.value);
        let (section, more) = check(node, options.unwrap_or_default(), options.is_none(), &spec.files);
        found.extend(more);
        if kind.value == "multiplexing" {
            for case in section.blocks("case").iter().chain(section.block("default")) {
                case.texts("channel")
                    .iter()
                    .filter_map(|name| spec.unknown_channel(name))
                    .for_each(|more| found.push(more));
            }
        }
    }
    found
}
