//! What a component asks for and offers, read from the file without compiling or running it.
//!
//! Imports are the capabilities a plugin asks for. The plugin package is offered to all, its `http` only for a grant.
//! WASI mostly comes from tool-chains, not from what a plugin wants to do, so an inert part of it is offered to all
//! (see `host::wasi`), the network only for a grant. Everything else is refused here, by name.

use wasmparser::{Encoding, Parser, Payload};

use crate::{
    bindings::interface::{self, Version},
    error::HostError,
    grants::Grants,
    manifest::{MANIFEST_BYTES_MAX, MANIFEST_SECTION, Manifest},
};

/// WASI interfaces that the host offers in an inert form, without their versions.
const INERT_WASI: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// WASI interfaces that are there only for a grant, without their versions.
const GRANTED_WASI: &[&str] = &[
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Interfaces of the plugin package that this agent has.
const OFFERED: &[&str] = &[
    interface::TYPES,
    interface::LOG,
    interface::METRICS,
    interface::CLOCK,
    interface::STATE,
    interface::HTTP,
];

/// The names at a component's border, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// The text of the manifest, if there is one.
    pub(crate) manifest: Option<String>,
}

impl Names {
    /// The export that is this interface, in a version that is served.
    pub(crate) fn export(&self, interface: &str) -> Option<&str> {
        self.exports.iter().map(String::as_str).find(|name| Version::find(name, interface).is_some())
    }
}

/// Reads the names; the file must be a whole component.
pub(crate) fn names(wasm: &[u8]) -> Result<Names, HostError> {
    let invalid = |error: wasmparser::BinaryReaderError| HostError::Invalid(error.to_string());
    let mut names = Names::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(invalid)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(HostError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => {
                if names.manifest.is_some() {
                    return Err(HostError::Manifest("there are two of them".into()));
                }
                names.manifest = Some(manifest_text(section.data())?);
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The content of the section as text.
fn manifest_text(data: &[u8]) -> Result<String, HostError> {
    if data.len() > MANIFEST_BYTES_MAX {
        let reason = format!("it has {} bytes, at most {MANIFEST_BYTES_MAX} are allowed", data.len());
        return Err(HostError::Manifest(reason));
    }
    let text =
        std::str::from_utf8(data).map_err(|error| HostError::Manifest(format!("it is not text: {error}")))?;
    Ok(text.to_owned())
}

/// Reads the manifest, if there is one.
pub(crate) fn manifest(names: &Names) -> Result<Option<Manifest>, HostError> {
    let Some(text) = &names.manifest else { return Ok(None) };
    match Manifest::parse(text, false) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => Err(HostError::Manifest(error.to_string())),
    }
}

/// Whether a component imports something of the package that waits for the world outside.
pub(crate) fn may_wait(names: &Names) -> bool {
    names.imports.iter().any(|name| Version::find(name, interface::HTTP).is_some())
}

/// Whether a component asks for a state of its own.
pub(crate) fn keeps_state(names: &Names) -> bool {
    names.imports.iter().any(|name| Version::find(name, interface::STATE).is_some())
}

/// What an import needs to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Http,
    Socket,
}

impl Need {
    /// The kind of grant.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socket => "socket",
        }
    }

    /// A line for the `grant` block.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Http => "http \"https://host.example\"",
            Self::Socket => "socket \"tcp://host.example:5432\"",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Http => "HTTP requests are carried out only where they are granted",
            Self::Socket => "a plugin opens no connections but those that are granted",
        }
    }
}

impl Names {
    /// The imports that need a grant, and which.
    pub(crate) fn needs(&self) -> impl Iterator<Item = (&str, Need)> {
        self.imports.iter().filter_map(|name| Some((name.as_str(), need(name)?)))
    }

    /// Whether any import begins like this.
    pub(crate) fn imports_any(&self, prefix: &str) -> bool {
        self.imports.iter().any(|name| name.starts_with(prefix))
    }
}

fn need(name: &str) -> Option<Need> {
    let base = name.split('@').next().unwrap_or(name);
    match base.split('/').next() {
        Some("wasi:sockets") => Some(Need::Socket),
        Some("wasi:http") => Some(Need::Http),
        _ if Version::find(name, interface::HTTP).is_some() => Some(Need::Http),
        _ => None,
    }
}

