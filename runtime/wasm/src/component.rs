//! A plugin file on its way to something that can be instantiated: read, checked, compiled, linked.
//!
//! Everything that can be known without running the guest is checked here, with the name of the import or export
//! that is wrong. Nothing of the guest runs.

use std::{path::Path, sync::Arc};

use wasmtime::component::{InstancePre, Linker};

use crate::{
    cache::{CodeCache, Origin, digest},
    engine::PluginEngine,
    error::HostError,
    grants::Grants,
    host,
    imports::{self, Names},
    manifest::Manifest,
    role::{self, Exports, Role},
    state::GuestState,
};

/// Largest plugin file: checked before anything parses it.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

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
    /// Whether its calls may wait for something outside: they run on a stack of their own then, so that the thread is
    /// free meanwhile. Costs 200 to 500 ns per call, so plugins that cannot wait do without.
    pub(crate) waits: bool,
    /// Whether it asks for a state of its own.
    pub(crate) keeps_state: bool,
    /// What it is linked against; the same file can be loaded in several ways.
    pub(crate) offer: Offer,
}

impl LoadedPlugin {
    /// Whether only one instance may work: what is kept in memory for the next version, or written batch by batch, can
    /// only be in one place.
    pub(crate) fn is_one(&self) -> bool {
        self.keeps_state || self.exports.handover.is_some()
    }
}

/// What a component gets besides the plugin package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Offer {
    /// Whether its calls may wait.
    pub(crate) waits: bool,
    /// Real WASI in place of the inert set: something of it was granted.
    pub(crate) wasi: bool,
    /// Real clocks, where WASI is real.
    pub(crate) clocks: bool,
    /// Real random numbers, where WASI is real.
    pub(crate) random: bool,
}

impl Offer {
    /// What the grants come to for a component with these imports.
    pub(crate) fn new(names: &Names, grants: Option<&Grants>) -> Self {
        let wasi = match grants {
            Some(grants) => grants.are_beyond_inert(names),
            None => names.needs().any(|(import, _)| import.starts_with("wasi:")),
        };
        Self {
            waits: wasi || imports::may_wait(names),
            wasi,
            clocks: wasi && grants.is_some_and(|grants| grants.clocks.is_some()),
            random: wasi && grants.is_some_and(|grants| grants.random.is_some()),
        }
    }
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

/// Takes a file's content to something that can be instantiated in this role. Without grants the imports that need one
/// count as granted: that is for looking at a file.
pub(crate) fn load(
    engine: &Arc<PluginEngine>,
    cache: &CodeCache,
    wasm: &[u8],
    expected_digest: Option<&str>,
    role: Role,
    grants: Option<&Grants>,
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
    imports::check(&names, grants)?;
    let manifest = imports::manifest(&names)?;
    role::check_names(&names, role)?;
    let offer = Offer::new(&names, grants);
    let keeps_state = imports::keeps_state(&names);
    let (component, origin) = cache.load(engine, &found, wasm)?;
    let mut linker = Linker::<GuestState>::new(engine.wasmtime());
    let linked = host::add_to_linker(&mut linker, offer.waits)
        .and_then(|()| host::add_wasi(&mut linker, &component, offer));
    linked.map_err(|error| HostError::Engine(format!("{error:#}")))?;
    let pre = linker.instantiate_pre(&component).map_err(|error| mismatch(&names, &error))?;
    let exports = role::check_exports(engine, &linker, &component, &names)?;
    let digest = format!("sha256:{found}");
    let (engine, waits) = (Arc::clone(engine), offer.waits);
    Ok(LoadedPlugin { engine, digest, pre, exports, origin, manifest, waits, keeps_state, offer })
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
