//! From a core module to a component, and from bytes to a file.

use std::path::Path;

use wit_component::ComponentEncoder;

use crate::error::BuildError;

/// The preamble of a component, other than that of a core module: layer 1.
const COMPONENT: [u8; 8] = [0x00, b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00];

/// The custom section that holds the manifest: what the plugin host looks for.
const SECTION: &str = "millrace:manifest";

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

/// The component with this text as its manifest, in place of one that it may have.
///
/// # Errors
/// The bytes are no component, or end in the middle of a section.
pub fn with_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>, BuildError> {
    let broken = || BuildError::Component("the file ends in the middle of a section".into());
    let Some(mut rest) = component.strip_prefix(&COMPONENT) else {
        return Err(BuildError::Component("the file is no component".into()));
    };
    let mut whole = COMPONENT.to_vec();
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = number(after).ok_or_else(broken)?;
        let (content, next) = after.split_at_checked(length).ok_or_else(broken)?;
        let name = number(content).and_then(|(length, after)| after.get(..length));
        if *id != 0 || name != Some(SECTION.as_bytes()) {
            let section = rest.get(..rest.len() - next.len()).unwrap_or_default();
            whole.extend_from_slice(section);
        }
        rest = next;
    }
    let mut section = Vec::with_capacity(manifest.len() + SECTION.len() + 5);
    put_number(&mut section, SECTION.len());
    section.extend_from_slice(SECTION.as_bytes());
    section.extend_from_slice(manifest.as_bytes());
    whole.push(0);
    put_number(&mut whole, section.len());
    whole.extend_from_slice(&section);
    Ok(whole)
}

/// Reads a LEB128 number of at most 32 bits.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

fn put_number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
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
    fn a_manifest_takes_the_place_of_an_older_one() {
        let first = with_manifest(&COMPONENT, "plugin \"a\"").unwrap();
        assert_eq!(&first[8..], b"\0\x1c\x11millrace:manifestplugin \"a\"");
        let long = "x".repeat(1000);
        let second = with_manifest(&first, &long).unwrap();
        assert_eq!(second.len(), 8 + 1 + 2 + 1 + 17 + 1000);
        assert_eq!(with_manifest(&second, "plugin \"a\"").unwrap(), first);
        assert!(with_manifest(&first[..first.len() - 1], "x").is_err());
        assert!(with_manifest(b"\0asm\x01\0\0\0", "x").is_err());
        assert!(with_manifest(&[&COMPONENT[..], &[0, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(), "x").is_err());
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
