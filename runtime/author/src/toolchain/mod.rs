//! From sources to a component: one tool-chain per language, each in a file of its own.
//!
//! To add a language: a file here with a type that implements [`Toolchain`], a `mod` line, and an entry in [`ALL`].
//! Nothing else knows the languages by name. A tool-chain installs nothing by itself outside of its cache folder; what the
//! person has to install is named by [`Toolchain::missing`] together with the command that does it.

pub mod c;
mod cached;
pub mod go;
pub mod javascript;
mod module;
pub mod python;
pub mod rust;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    error::BuildError,
    project::{Project, script_of},
};

/// Every language, in the order in which `plugin new` lists them.
pub const ALL: &[&dyn Toolchain] = &[&rust::Rust, &go::Go, &javascript::JavaScript, &python::Python, &c::C];

/// A way from sources to a component.
pub trait Toolchain: Sync {
    /// The language, as it is written in `millrace plugin new LANGUAGE` and in `guest-sdk/LANGUAGE`.
    fn language(&self) -> &'static str;

    /// Whether the files of a project say that it is for this tool-chain: `Cargo.toml`, `go.mod`, `package.json`.
    fn recognises(&self, project: &Project) -> bool;

    /// What the person has to install before anything can be built; empty: everything is there. What this tool-chain can
    /// fetch into `cache` by itself is not missing.
    fn missing(&self, cache: &Path) -> Vec<Missing>;

    /// Builds, and returns the file of a component (never of a core module: see [`crate::component::encode`]). The
    /// manifest is added by the caller. Blocks until it is done.
    ///
    /// # Errors
    /// A tool is missing or failed; the error holds what it wrote.
    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError>;
}

/// Something that the person has to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The tool: `rustup's target wasm32-unknown-unknown`.
    pub what: String,
    /// What it is needed for.
    pub why: String,
    /// The command that installs it.
    pub install: String,
}

/// What matters more about a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// The speed of what is built.
    Fast,
    /// That it is built soon.
    Soon,
}

/// What a build needs besides the project.
pub struct BuildContext<'a> {
    /// A folder for what tool-chains fetch; it outlives the build and is shared by all projects.
    pub cache: &'a Path,
    /// A folder inside of the project for what the build leaves behind: `target`. Not created yet.
    pub work: &'a Path,
    /// What matters more.
    pub speed: Speed,
    /// Gets one line for each step, to show that something happens.
    pub progress: &'a dyn Fn(&str),
}

impl BuildContext<'_> {
    /// Says what happens now.
    pub fn step(&self, what: &str) {
        (self.progress)(what);
    }

    /// Runs a tool to its end and returns what it wrote to standard output.
    ///
    /// # Errors
    /// It is not there, or it failed: then with everything it wrote.
    pub fn run(&self, command: &mut Command) -> Result<String, BuildError> {
        run(command)
    }
}

/// Runs a tool to its end and returns what it wrote to standard output.
///
/// # Errors
/// It is not there, or it failed: then with everything it wrote.
pub fn run(command: &mut Command) -> Result<String, BuildError> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|cause| BuildError::NotRun { command: shown.clone(), cause })?;
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(written);
    }
    let output_of = format!("{written}{}", String::from_utf8_lossy(&output.stderr));
    Err(BuildError::Failed { command: shown, status: output.status.to_string(), output: output_of })
}

/// Whether a program can be run from here: it is on the `PATH`, or it is a path that exists.
pub fn is_program(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The tool-chain of a language.
pub fn of_language(language: &str) -> Option<&'static dyn Toolchain> {
    ALL.iter().copied().find(|toolchain| toolchain.language() == language)
}

/// The tool-chain that a project's files ask for.
///
/// # Errors
/// None of them knows these files, or more than one does.
pub fn of_project(project: &Project) -> Result<&'static dyn Toolchain, BuildError> {
    let found: Vec<_> = ALL.iter().copied().filter(|toolchain| toolchain.recognises(project)).collect();
    let names = |toolchains: &[&'static dyn Toolchain]| {
        toolchains.iter().map(|toolchain| toolchain.language()).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] if script_of(project).is_some() => Err(BuildError::Project(format!(
            "{} holds a script: there is nothing to build, name the file in a configuration",
            project.folder.display()
        ))),
        [] => Err(BuildError::Project(format!(
            "{} holds no plugin in a language that is known here ({})",
            project.folder.display(),
            names(ALL)
        ))),
        several => Err(BuildError::Project(format!(
            "{} looks like a plugin in more than one language: {}",
            project.folder.display(),
            names(several)
        ))),
    }
}

/// A command as one would type it, without its environment.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{is_program, of_language, of_project, run};
    use crate::{BuildError, Project};

    #[test]
    fn a_failing_tool_is_shown_with_all_it_wrote() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh -c echo out; echo err >&2; exit 3 failed (exit status: 3)\n  out\n  err"
        );
        let error = run(&mut Command::new("no-such-tool-anywhere")).unwrap_err();
        assert!(matches!(error, BuildError::NotRun { .. }), "{error}");
        assert_eq!(run(Command::new("echo").arg("fine")).unwrap(), "fine\n");
    }

    #[test]
    fn programs_are_looked_up_like_a_shell_does() {
        assert!(is_program("sh") && is_program("/bin/sh"));
        assert!(!is_program("no-such-tool-anywhere") && !is_program("/bin/no-such-tool"));
    }

    #[test]
    fn the_files_of_a_project_choose_its_tool_chain() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert!(of_project(&project).is_err());
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(of_project(&project).unwrap().language(), "rust");
        assert!(of_language("rust").is_some() && of_language("cobol").is_none());
    }
}
