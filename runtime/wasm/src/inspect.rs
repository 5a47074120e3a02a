//! What a plugin file holds, for people: read and compiled, never run.

use std::sync::Arc;

use crate::{cache::CodeCache, component, engine::PluginEngine, error::HostError, imports, role::Role};

/// What there is to know about a plugin file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `sha256:` and 64 digits.
    pub digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// What it asks for, in the order of the file.
    pub imports: Vec<InspectedImport>,
    /// What it offers, in the order of the file.
    pub exports: Vec<String>,
    /// The role it can play; None: none that this agent knows.
    pub role: Option<&'static str>,
    /// The text of the manifest in the file, if there is one.
    pub manifest: Option<String>,
    /// Why it would not load even with the grants it needs, in the words of `millrace check`; None: it loads.
    pub problem: Option<String>,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedImport {
    /// Its full name.
    pub name: String,
    /// Why it is refused whatever is granted; None: it is offered, perhaps only for a grant.
    pub refused: Option<String>,
    /// What the operator has to write in the plugin's node to allow it; None: it needs no grant.
    pub grant: Option<String>,
}

/// Looks into a file.
pub(crate) fn inspect(
    engine: &Arc<PluginEngine>,
    cache: &CodeCache,
    wasm: &[u8],
) -> Result<Inspection, HostError> {
    component::check_size(wasm.len() as u64)?;
    let names = imports::names(wasm)?;
    let role = Role::ALL.into_iter().find(|role| role.is_in(&names));
    let problem = component::load(engine, cache, wasm, None, role.unwrap_or(Role::Interceptor), None);
    let problem = problem.err().map(|error| error.to_string());
    let inspected = |name: &String| {
        let refused = match imports::refusal(name) {
            Some(HostError::Import { reason, .. }) => Some(reason),
            _ => None,
        };
        let need = names.needs().find(|(import, _)| import == name).map(|(_, need)| need);
        InspectedImport {
            name: name.clone(),
            refused,
            grant: need.map(|need| format!("grant {{ {} }}", need.line())),
        }
    };
    Ok(Inspection {
        digest: component::digest_of(wasm),
        bytes: wasm.len() as u64,
        imports: names.imports.iter().map(inspected).collect(),
        exports: names.exports.clone(),
        role: role.map(Role::name),
        manifest: names.manifest.clone(),
        problem,
    })
}
