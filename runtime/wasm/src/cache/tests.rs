use std::os::unix::fs::PermissionsExt;

use super::{CodeCache, Origin, digest};
use crate::engine::PluginEngine;

const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fn entries(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_second_load_takes_what_the_first_one_compiled() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("deep/plugins");
    let engine = PluginEngine::new().unwrap();
    let cache = CodeCache::new(folder.clone());
    assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Compiled);
    assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Cached);
    assert_eq!(entries(&folder).len(), 1);
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_cut_flipped_or_empty_entry_is_compiled_again_and_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let engine = PluginEngine::new().unwrap();
    let cache = CodeCache::new(temp.path().join("plugins"));
    cache.load(&engine, &digest(EMPTY), EMPTY).unwrap();
    let entry = entries(&temp.path().join("plugins")).remove(0);
    let whole = std::fs::read(&entry).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &whole[..10], &[][..], &flipped] {
        std::fs::write(&entry, damaged).unwrap();
        assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Compiled);
        assert_eq!(std::fs::read(&entry).unwrap().len(), whole.len());
        assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Cached);
    }
}

#[test]
fn a_folder_that_others_may_write_is_closed_before_use() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let engine = PluginEngine::new().unwrap();
    CodeCache::new(folder.clone()).load(&engine, &digest(EMPTY), EMPTY).unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn without_a_usable_folder_it_compiles_every_time() {
    let temp = tempfile::tempdir().unwrap();
    let occupied = temp.path().join("plugins");
    std::fs::write(&occupied, "a file").unwrap();
    let engine = PluginEngine::new().unwrap();
    let cache = CodeCache::new(occupied);
    assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Compiled);
    assert_eq!(cache.load(&engine, &digest(EMPTY), EMPTY).unwrap().1, Origin::Compiled);
}
