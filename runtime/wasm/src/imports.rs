//! What a component asks for and offers, read from the file without compiling or running it.
//!
//! Imports are the capabilities a plugin asks for. The plugin package is offered to all. WASI comes from tool-chains,
//! not from what a plugin wants to do, so an inert part of it is offered (see `host::wasi`); the network and
//! everything unknown is refused here, by name.

use wasmparser::{Encoding, Parser, Payload};

use crate::{bindings::interface, error::HostError};

/// The custom section in which `millrace plugin build` leaves the manifest.
const MANIFEST_SECTION: &str = "millrace:manifest";

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

/// The names at a component's border, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// The manifest, if there is one and it is text.
    pub(crate) manifest: Option<String>,
}

impl Names {
    /// The export that is this interface, in the same or a later compatible version.
    pub(crate) fn export(&self, wanted: &str) -> Option<&str> {
        self.exports.iter().map(String::as_str).find(|name| is_compatible(name, wanted))
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
                names.manifest = std::str::from_utf8(section.data()).ok().map(str::to_owned);
            }
            _ => {}
        }
    }
    Ok(names)
}

/// Whether a component imports something that waits for the world outside.
pub(crate) fn may_wait(names: &Names) -> bool {
    names.imports.iter().any(|name| is_compatible(name, interface::HTTP))
}

/// Whether a component asks for a state of its own.
pub(crate) fn keeps_state(names: &Names) -> bool {
    names.imports.iter().any(|name| is_compatible(name, interface::STATE))
}

/// Refuses imports that are not offered: the first one in the file with the reason, the others by name.
pub(crate) fn check(names: &Names) -> Result<(), HostError> {
    let mut refused = names.imports.iter().filter_map(|name| refusal(name));
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

/// Why an import is refused; None: it is offered.
pub(crate) fn refusal(name: &str) -> Option<HostError> {
    let base = name.split('@').next().unwrap_or(name);
    let refuse = |reason: &str, grant: Option<String>| {
        Some(HostError::Import { name: name.to_owned(), reason: reason.to_owned(), grant })
    };
    if [interface::TYPES, interface::LOG, interface::METRICS, interface::STATE]
        .iter()
        .any(|offered| is_compatible(name, offered))
    {
        return None;
    }
    if let Some(own) = base.strip_prefix(interface::PACKAGE) {
        let known = ["types", "log", "metrics", "state"].contains(&own);
        return match own {
            _ if known => refuse("the plugin was built for another version of the package than 0.1", None),
            "lifecycle" | "interceptor" => {
                refuse("this interface is exported by plugins, not imported", None)
            }
            _ => refuse("this agent does not offer that interface to interceptors", None),
        };
    }
    let is_inert = INERT_WASI.contains(&base)
        && name.split('@').nth(1).is_some_and(|version| version.starts_with("0.2."));
    match base.split('/').next() {
        _ if is_inert => None,
        Some("wasi:sockets") => refuse(
            "a plugin opens no sockets; HTTP is carried out by the host for plugins that are granted it",
            Some("grant { http \"https://host.example\" }".to_owned()),
        ),
        Some("wasi:http") => refuse(
            "plugins do not use wasi:http; the package's own `http` interface is what can be granted",
            Some("grant { http \"https://host.example\" }".to_owned()),
        ),
        Some("wasi:filesystem") => refuse("a plugin has no files", None),
        _ => refuse("nothing of that name is offered to plugins", None),
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
    use super::{is_compatible, names, refusal};
    use crate::error::HostError;

    #[test]
    fn versions_fit_when_only_the_last_part_differs_before_one() {
        assert!(is_compatible("a:b/c@0.1.7", "a:b/c@0.1.0"));
        assert!(!is_compatible("a:b/c@0.2.0", "a:b/c@0.1.0"));
        assert!(is_compatible("a:b/c@1.4.0", "a:b/c@1.0.0"));
        assert!(!is_compatible("a:b/d@0.1.0", "a:b/c@0.1.0"));
        assert!(!is_compatible("a:b/c", "a:b/c@0.1.0"));
    }

    #[test]
    fn sockets_are_refused_with_the_grant_to_paste() {
        let Some(HostError::Import { name, grant, .. }) = refusal("wasi:sockets/tcp@0.2.0") else {
            panic!("not refused")
        };
        assert_eq!(name, "wasi:sockets/tcp@0.2.0");
        assert_eq!(grant.as_deref(), Some("grant { http \"https://host.example\" }"));
    }

    #[test]
    fn what_is_inert_is_offered_in_the_versions_of_wasi_0_2_only() {
        assert!(refusal("wasi:cli/stderr@0.2.6").is_none());
        assert!(refusal("wasi:cli/stderr@0.3.0").is_some());
        assert!(refusal("wasi:clocks/timezone@0.2.0").is_some());
        assert!(refusal("millrace:plugin/types@0.1.4").is_none());
        assert!(refusal("millrace:plugin/types@0.2.0").is_some());
        assert!(refusal("millrace:plugin/http@0.1.0").is_some());
    }

    #[test]
    fn a_core_module_and_text_are_told_apart() {
        assert!(matches!(names(b"\0asm\x01\0\0\0"), Err(HostError::CoreModule)));
        assert!(matches!(names(b"hello"), Err(HostError::Invalid(_))));
        assert!(matches!(names(b""), Err(HostError::Invalid(_))));
        assert!(names(b"\0asm\x0d\0\x01\0").unwrap().imports.is_empty());
    }
}
