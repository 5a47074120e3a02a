//! A plugin file on its way to something that can be instantiated: read, checked, compiled, linked.
//!
//! Everything that can be known without running the guest is checked here, with the name of the import or export
//! that is wrong. Nothing of the guest runs.

use std::{path::Path, sync::Arc};

use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, types::ComponentItem};

use crate::{
    bindings::{ConfigureParams, ConfigureResults, InterceptParams, InterceptResults, StopParams, interface},
    cache::{CodeCache, Origin, digest},
    engine::PluginEngine,
    error::HostError,
    host,
    imports::{self, Names},
    manifest::Manifest,
    signature,
    state::GuestState,
};

/// Largest plugin file: checked before anything parses it.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// A checked component, ready to be instantiated any number of times.
pub(crate) struct LoadedPlugin {
    pub(crate) engine: Arc<PluginEngine>,
    /// `sha256:` and 64 digits.
    pub(crate) digest: String,
    pub(crate) pre: InstancePre<GuestState>,
    pub(crate) exports: Exports,
    pub(crate) origin: Origin,
    /// What it says about itself, if anything.
    pub(crate) manifest: Option<Manifest>,
}

/// Where the functions of an interceptor are.
#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) configure: ComponentExportIndex,
    pub(crate) stop: ComponentExportIndex,
    pub(crate) intercept: ComponentExportIndex,
}

/// Reads a plugin file within the limit.
#[expect(clippy::disallowed_methods, reason = "the user names the file of a plugin")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, HostError> {
    let unreadable =
        |error: std::io::Error| HostError::Unreadable { path: path.to_owned(), reason: error.to_string() };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    check_size(metadata.len())?;
    let bytes = std::fs::read(path).map_err(unreadable)?;
    check_size(bytes.len() as u64)?;
    Ok(bytes)
}

pub(crate) fn check_size(bytes: u64) -> Result<(), HostError> {
    if bytes > FILE_BYTES_MAX {
        return Err(HostError::TooLarge { bytes, bytes_max: FILE_BYTES_MAX });
    }
    Ok(())
}

/// The digest as configurations write it.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", digest(bytes))
}

/// Takes a file's content to something that can be instantiated.
pub(crate) fn load(
    engine: &Arc<PluginEngine>,
    cache: &CodeCache,
    wasm: &[u8],
    expected_digest: Option<&str>,
) -> Result<LoadedPlugin, HostError> {
    check_size(wasm.len() as u64)?;
    let found = digest(wasm);
    if let Some(expected) = expected_digest
        && expected.strip_prefix("sha256:").unwrap_or(expected).to_ascii_lowercase() != found
    {
        let found = format!("sha256:{found}");
        return Err(HostError::Digest { expected: expected.to_owned(), found });
    }
    let names = imports::names(wasm)?;
    imports::check(&names)?;
    check_roles(&names)?;
    let manifest = imports::manifest(&names)?;
    let (component, origin) = cache.load(engine, &found, wasm)?;
    let mut linker = Linker::<GuestState>::new(engine.wasmtime());
    let linked = host::add_to_linker(&mut linker).and_then(|()| host::add_wasi(&mut linker, &component));
    linked.map_err(|error| HostError::Engine(format!("{error:#}")))?;
    let pre = linker.instantiate_pre(&component).map_err(|error| mismatch(&names, &error))?;
    let exports = check_exports(engine, &linker, &component, &names)?;
    let digest = format!("sha256:{found}");
    Ok(LoadedPlugin { engine: Arc::clone(engine), digest, pre, exports, origin, manifest })
}

/// Exports that an interceptor must have, before the compiler gets to see the file.
fn check_roles(names: &Names) -> Result<(), HostError> {
    for wanted in [interface::LIFECYCLE, interface::INTERCEPTOR] {
        if names.export(wanted).is_some() {
            continue;
        }
        let base = wanted.split('@').next().unwrap_or(wanted);
        let similar = names.exports.iter().find(|name| name.split('@').next() == Some(base));
        let found = match similar {
            Some(other) => format!("{other}, a version this agent does not serve"),
            None if names.exports.is_empty() => "no exports at all".to_owned(),
            None => format!("only {}", names.exports.join(", ")),
        };
        let name = base.to_owned();
        return Err(HostError::Export { name, expected: wanted.to_owned(), found });
    }
    Ok(())
}

/// An import has the right name but another type.
fn mismatch(names: &Names, error: &wasmtime::Error) -> HostError {
    let reason = format!("{error:#}");
    let name = names.imports.iter().find(|name| reason.contains(name.as_str()));
    match name {
        Some(name) => HostError::Import {
            name: name.clone(),
            reason: format!("expected as in the package, found: {reason}"),
            grant: None,
        },
        None => HostError::Invalid(reason),
    }
}

fn check_exports(
    engine: &PluginEngine,
    linker: &Linker<GuestState>,
    component: &Component,
    names: &Names,
) -> Result<Exports, HostError> {
    let ty = linker
        .substituted_component_type(component)
        .map_err(|error| HostError::Invalid(format!("{error:#}")))?;
    let find = |interface: &'static str, function: &'static str, expected: &'static str| {
        let full = format!("{}.{function}", interface.split('@').next().unwrap_or(interface));
        let wrong =
            move |found: String| HostError::Export { name: full.clone(), expected: expected.into(), found };
        let export = names.export(interface).unwrap_or(interface);
        let item = ty.get_export(engine.wasmtime(), export).map(|item| item.ty);
        let Some(ComponentItem::ComponentInstance(instance)) = item else {
            return Err(wrong("no such interface".into()));
        };
        let item = instance.get_export(engine.wasmtime(), function).map(|item| item.ty);
        let Some(ComponentItem::ComponentFunc(found)) = item else {
            return Err(wrong("no such function".into()));
        };
        let index = component
            .get_export_index(None, export)
            .and_then(|instance| component.get_export_index(Some(&instance), function))
            .ok_or_else(|| wrong("no such function".into()))?;
        Ok((found, index, wrong))
    };
    let types = ty.instance_type();
    let (function, configure, wrong) = find(interface::LIFECYCLE, "configure", signature::CONFIGURE)?;
    if function.typecheck::<ConfigureParams, ConfigureResults>(&types).is_err() {
        return Err(wrong(signature::render(&function)));
    }
    let (function, stop, wrong) = find(interface::LIFECYCLE, "stop", signature::STOP)?;
    if function.typecheck::<StopParams, ()>(&types).is_err() {
        return Err(wrong(signature::render(&function)));
    }
    let (function, intercept, wrong) = find(interface::INTERCEPTOR, "intercept", signature::INTERCEPT)?;
    if function.typecheck::<InterceptParams, InterceptResults>(&types).is_err() {
        return Err(wrong(signature::render(&function)));
    }
    Ok(Exports { configure, stop, intercept })
}
