//! Every folder of `examples/`: its configuration is good, and what its input becomes is what `expected/` says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use millrace_tests::{Agent, binary, eventually, guest, lines_of, root, temporary_folder};

fn folders() -> Vec<std::path::PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_example_passes_the_check() {
    guest("drop-rule");
    for folder in folders() {
        let output = Command::new(binary()).arg("check").arg(folder.join("agent.kdl")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}: {text}{}",
            folder.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Examples with an `expected` file read `input/` and write `output/` beside their configuration.
#[test]
fn every_example_with_an_expectation_meets_it() {
    guest("drop-rule");
    let mut ran = Vec::new();
    for folder in folders().into_iter().filter(|folder| folder.join("expected").exists()) {
        run(&folder);
        ran.push(folder.file_name().unwrap().to_string_lossy().into_owned());
    }
    assert_eq!(
        ran,
        [
            "access-log",
            "dedup",
            "drop-rule",
            "go-access-log",
            "python-anomaly",
            "redact",
            "route-level",
            "script-tag"
        ]
    );
}

fn run(example: &Path) {
    let folder = temporary_folder();
    let config = fs::read_to_string(example.join("agent.kdl")).unwrap();
    let scripts: Vec<PathBuf> = fs::read_dir(example)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .collect();
    assert!(
        config.contains("\"../../target/guests/") || !scripts.is_empty(),
        "{}: plugins are found from the example",
        example.display()
    );
    for script in scripts {
        fs::copy(&script, folder.path().join(script.file_name().unwrap())).unwrap();
    }
    let here =
        |text: &str| text.replace("../../target/guests", &root().join("target/guests").display().to_string());
    fs::create_dir(folder.path().join("input")).unwrap();
    for entry in fs::read_dir(example.join("input")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join("input").join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.path().join("agent.kdl"), here(&config)).unwrap();
    let mut agent = Agent::spawn(folder.path(), "agent", &[]);
    let wanted: Vec<(PathBuf, Vec<String>)> = fs::read_dir(example.join("expected"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let lines = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
            (folder.path().join("output").join(path.file_stem().unwrap()), lines)
        })
        .collect();
    for (output, lines) in &wanted {
        eventually(&format!("{} is written:\n{}", output.display(), agent.log()), || {
            lines_of(output).len() >= lines.len()
        });
    }
    agent.signal("TERM");
    assert!(agent.wait().success(), "{}", agent.log());
    // Only now: a line too many would have come by the end.
    for (output, lines) in wanted {
        assert_eq!(lines_of(&output), lines, "{}", output.display());
    }
}
