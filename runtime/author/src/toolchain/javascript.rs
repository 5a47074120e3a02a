//! Plugins in JavaScript and TypeScript: bundled by esbuild, wrapped together with their engine by componentize-js.
//!
//! The tools come from npm, as `package-lock.json` pins them, into the cache: once, and from then on nothing is fetched. Their
//! install scripts do not run. The recipe itself is `build.mjs`, so that it can be run by hand as well.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{BuildContext, Missing, Toolchain, cached::Cached, is_program};
use crate::{error::BuildError, project::Project};

/// The oldest major version of Node that will do.
const NODE_MIN: u32 = 20;

const FILES: &[(&str, &str)] = &[
    ("package.json", include_str!("../../../../guest-sdk/javascript/toolchain/package.json")),
    ("package-lock.json", include_str!("../../../../guest-sdk/javascript/toolchain/package-lock.json")),
    ("build.mjs", include_str!("../../../../guest-sdk/javascript/toolchain/build.mjs")),
];

/// The tool-chain for JavaScript and TypeScript.
pub struct JavaScript;

impl Toolchain for JavaScript {
    fn language(&self) -> &'static str {
        "javascript"
    }

    fn recognises(&self, project: &Project) -> bool {
        let text = std::fs::read_to_string(project.folder.join("package.json"));
        text.is_ok_and(|text| text.contains("\"@millrace/plugin\""))
    }

    fn missing(&self, _cache: &Path) -> Vec<Missing> {
        let is_there = is_program("npm") && node_version().is_some_and(|version| version >= NODE_MIN);
        let node = Missing {
            what: format!("Node.js {NODE_MIN} or later, with npm"),
            why: "it runs the tools that make a component of JavaScript".to_owned(),
            install: "https://nodejs.org/en/download".to_owned(),
        };
        if is_there { Vec::new() } else { vec![node] }
    }

    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError> {
        let tools = Cached { name: "javascript", files: FILES, cache: cx.cache };
        let tools = tools.folder(|folder| {
            cx.step("fetching the tools for JavaScript (100 MB, once)");
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
            cx.run(&mut npm).map(drop)
        })?;
        cx.step(&format!("making a component of {}", project.name));
        let path = cx.work.join(format!("{}.component.wasm", project.name));
        let mut node = Command::new("node");
        node.arg(tools.join("build.mjs")).arg(&project.folder).arg(cx.work.join("javascript")).arg(&path);
        cx.run(&mut node)?;
        Ok(path)
    }
}

/// The major version of Node; None: there is none.
fn node_version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{JavaScript, Toolchain};
    use crate::project::Project;

    #[test]
    fn a_project_is_known_by_its_dependency_on_the_sdk() {
        let folder = tempfile::tempdir().unwrap();
        let knows = |text: &str| {
            std::fs::write(folder.path().join("package.json"), text).unwrap();
            JavaScript.recognises(&Project::open(folder.path()).unwrap())
        };
        assert!(knows(r#"{"dependencies": {"@millrace/plugin": "file:sdk"}}"#));
        assert!(!knows(r#"{"dependencies": {}}"#));
    }
}
