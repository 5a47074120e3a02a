//! Scripts are a part of the configuration: their files are read with it.
//!
//! So they are watched with it, places in them can be told like places in any other file, and what a component was
//! built from is known when it is compared with what it would be now.

use std::path::{Path, PathBuf};

use crate::{
    diagnostic::Files,
    document::FILE_BYTES_MAX,
    environment::Environment,
    load::describe_io,
    node::{Node, Scalar},
};

/// The interceptors that have such a file, and the option that names it.
const INTERCEPTORS: &[(&str, &str)] = &[("script", "file")];

/// Reads the files that options of [`OptionKind::TextFile`](crate::OptionKind::TextFile) name.
pub(crate) fn read(nodes: &[Node], files: &mut Files, environment: &dyn Environment) {
    let sources = nodes.iter().filter(|node| node.name.value == "sources").flat_map(|node| &node.children);
    let blocks = sources.flat_map(|source| source.children_named("interceptors"));
    let interceptors = blocks.flat_map(|block| &block.children);
    let paths: Vec<PathBuf> = interceptors.filter_map(|node| path(node, files)).collect();
    for path in paths {
        if files.find(&path).is_ok() {
            continue;
        }
        match text(&path, environment) {
            Ok(text) => drop(files.add(path, text.into())),
            Err(reason) => files.add_unreadable(path, reason),
        }
    }
}

/// The path that the option of a node names, if it has one.
fn path(node: &Node, files: &Files) -> Option<PathBuf> {
    let (_, option) = INTERCEPTORS.iter().find(|(kind, _)| *kind == node.name.value)?;
    let property = node.property(option).map(|property| &property.value);
    let value = property.or_else(|| node.children_named(option).next()?.arguments.first())?;
    match &value.value {
        Scalar::Text(text) if !text.is_empty() => Some(files.folder(value.span.file).join(text)),
        _ => None,
    }
}

fn text(path: &Path, environment: &dyn Environment) -> Result<String, String> {
    let bytes = environment.read(path, FILE_BYTES_MAX).map_err(|error| describe_io(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!("it is not UTF-8 text: byte {} is not", error.utf8_error().valid_up_to() + 1)
    })
}
