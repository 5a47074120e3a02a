//! From a core module to a component, and from bytes to a file.

use std::path::Path;

use wit_component::ComponentEncoder;

use crate::error::BuildError;

/// The preamble of a component, other than that of a core module: layer 1.
const COMPONENT: [u8; 8] = [0x00, b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00];

/// Whether the bytes begin like a component.
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPONENT)
}

/// Wraps a core module into a component, as the description of its world inside of it says. What is a component already
/// stays as it is.
///
/// # Errors
/// The bytes are no module, or one that describes no world it keeps to.
pub fn encode(module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    if is_component(&module) {
        return Ok(module);
    }
    let no_component = |error: String| BuildError::Component(error);
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .map_err(|error| no_component(format!("{error:#}; does the module describe its world?")))?
        .encode()
        .map_err(|error| no_component(format!("{error:#}")))
}

/// Writes a file, unless it holds these bytes already; says whether it changed. Readers see the old one or the new one.
///
/// # Errors
/// The folder cannot be made or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(BuildError::at(folder))?;
    }
    let aside = path.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&aside, bytes).map_err(BuildError::at(&aside))?;
    std::fs::rename(&aside, path).map_err(BuildError::at(path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_is_refused() {
        let empty_module = [0x00, b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00];
        assert!(encode(b"text".to_vec()).is_err());
        // An empty module describes nothing; what comes of it has no exports, which is no error here.
        let bytes = encode(empty_module.to_vec()).unwrap();
        assert!(is_component(&bytes));
    }

    #[test]
    fn a_component_stays_as_it_is() {
        assert_eq!(encode(COMPONENT.to_vec()).unwrap(), COMPONENT);
    }

    #[test]
    fn a_file_changes_only_when_its_bytes_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/a.wasm");
        assert!(replace(&path, b"one").unwrap());
        assert!(!replace(&path, b"one").unwrap());
        assert!(replace(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let left: Vec<_> = std::fs::read_dir(folder.path().join("deep")).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
