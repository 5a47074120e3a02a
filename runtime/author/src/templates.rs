//! New projects: the templates of the guest SDKs with a name of their own, and beside them the SDK and the interface they need,
//! so that a project builds wherever it is.
//!
//! In a template the plugin is called `my-plugin`, `my_plugin` or `MyPlugin`, the folder of the SDK is `../..`, and that of the interface is
//! `../../../../wit`. A new project holds the SDK in `sdk` and the interface in `sdk/wit`.

use std::path::{Path, PathBuf};

use crate::error::BuildError;

/// Path below the root of the repository, and content.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Scripts are not built, so they need no interface.
const SCRIPT: &str = "script";

/// Longest name of a plugin.
const NAME_BYTES_MAX: usize = 64;

/// Names that a tool-chain or this page needs for itself.
const TAKEN: &[&str] =
    &["sdk", "test", "core", "std", "alloc", "self", "super", "crate", "main", "target", "wit", "my-plugin"];

/// Languages and kinds for which there is a template, in order.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = FILES
        .iter()
        .filter_map(|(path, _)| parts(path))
        .map(|(language, kind, _)| (language, kind))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The files of the plugin interface, as name and text.
pub(crate) fn interface() -> impl Iterator<Item = (&'static str, &'static str)> {
    let texts = FILES.iter().filter(|(path, _)| path.starts_with("wit/") && path.ends_with(".wit"));
    texts.filter_map(|(path, content)| Some((*path, std::str::from_utf8(content).ok()?)))
}

/// Makes a project in a new folder `parent/name` and returns it.
///
/// # Errors
/// The name is no good, there is no such template, the folder exists, or it cannot be written.
pub fn create(language: &str, kind: &str, name: &str, parent: &Path) -> Result<PathBuf, BuildError> {
    check_name(name)?;
    if !all().contains(&(language, kind)) {
        return Err(BuildError::Project(no_template(language, kind)));
    }
    let folder = parent.join(name);
    if folder.exists() {
        return Err(BuildError::Project(format!("{} exists already", folder.display())));
    }
    // Beside, then renamed: a project is there whole or not at all.
    let aside = parent.join(format!(".{name}.{}", std::process::id()));
    let made = write_all(language, kind, name, &aside)
        .and_then(|()| std::fs::rename(&aside, &folder).map_err(BuildError::at(&folder)));
    if made.is_err() {
        // What is left of it does not matter beside the error itself.
        let _ = std::fs::remove_dir_all(&aside);
    }
    made.map(|()| folder)
}

/// Whether a name can be one.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), BuildError> {
    let wrong = |why: &str| {
        Err(BuildError::Project(format!(
            "`{}` cannot be the name of a plugin: {why}; write it like `drop-debug`",
            name.escape_debug()
        )))
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return wrong(&format!("it must have 1 to {NAME_BYTES_MAX} characters"));
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return wrong("it may hold lower-case letters, digits and single hyphens");
    }
    let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
    if !name.split('-').all(is_word) {
        return wrong("it, and what follows a hyphen, must begin with a letter");
    }
    if TAKEN.contains(&name) {
        return wrong("the word means something else already");
    }
    Ok(())
}

