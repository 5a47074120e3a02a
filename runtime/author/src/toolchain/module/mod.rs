//! From a core module that describes no world to a component: for languages whose SDK speaks the canonical ABI itself.
//!
//! What such a module imports and exports says which world it is for: interfaces of the plugin package by their names. That
//! world is written into the module, and the encoder checks every signature against the interface. What a language's
//! runtime asks of WASI is answered inside of the component by a few functions (`wasi.wat`) that have no effects but log lines.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

use crate::{error::BuildError, templates};

/// What answers for WASI preview 1.
const WASI: &str = include_str!("wasi.wat");
/// The world of that: it writes log lines.
const WASI_WORLD: &str = "package built:wasi;\nworld plugin {\n    import millrace:plugin/log@0.1.0;\n}\n";

/// Makes a component of a core module.
///
/// # Errors
/// The module imports something that is neither of the plugin package nor of WASI preview 1, or a function has another type than
/// the interface says.
pub(super) fn component(mut module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    let world = world(&module)?;
    describe(&mut module, &world)?;
    let mut wasi = wat::parse_str(WASI).map_err(|error| BuildError::Component(error.to_string()))?;
    describe(&mut wasi, WASI_WORLD)?;
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .module(&module)?
            .adapter("wasi_snapshot_preview1", &wasi)?
            // The Go runtime cannot be asked for memory before it has started.
            .realloc_via_memory_grow(true)
            .encode()
    };
    encode().map_err(|error| BuildError::Component(format!("{error:#}")))
}

/// The world that a module's imports and exports are those of, as WIT.
fn world(module: &[u8]) -> Result<String, BuildError> {
    let no_module = |error: wasmparser::BinaryReaderError| BuildError::Component(error.to_string());
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(no_module)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(no_module)?;
                    // Core names, such as that of WASI preview 1, have no colon.
                    if import.module.contains(':') {
                        imports.insert(import.module.to_owned());
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(no_module)?;
                    if let Some((interface, _)) = export.name.split_once('#') {
                        exports.insert(interface.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    if exports.is_empty() {
        return Err(BuildError::Component(
            "the module exports no interface of the plugin package: does it name its role?".to_owned(),
        ));
    }
    let line = |keyword: &str, name: &String| format!("    {keyword} {name};\n");
    let imports: String = imports.iter().map(|name| line("import", name)).collect();
    let exports: String = exports.iter().map(|name| line("export", name)).collect();
    Ok(format!("package built:plugin;\nworld plugin {{\n{imports}{exports}}}\n"))
}

/// Writes the description of a world into a module.
fn describe(module: &mut Vec<u8>, world: &str) -> Result<(), BuildError> {
    let error = |error: String| BuildError::Component(error);
    let mut files = SourceMap::new();
    for (name, text) in templates::interface() {
        files.push_str(name, text);
    }
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let interface = files.parse().map_err(|(_, found)| error(found.to_string()))?;
    resolve.push_group(interface).map_err(|found| error(found.to_string()))?;
    let package = resolve.push_source("built.wit", world).map_err(|found| error(format!("{found:#}")))?;
    let world =
        resolve.select_world(&[package], Some("plugin")).map_err(|found| error(format!("{found:#}")))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
        .map_err(|found| error(format!("{found:#}")))
}

#[cfg(test)]
mod tests {
    use super::{component, world};
    use crate::component::is_component;

    /// A sink that takes everything, as a compiler leaves it.
    const SINK: &str = r#"(module
        (import "millrace:plugin/types@0.1.0" "[resource-drop]batch" (func $drop (param i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "millrace:plugin/lifecycle@0.1.0#configure")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) (drop (call $random (i32.const 0) (i32.const 8))) (i32.const 64))
        (func (export "millrace:plugin/lifecycle@0.1.0#stop") (param i32) (call $exit (i32.const 1)))
        (func (export "millrace:plugin/sink@0.1.0#deliver") (param i32 i32 i32 i32) (result i32)
            (call $drop (local.get 0)) (i32.const 64)))"#;

    #[test]
    fn names_say_which_world_it_is() {
        let module = wat::parse_str(SINK).unwrap();
        assert_eq!(
            world(&module).unwrap(),
            "package built:plugin;\nworld plugin {\n    import millrace:plugin/types@0.1.0;\n    \
             export millrace:plugin/lifecycle@0.1.0;\n    export millrace:plugin/sink@0.1.0;\n}\n"
        );
        let component = component(module).unwrap();
        assert!(is_component(&component));
        let text = String::from_utf8_lossy(&component);
        assert!(!text.contains("wasi:"), "the component imports something of WASI");
    }

    #[test]
    fn a_function_of_another_type_is_refused() {
        let other = SINK.replace(
            "(param i32 i32 i32 i32) (result i32)\n            (call $drop",
            "(param i32 i32 i32) (result i32)\n            (call $drop",
        );
        assert_ne!(other, SINK);
        let error = component(wat::parse_str(other).unwrap()).unwrap_err().to_string();
        assert!(error.contains("type mismatch"), "{error}");
        let unknown = SINK.replace("sink@0.1.0#deliver", "sonk@0.1.0#deliver");
        assert!(component(wat::parse_str(unknown).unwrap()).is_err());
        let unknown = SINK.replace("random_get", "random_gets");
        assert!(component(wat::parse_str(unknown).unwrap()).is_err());
        assert!(component(b"text".to_vec()).is_err());
        assert!(component(wat::parse_str("(module)").unwrap()).unwrap_err().to_string().contains("role"));
    }
}
