//! Lists the files of the guest SDKs and of the plugin interface, so that the binary carries them: `millrace plugin new` works
//! without the repository.
#![expect(clippy::disallowed_methods, reason = "a build script reads the tree and its environment")]

use std::{env, fs, io, path::Path};

/// Folders that are not part of an SDK.
const SKIPPED: &[&str] = &["target", "node_modules", "__pycache__", "build", "dist"];
/// Larger files are made by something.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn main() -> io::Result<()> {
    let here = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let root = Path::new(&here).join("../..").canonicalize()?;
    let mut list = String::from("&[\n");
    for top in ["guest-sdk", "wit"] {
        folder(&root, &root.join(top), &mut list)?;
    }
    list.push_str("]\n");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("files.rs"), list)
}

fn folder(root: &Path, path: &Path, list: &mut String) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", path.display());
    let mut entries: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let path = entry.path();
        let relative = path.strip_prefix(root).map_err(io::Error::other)?.display().to_string();
        // The tests of an SDK stay behind, those of a template are part of it.
        let is_test_of_sdk = name == "tests" && relative.matches('/').count() == 2;
        // The engine of scripts is a plugin of its own, and the tools of a language are in the binary already.
        let is_ours = ["engine", "toolchain"].contains(&name.as_str()) && relative.matches('/').count() == 2;
        let is_hidden = name.starts_with('.') && name != ".gitignore";
        // SDKs are built for the version before.
        let is_next_interface = relative == "wit/next";
        if SKIPPED.contains(&name.as_str())
            || is_next_interface
            || is_hidden
            || is_ours
            || is_test_of_sdk
            || name.ends_with(".egg-info")
        {
            continue;
        }
        if kind.is_dir() {
            folder(root, &path, list)?;
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX && !name.ends_with(".wasm") {
            println!("cargo::rerun-if-changed={}", path.display());
            let full = path.display().to_string();
            list.push_str(&format!("    ({relative:?}, include_bytes!({full:?}) as &[u8]),\n"));
        }
    }
    Ok(())
}