/// Refuses imports that are not offered or, where grants are given, not granted: the first one in the file with the
/// reason, the others by name.
pub(crate) fn check(names: &Names, grants: Option<&Grants>) -> Result<(), HostError> {
    let not_granted = |name: &str| {
        let need = need(name)?;
        let is_missing = grants.is_some_and(|grants| !grants.satisfy(need));
        is_missing.then(|| HostError::Import {
            name: name.to_owned(),
            reason: need.reason().to_owned(),
            grant: Some(format!("grant {{ {} }}", need.line())),
        })
    };
    let mut refused = names.imports.iter().filter_map(|name| refusal(name).or_else(|| not_granted(name)));
    let Some(mut first) = refused.next() else { return Ok(()) };
    let others: Vec<String> = refused
        .filter_map(|error| match error {
            HostError::Import { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    if let HostError::Import { reason, .. } = &mut first
        && !others.is_empty()
    {
        reason.push_str(&format!("; also refused: {}", others.join(", ")));
    }
    Err(first)
}

/// Why an import is refused whatever is granted; None: it is offered, perhaps only for a grant.
pub(crate) fn refusal(name: &str) -> Option<HostError> {
    let base = name.split('@').next().unwrap_or(name);
    let refuse = |reason: &str| {
        Some(HostError::Import { name: name.to_owned(), reason: reason.to_owned(), grant: None })
    };
    if OFFERED.iter().any(|offered| Version::find(name, offered).is_some()) {
        return None;
    }
    if let Some(own) = base.strip_prefix(interface::PACKAGE) {
        let is_known = OFFERED.contains(&base);
        return match own {
            _ if is_known => refuse(&format!(
                "the plugin was built for another version of the package; this agent serves {}",
                interface::served()
            )),
            "lifecycle" | "interceptor" | "source" | "sink" | "two-phase" | "codec" | "handover" => {
                refuse("this interface is exported by plugins, not imported")
            }
            _ => refuse("this agent does not offer that interface"),
        };
    }
    let is_second = name.split('@').nth(1).is_some_and(|version| version.starts_with("0.2."));
    match base.split('/').next() {
        _ if is_second && (INERT_WASI.contains(&base) || GRANTED_WASI.contains(&base)) => None,
        Some("wasi:sockets" | "wasi:http" | "wasi:filesystem") if !is_second => {
            refuse("this agent offers WASI 0.2 only")
        }
        _ => refuse("nothing of that name is offered to plugins"),
    }
}

/// Whether two names are the same interface in versions that fit: equal up to the part that may only add.
pub(crate) fn is_compatible(name: &str, wanted: &str) -> bool {
    let split = |name: &str| -> Option<(String, String)> {
        let (base, version) = name.split_once('@')?;
        let mut parts = version.splitn(3, '.');
        let (major, minor) = (parts.next()?, parts.next()?);
        let fixed = if major == "0" { format!("0.{minor}") } else { major.to_owned() };
        Some((base.to_owned(), fixed))
    };
    name == wanted || split(name).is_some_and(|parts| Some(parts) == split(wanted))
}

#[cfg(test)]
mod tests {
    use super::{Names, check, is_compatible, names, refusal};
    use crate::{error::HostError, grants::Grants};

    #[test]
    fn versions_fit_when_only_the_last_part_differs_before_one() {
        assert!(is_compatible("a:b/c@0.1.7", "a:b/c@0.1.0"));
        assert!(!is_compatible("a:b/c@0.2.0", "a:b/c@0.1.0"));
        assert!(is_compatible("a:b/c@1.4.0", "a:b/c@1.0.0"));
        assert!(!is_compatible("a:b/d@0.1.0", "a:b/c@0.1.0"));
        assert!(!is_compatible("a:b/c", "a:b/c@0.1.0"));
    }

    #[test]
    fn the_network_is_there_for_a_grant_which_is_shown_where_it_is_missing() {
        for (import, line) in [
            ("wasi:sockets/tcp@0.2.0", "socket \"tcp://host.example:5432\""),
            ("wasi:http/types@0.2.6", "http \"https://host.example\""),
            ("millrace:plugin/http@0.1.0", "http \"https://host.example\""),
        ] {
            assert!(refusal(import).is_none());
            let names = Names { imports: vec![import.to_owned()], ..Names::default() };
            check(&names, None).unwrap();
            let Err(HostError::Import { name, grant, .. }) = check(&names, Some(&Grants::default())) else {
                panic!("not refused")
            };
            assert_eq!((name.as_str(), grant), (import, Some(format!("grant {{ {line} }}"))));
        }
    }

    #[test]
    fn what_is_inert_is_offered_in_the_versions_of_wasi_0_2_only() {
        assert!(refusal("wasi:cli/stderr@0.2.6").is_none());
        assert!(refusal("wasi:cli/stderr@0.3.0").is_some());
        assert!(refusal("wasi:clocks/timezone@0.2.0").is_some());
        assert!(refusal("millrace:plugin/types@0.1.4").is_none());
        assert!(refusal("millrace:plugin/types@0.2.1").is_none());
        for import in ["millrace:plugin/types@0.3.0", "millrace:plugin/http@1.0.0", "millrace:plugin/log"] {
            let reason = refusal(import).unwrap().to_string();
            assert!(
                reason.ends_with("another version of the package; this agent serves 0.1 and 0.2"),
                "{reason}"
            );
        }
        assert!(refusal("wasi:sockets/tcp@0.3.0").is_some());
        assert!(refusal("wasi:http/incoming-handler@0.2.0").is_some());
    }

    #[test]
    fn a_core_module_and_text_are_told_apart() {
        assert!(matches!(names(b"\0asm\x01\0\0\0"), Err(HostError::CoreModule)));
        assert!(matches!(names(b"hello"), Err(HostError::Invalid(_))));
        assert!(matches!(names(b""), Err(HostError::Invalid(_))));
        assert!(names(b"\0asm\x0d\0\x01\0").unwrap().imports.is_empty());
    }
}
