//! Puts the script engine into the executable where `MILLRACE_EMBED_SCRIPT_ENGINE` names its file, for releases that
//! consist of one file. Without it the engine is looked for at run time, beside the executable.
#![expect(clippy::disallowed_methods, reason = "a build script reads its environment and the file it names")]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(embedded_script_engine)");
    println!("cargo::rerun-if-env-changed=MILLRACE_EMBED_SCRIPT_ENGINE");
    let Some(path) = std::env::var_os("MILLRACE_EMBED_SCRIPT_ENGINE").filter(|path| !path.is_empty()) else {
        return;
    };
    match std::fs::canonicalize(&path) {
        Ok(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            println!("cargo::rustc-env=MILLRACE_EMBEDDED_SCRIPT_ENGINE={}", path.display());
            println!("cargo::rustc-cfg=embedded_script_engine");
        }
        Err(error) => println!("cargo::error=MILLRACE_EMBED_SCRIPT_ENGINE names {}: {error}", path.display()),
    }
}