fn no_template(language: &str, kind: &str) -> String {
    let all = all();
    let kinds: Vec<&str> =
        all.iter().filter(|(known, _)| *known == language).map(|(_, kind)| *kind).collect();
    if kinds.is_empty() {
        let mut languages: Vec<&str> = all.iter().map(|(language, _)| *language).collect();
        languages.dedup();
        let near = millrace_config::closest(language, languages.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return format!(
            "there is no template for `{language}`{near}; there are templates for {}",
            languages.join(", ")
        );
    }
    format!("there is no template for a {kind} in {language}; there is one for {}", kinds.join(", "))
}

/// Language, kind and the path inside of the template.
fn parts(path: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (language, rest) = path.strip_prefix("guest-sdk/")?.split_once('/')?;
    let (kind, inside) = rest.strip_prefix("template/")?.split_once('/')?;
    Some((language, kind, inside))
}

fn write_all(language: &str, kind: &str, name: &str, folder: &Path) -> Result<(), BuildError> {
    let sdk = format!("guest-sdk/{language}/");
    for (path, content) in FILES {
        if let Some((of_language, of_kind, inside)) = parts(path) {
            if (of_language, of_kind) == (language, kind) {
                write(
                    &folder.join(renamed(inside, name)),
                    &adapted(content, |text| project_text(text, name)),
                )?;
            }
        } else if let Some(inside) = path.strip_prefix(&sdk).filter(|inside| *inside != "Cargo.lock") {
            let is_manifest = inside == "Cargo.toml";
            write(&folder.join("sdk").join(inside), &adapted(content, |text| sdk_text(text, is_manifest)))?;
        } else if path.starts_with("wit/") && language != SCRIPT {
            write(&folder.join("sdk").join(path), content)?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(BuildError::at(folder))?;
    }
    std::fs::write(path, content).map_err(BuildError::at(path))
}

/// Text is adapted, everything else stays as it is.
fn adapted(content: &[u8], change: impl FnOnce(&str) -> String) -> Vec<u8> {
    match std::str::from_utf8(content) {
        Ok(text) => change(text).into_bytes(),
        Err(_) => content.to_vec(),
    }
}

fn project_text(text: &str, name: &str) -> String {
    renamed(text, name).replace("../../../../wit", "sdk/wit").replace("../..", "sdk")
}

fn sdk_text(text: &str, is_manifest: bool) -> String {
    let text = text.replace("../../wit", "wit");
    if !is_manifest {
        return text;
    }
    // Cargo has one workspace per project; that of the SDK is for its own repository.
    let workspace =
        |line: &&str| !(line.starts_with("[workspace]") || line.starts_with("exclude = [\"template\"]"));
    text.lines().filter(workspace).map(|line| format!("{line}\n")).collect()
}

fn renamed(text: &str, name: &str) -> String {
    let pascal: String = name
        .split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        })
        .collect();
    text.replace("my-plugin", name).replace("my_plugin", &name.replace('-', "_")).replace("MyPlugin", &pascal)
}

#[cfg(test)]
mod tests {
    use super::{all, check_name, create, project_text, renamed, sdk_text};

    #[test]
    fn names_take_the_form_of_the_name_they_replace() {
        assert_eq!(
            renamed("my-plugin my_plugin MyPlugin", "drop-debug-2x"),
            "drop-debug-2x drop_debug_2x DropDebug2x"
        );
        assert_eq!(
            project_text("path = \"../..\", wit = \"../../../../wit\"", "a"),
            "path = \"sdk\", wit = \"sdk/wit\""
        );
        assert_eq!(
            sdk_text("[workspace]\nexclude = [\"template\"]\n[lib]\nx = \"../../wit\"", true),
            "[lib]\nx = \"wit\"\n"
        );
    }

    #[test]
    fn names_that_cannot_be_one_are_refused() {
        for name in ["a", "drop-debug", "x1", "a-b-c"] {
            check_name(name).unwrap();
        }
        for name in [
            "",
            "-a",
            "a-",
            "a--b",
            "A",
            "a_b",
            "1a",
            "../x",
            "a/b",
            "ä",
            "sdk",
            "my-plugin",
            "a.b",
            "a b",
            "a\0",
            &"a".repeat(65),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_project_is_there_whole_or_not_at_all() {
        assert!(all().contains(&("rust", "interceptor")));
        let parent = tempfile::tempdir().unwrap();
        let folder = create("rust", "interceptor", "drop-debug", parent.path()).unwrap();
        assert!(folder.join("Cargo.toml").is_file() && folder.join("sdk/wit/types.wit").is_file());
        let manifest = std::fs::read_to_string(folder.join("sdk/Cargo.toml")).unwrap();
        assert!(!manifest.contains("[workspace]"), "{manifest}");
        assert!(!folder.join("sdk/template").exists());
        let again = create("rust", "interceptor", "drop-debug", parent.path()).unwrap_err();
        assert!(again.to_string().ends_with("drop-debug exists already"), "{again}");
        for (language, kind, name) in
            [("cobol", "interceptor", "a"), ("rust", "channel", "a"), ("rust", "interceptor", "../a")]
        {
            assert!(create(language, kind, name, parent.path()).is_err());
        }
        assert!(create("rust", "interceptor", "x", &parent.path().join("nowhere/deep")).is_ok());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 2);
    }
}
