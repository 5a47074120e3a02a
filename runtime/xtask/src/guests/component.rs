//! From a core module to a component, and from bytes to a file.

use std::path::Path;

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// The preamble of a component, other than that of a core module: layer 1.
const COMPONENT: [u8; 8] = [0x00, b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00];

/// Wraps a core module into a component, as the description of its world inside of it says. What is a
/// component already stays as it is.
pub(super) fn encode(module: Vec<u8>) -> Result<Vec<u8>> {
    if module.starts_with(&COMPONENT) {
        return Ok(module);
    }
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("the module describes no world: is there an `export!` in it?")?
        .encode()
        .context("the module cannot become a component")
}

/// Writes a file, unless it holds these bytes already. Readers see the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let folder = path.parent().context("a file without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let aside = path.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&aside, bytes).with_context(|| format!("write {}", aside.display()))?;
    std::fs::rename(&aside, path).with_context(|| format!("write {}", path.display()))?;
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
        assert!(bytes.starts_with(&COMPONENT));
    }

    #[test]
    fn a_component_stays_as_it_is() {
        assert_eq!(encode(COMPONENT.to_vec()).unwrap(), COMPONENT);
    }

    #[test]
    fn a_file_changes_only_when_its_bytes_do() {
        let folder = std::env::temp_dir().join(format!("millrace-xtask-{}", std::process::id()));
        let path = folder.join("deep/a.wasm");
        assert!(replace(&path, b"one").unwrap());
        assert!(!replace(&path, b"one").unwrap());
        assert!(replace(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let left: Vec<_> = std::fs::read_dir(folder.join("deep")).unwrap().collect();
        assert_eq!(left.len(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
