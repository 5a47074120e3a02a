//! Plugins in Python: wrapped together with their interpreter by componentize-py.
//!
//! The tool comes from PyPI, as `requirements.txt` pins it by digest, into a virtual environment in the cache: once, and from then on
//! nothing is fetched. The recipe itself is `build.py`, so that it can be run by hand as well.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{BuildContext, Missing, Toolchain, cached::Cached};
use crate::{error::BuildError, project::Project};

/// Names under which Python 3.11 or later may be there, the likeliest first.
const PYTHONS: &[&str] = &["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

const FILES: &[(&str, &str)] = &[
    ("requirements.txt", include_str!("../../../../guest-sdk/python/toolchain/requirements.txt")),
    ("build.py", include_str!("../../../../guest-sdk/python/toolchain/build.py")),
];

/// The tool-chain for Python.
pub struct Python;

impl Toolchain for Python {
    fn language(&self) -> &'static str {
        "python"
    }

    fn recognises(&self, project: &Project) -> bool {
        let text = std::fs::read_to_string(project.folder.join("pyproject.toml"));
        text.is_ok_and(|text| text.lines().any(|line| line.trim() == "[tool.millrace]"))
    }

    fn missing(&self, _cache: &Path) -> Vec<Missing> {
        let python = Missing {
            what: "Python 3.11 or later, with venv".to_owned(),
            why: "it runs the tool that makes a component of Python".to_owned(),
            install: "apt-get install python3-venv".to_owned(),
        };
        if interpreter().is_some() { Vec::new() } else { vec![python] }
    }

    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError> {
        let Some(python) = interpreter() else { return Err(BuildError::Missing(self.missing(cx.cache))) };
        let tools = Cached { name: "python", files: FILES, cache: cx.cache };
        let tools = tools.folder(|folder| {
            cx.step("fetching the tools for Python (72 MB, once)");
            let mut venv = Command::new(python);
            venv.args(["-m", "venv", "venv"]).current_dir(folder);
            cx.run(&mut venv)?;
            let mut pip = Command::new(folder.join("venv/bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
            pip.args(["--only-binary", ":all:", "-r", "requirements.txt"]).current_dir(folder);
            cx.run(&mut pip).map(drop)
        })?;
        cx.step(&format!("making a component of {}", project.name));
        let path = cx.work.join(format!("{}.component.wasm", project.name));
        let mut build = Command::new(tools.join("venv/bin/python"));
        build.arg(tools.join("build.py")).arg(&project.folder).arg(cx.work.join("python")).arg(&path);
        cx.run(&mut build)?;
        Ok(path)
    }
}

/// The first interpreter that is new enough and can make virtual environments.
fn interpreter() -> Option<&'static str> {
    let is_good = |name: &&&str| {
        let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
        Command::new(name).args(["-c", check]).output().is_ok_and(|output| output.status.success())
    };
    PYTHONS.iter().find(is_good).copied()
}

#[cfg(test)]
mod tests {
    use super::{Python, Toolchain};
    use crate::project::Project;

    #[test]
    fn a_project_is_known_by_its_table() {
        let folder = tempfile::tempdir().unwrap();
        let knows = |text: &str| {
            std::fs::write(folder.path().join("pyproject.toml"), text).unwrap();
            Python.recognises(&Project::open(folder.path()).unwrap())
        };
        assert!(knows("[project]\nname = \"x\"\n[tool.millrace]\nmodule = \"x\"\n"));
        assert!(!knows("[project]\nname = \"x\"\n"));
    }
}
