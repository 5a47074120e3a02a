//! Plugins in C: clang compiles for wasm32 with wasi-libc, and the core module becomes a component.
//!
//! A project has its sources in `src/` and the flags of its compiler, one a line, in `compile_flags.txt`, where editors look for
//! them, too. The folder of the SDK is known from the flag that adds its headers.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{BuildContext, Missing, Speed, Toolchain, is_program, module, run};
use crate::{component, error::BuildError, project::Project};

/// Where a project keeps the flags of its compiler.
const FLAGS_FILE: &str = "compile_flags.txt";
/// What every plugin is compiled with: a library without `main`, SIMD, and nothing that is not used.
const FLAGS: &[&str] = &[
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-msimd128",
    "-mbulk-memory",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    "-Wl,--strip-debug",
];
/// Uses the headers, the library, the linker and the run-time of the compiler.
const PROBE: &str =
    "#include <stdlib.h>\n#include <string.h>\nvoid *probe(size_t n) { return memset(malloc(n), 1, n); }\n";
/// The newest release of clang that is looked for by its number.
const CLANG_NEWEST: u32 = 24;

/// The tool-chain for C.
pub struct C;

impl Toolchain for C {
    fn language(&self) -> &'static str {
        "c"
    }

    fn recognises(&self, project: &Project) -> bool {
        project.has(FLAGS_FILE)
    }

    fn missing(&self, _cache: &Path) -> Vec<Missing> {
        if clang().is_some() {
            return Vec::new();
        }
        vec![Missing {
            what: "a clang that compiles for wasm32-wasi".to_owned(),
            why: "compiler, linker and C library; or set WASI_SDK_PATH to an unpacked wasi-sdk".to_owned(),
            install: "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32".to_owned(),
        }]
    }

    fn build(&self, project: &Project, cx: &BuildContext<'_>) -> Result<PathBuf, BuildError> {
        let clang = clang().ok_or_else(|| BuildError::Missing(self.missing(cx.cache)))?;
        let flags_file = project.folder.join(FLAGS_FILE);
        let flags = std::fs::read_to_string(&flags_file).map_err(BuildError::at(flags_file))?;
        let flags: Vec<&str> = flags.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let sdk = sdk(&project.folder, &flags)?;
        std::fs::create_dir_all(cx.work).map_err(BuildError::at(cx.work))?;
        let core = cx.work.join(format!("{}.core.wasm", project.name));
        cx.step(&format!("compiling {} with {clang}", project.name));
        let mut command = Command::new(&clang);
        command.current_dir(&project.folder).args(FLAGS).args(match cx.speed {
            Speed::Fast => &["-O3", "-flto"][..],
            Speed::Soon => &["-O1"],
        });
        command.args(&flags).arg("-o").arg(&core);
        command
            .args(sources(&sdk.join("src"), &project.folder)?)
            .args(sources(Path::new("src"), &project.folder)?);
        cx.run(&mut command)?;
        cx.step("making a component of it");
        let made = module::component(std::fs::read(&core).map_err(BuildError::at(&core))?)?;
        let path = cx.work.join(format!("{}.component.wasm", project.name));
        component::replace(&path, &made)?;
        Ok(path)
    }
}

/// A compiler that can do it: that of wasi-sdk, otherwise the first clang that makes something of a small program.
fn clang() -> Option<String> {
    let wasi_sdk = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from);
    let of_wasi_sdk = wasi_sdk.map(|folder| folder.join("bin/clang").display().to_string());
    let numbered = (14..=CLANG_NEWEST).rev().map(|number| format!("clang-{number}"));
    let mut all = of_wasi_sdk.into_iter().chain(["clang".to_owned()]).chain(numbered);
    all.find(|clang| is_program(clang) && is_complete(clang))
}

/// Whether a compiler makes something of a small program.
fn is_complete(clang: &str) -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let source = folder.path().join("probe.c");
    if std::fs::write(&source, PROBE).is_err() {
        return false;
    }
    let mut command = Command::new(clang);
    command.args(FLAGS).arg("-Wl,--export=probe").arg("-o").arg(folder.path().join("probe.wasm")).arg(source);
    run(&mut command).is_ok()
}

/// The folder of the SDK: beside the headers that a flag adds.
fn sdk(folder: &Path, flags: &[&str]) -> Result<PathBuf, BuildError> {
    let headers = flags.iter().filter_map(|flag| flag.strip_prefix("-I")).map(Path::new);
    let mut sdks = headers.filter(|path| folder.join(path).join("millrace.h").is_file());
    sdks.find_map(|path| path.parent().map(Path::to_path_buf)).ok_or_else(|| {
        BuildError::Project(format!(
            "{} names no folder with millrace.h: it needs a line like -Isdk/include",
            folder.join(FLAGS_FILE).display()
        ))
    })
}

/// The sources in a folder, relative to that of the project, so that its place does not show in what is built.
fn sources(below: &Path, folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let path = folder.join(below);
    let entries = std::fs::read_dir(&path).map_err(BuildError::at(&path))?;
    let mut sources = Vec::new();
    for entry in entries {
        let name = entry.map_err(BuildError::at(&path))?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "c") {
            sources.push(below.join(name));
        }
    }
    sources.sort();
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::{C, sdk};
    use crate::{
        Project,
        component::is_component,
        toolchain::{BuildContext, Speed, Toolchain},
    };

    #[test]
    fn the_folder_of_the_sdk_is_beside_its_headers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("sdk/include")).unwrap();
        assert!(sdk(folder.path(), &["-Isdk/include"]).is_err());
        std::fs::write(folder.path().join("sdk/include/millrace.h"), "").unwrap();
        assert_eq!(
            sdk(folder.path(), &["-Wall", "-Iinclude", "-Isdk/include"]).unwrap(),
            std::path::Path::new("sdk")
        );
    }

    #[test]
    fn every_template_becomes_a_component() {
        assert_eq!(C.missing(std::path::Path::new(".")), []);
        for kind in ["interceptor", "source", "sink"] {
            let parent = tempfile::tempdir().unwrap();
            let folder = crate::templates::create("c", kind, "some-name", parent.path()).unwrap();
            let project = Project::open(&folder).unwrap();
            let work = folder.join("target");
            for speed in [Speed::Fast, Speed::Soon] {
                let cx = BuildContext { cache: parent.path(), work: &work, speed, progress: &|_| {} };
                let made = std::fs::read(C.build(&project, &cx).unwrap()).unwrap();
                assert!(is_component(&made) && made.len() < 200_000, "{kind}: {} bytes", made.len());
            }
        }
    }
}
