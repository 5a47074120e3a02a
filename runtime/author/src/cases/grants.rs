//! What a case grants that says nothing about grants: everything that the plugin's manifest asks for.

use std::path::Path;

use millrace_config::{MapEnvironment, Node, parse_nodes};
use millrace_wasm::Manifest;

use super::event::quoted;

/// A `grant` node for all wants of a manifest; None: it wants nothing. Directories are all the same empty one.
pub(super) fn all_of(manifest: &Manifest, folder: &Path) -> Option<Node> {
    if manifest.wants.is_empty() {
        return None;
    }
    let mut text = String::from("grant {\n");
    let http = manifest.wants.iter().filter(|want| want.kind == "http").flat_map(|want| &want.values);
    let origins: Vec<String> = http.map(|origin| quoted(origin)).collect();
    for want in &manifest.wants {
        if want.values.is_empty() {
            text.push_str(&format!("{}\n", want.kind));
        }
        for value in &want.values {
            let value = quoted(value);
            match want.kind.as_str() {
                "secret" => {
                    let origin = origins.first().map_or("\"https://host.example\"", String::as_str);
                    text.push_str(&format!("secret {value} env={value} origin={origin}\n"));
                }
                "directory" => {
                    let path = quoted(&folder.display().to_string());
                    text.push_str(&format!("directory {path} at={value}\n"));
                }
                "env" => text.push_str(&format!("env {value} value=\"test\"\n")),
                kind => text.push_str(&format!("{kind} {value}\n")),
            }
        }
    }
    text.push('}');
    let (nodes, _, _) = parse_nodes("wants", &text, &MapEnvironment::default());
    nodes.into_iter().next()
}
