//! A folder that holds the sources of one plugin, and its manifest `plugin.kdl`.

use std::path::{Path, PathBuf};

use millrace_config::{MapEnvironment, Scalar, parse_nodes};

use crate::error::BuildError;

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "plugin.kdl";

/// The sources of one plugin.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// The plugin's name: what the manifest says, otherwise the name of the folder.
    pub name: String,
    /// The text of `plugin.kdl`; None: there is no such file.
    pub manifest: Option<String>,
}

impl Project {
    /// Looks at a folder. What the manifest says beyond the name is checked by whoever puts it into the component.
    ///
    /// # Errors
    /// There is no such folder, or its manifest cannot be read as text.
    pub fn open(folder: &Path) -> Result<Self, BuildError> {
        let folder = folder.canonicalize().map_err(BuildError::at(folder))?;
        if !folder.is_dir() {
            return Err(BuildError::Project(format!("{} is no folder", folder.display())));
        }
        let path = folder.join(MANIFEST_FILE);
        let manifest = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(BuildError::at(path)(error)),
        };
        let named = manifest.as_deref().and_then(name_in);
        let of_folder = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = named.or_else(of_folder).unwrap_or_else(|| "plugin".to_owned());
        Ok(Self { folder, name, manifest })
    }

    /// Whether the project has this file or folder.
    pub fn has(&self, path: &str) -> bool {
        self.folder.join(path).exists()
    }
}

/// The file of a project that is a script and nothing to build: `NAME.js`, and neither a manifest nor a package.
pub fn script_of(project: &Project) -> Option<String> {
    let script = format!("{}.js", project.name);
    (project.manifest.is_none() && project.has(&script) && !project.has("package.json")).then_some(script)
}

/// The name that a manifest gives.
fn name_in(text: &str) -> Option<String> {
    let (nodes, _, _) = parse_nodes(MANIFEST_FILE, text, &MapEnvironment::default());
    let plugin = nodes.into_iter().find(|node| node.name.value == "plugin")?;
    match plugin.arguments.into_iter().next()?.value {
        Scalar::Text(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Project;

    #[test]
    fn the_manifest_names_a_project_and_the_folder_does_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("some-folder");
        std::fs::create_dir(&project).unwrap();
        assert_eq!(Project::open(&project).unwrap().name, "some-folder");
        std::fs::write(project.join("plugin.kdl"), "plugin \"redact\" version=\"0.1.0\"").unwrap();
        let opened = Project::open(&project).unwrap();
        assert_eq!(opened.name, "redact");
        assert!(opened.has("plugin.kdl") && !opened.has("Cargo.toml"));
        assert!(Project::open(&folder.path().join("nowhere")).is_err());
        std::fs::write(project.join("plugin.kdl"), [0xff, 0xfe]).unwrap();
        assert!(Project::open(&project).is_err());
    }
}
