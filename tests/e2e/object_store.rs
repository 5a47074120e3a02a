//! The `object-store` sink against an S3 server of another make.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use millrace_tests::{Agent, S3Server, eventually, temporary_folder};

const KILLS: usize = 6;
/// With `roll count=40_000` three files, of three parts each.
const LINES: u64 = 120_000;
const LINE_BYTES: usize = 300;
const BATCH: usize = 2_000;

#[test]
fn killed_in_the_middle_of_uploads_every_line_is_in_an_object_and_no_parts_are_left() {
    let folder = temporary_folder();
    let server = S3Server::start(Duration::from_millis(150));
    server.create_bucket("logs");
    let log = folder.path().join("app.log");
    let text: String =
        (0..LINES).map(|number| format!("{number:0width$}\n", width = LINE_BYTES - 1)).collect();
    fs::write(&log, text).unwrap();
    let roll = format!("roll interval=\"1h\" count=40000; batch events={BATCH}");
    Agent::write_config(folder.path(), "s3", &config(&server, &log, &roll));
    for kill in 0..KILLS {
        let agent = Agent::spawn(folder.path(), "s3", &[]);
        eventually(&format!("an upload is under way before kill {kill}"), || {
            server.unfinished_uploads("logs") > 0
        });
        agent.kill();
    }
    let agent = Agent::start_again(folder.path(), "s3");
    eventually("everything is taken", || {
        let status = agent.status();
        status["channels"][0]["events"] == 0
            && status["sources"][0]["events_accepted"] != 0
            && staged(folder.path()) <= 1
    });
    assert!(agent.stop().success());

    assert_eq!(server.unfinished_uploads("logs"), 0);
    assert_eq!(staged(folder.path()), 0, "nothing stays on the local disk");
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for key in server.objects("logs") {
        assert!(key.starts_with("web/20") && key.ends_with(".log"), "{key}");
        for line in String::from_utf8(server.object("logs", &key)).unwrap().lines() {
            assert_eq!(line.len(), LINE_BYTES - 1, "no line is torn: {line}");
            *seen.entry(line.parse().unwrap()).or_default() += 1;
        }
    }
    assert!((0..LINES).all(|number| seen.contains_key(&number)), "{} of {LINES} lines", seen.len());
    assert_eq!(seen.len() as u64, LINES);
    let repeats: usize = seen.values().map(|count| count - 1).sum();
    println!("{LINES} lines, {KILLS} kills in the middle of uploads, {repeats} repeats");
    assert!(repeats <= KILLS * BATCH);
}

#[test]
fn without_its_bucket_files_wait_and_become_objects_once_it_is_there() {
    let folder = temporary_folder();
    let server = S3Server::start(Duration::ZERO);
    let log = folder.path().join("app.log");
    fs::write(&log, "one\ntwo\nthree\n").unwrap();
    Agent::write_config(folder.path(), "s3", &config(&server, &log, "roll count=2 interval=\"1h\""));
    let agent = Agent::start_again(folder.path(), "s3");
    eventually("the error is told", || agent.status().to_string().contains("NoSuchBucket"));
    assert_eq!(staged(folder.path()), 2);
    server.create_bucket("logs");
    eventually("the full file is an object", || server.objects("logs").len() == 1);
    assert!(agent.stop().success());
    let contents: Vec<String> = server
        .objects("logs")
        .iter()
        .map(|key| String::from_utf8(server.object("logs", key)).unwrap())
        .collect();
    assert_eq!(contents, ["one\ntwo\n", "three\n"]);
    assert_eq!(staged(folder.path()), 0);
}

fn config(server: &S3Server, log: &Path, options: &str) -> String {
    format!(
        r#"channels {{ file "durable" }}
sources {{ taildir "in" channel="durable" {{ path "{}" }} }}
sinks {{
    object-store "out" channel="durable" {{
        url "s3://logs/web"; endpoint "{}"; region "us-east-1"; access-key "id"; secret-key "secret"
        extension "log"; part-size "5MiB"; {options}
    }}
}}
"#,
        log.display(),
        server.origin()
    )
}

/// Files in the stage, whatever they are.
fn staged(folder: &Path) -> usize {
    let found = walk(&folder.join("s3-data"));
    found.iter().filter(|path| path.parent().is_some_and(|parent| parent.ends_with("stage"))).count()
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(walk(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}
