//! Plugins in Go: the compiler of Go itself makes a core module, which becomes a component. TinyGo is not needed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{BuildContext, Missing, Toolchain, is_program, module, run};
use crate::{component, error::BuildError, project::Project};

/// The first release that exports functions of a library for WebAssembly.
const OLDEST: (u32, u32) = (1, 24);

/// The tool-chain for Go.
pub struct Go;

impl Toolchain for Go {
    fn language(&self) -> &'static str {
        "go"
    }

    fn recognises(&self, project: &Project) -> bool {
        project.has("go.mod")
    }

    fn missing(&self, _cache: &Path) -> Vec<Missing> {
        let version =
            is_program("go").then(|| run(Command::new("go").args(["env", "GOVERSION"])).ok()).flatten();
        if version.as_deref().and_then(number).is_some_and(|found| found >= OLDEST) {
            return Vec::new();
        }
        let found = version.map_or_else(String::new, |version| format!(", found {}", version.trim()));
        vec![Missing {
            what: format!("go {}.{} or later", OLDEST.0, OLDEST.1),
            why: format!("it compiles for GOOS=wasip1{found}"),
            install: "see https://go.dev/dl".to_owned(),
        }]
    }

    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError> {
        let core = cx.work.join(format!("{}.core.wasm", project.name));
        std::fs::create_dir_all(cx.work).map_err(BuildError::at(cx.work))?;
        cx.step(&format!("compiling {} with go", project.name));
        let mut command = Command::new("go");
        command.current_dir(&project.folder).env("GOOS", "wasip1").env("GOARCH", "wasm");
        command.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o"]);
        cx.run(command.arg(&core).arg("."))?;
        cx.step("making a component of it");
        let made = module::component(std::fs::read(&core).map_err(BuildError::at(&core))?)?;
        let path = cx.work.join(format!("{}.component.wasm", project.name));
        component::replace(&path, &made)?;
        Ok(path)
    }
}

/// Release and sub-release of `go1.26.8`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix("go")?.split('.');
    let part = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    Some((part(parts.next()?)?, part(parts.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::{Go, number};
    use crate::{
        Project,
        component::is_component,
        toolchain::{BuildContext, Speed, Toolchain},
    };

    #[test]
    fn releases_are_read() {
        assert_eq!(number("go1.26.8\n"), Some((1, 26)));
        assert_eq!(number("go1.24rc1"), Some((1, 24)));
        assert_eq!(number("devel +abc"), None);
    }

    #[test]
    fn every_template_becomes_a_component() {
        assert_eq!(Go.missing(std::path::Path::new(".")), []);
        for kind in ["interceptor", "source", "sink"] {
            let parent = tempfile::tempdir().unwrap();
            let folder = crate::templates::create("go", kind, "some-name", parent.path()).unwrap();
            let project = Project::open(&folder).unwrap();
            let work = folder.join("target");
            let cx =
                BuildContext { cache: parent.path(), work: &work, speed: Speed::Fast, progress: &|_| {} };
            let made = std::fs::read(Go.build(&project, &cx).unwrap()).unwrap();
            assert!(is_component(&made), "{kind}");
        }
    }
}
