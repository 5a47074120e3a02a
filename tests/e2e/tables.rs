//! Parquet files of `file-roll` and `object-store`, read by pyarrow.

use std::{collections::BTreeMap, fs, path::Path};

use millrace_tests::{Agent, Row, eventually, rows, temporary_folder};

/// Bodies after `<time> <host> `.
const BODIES: &[&[u8]] =
    &[b"plain", b"", b"gr\xC3\xBCn", b"PAR1\x04\x00\x00\x00PAR1", b"\xFF\xFE not text", b"last"];

#[test]
fn parquet_files_of_local_sinks_are_read_by_pyarrow() {
    let folder = temporary_folder();
    let root = folder.path().display();
    let mut log = Vec::new();
    let mut wanted = Vec::new();
    for number in 0..5000 {
        let (time, host) = (1_700_000_000_000_i64 + number, format!("web-{}", number % 7));
        let start = format!("{time} {host} ");
        let body = [start.as_bytes(), BODIES[number as usize % BODIES.len()]].concat();
        log.extend_from_slice(&body);
        log.push(b'\n');
        let headers = [("timestamp", time.to_string()), ("host", host)];
        wanted.push(Row {
            timestamp: Some(time),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: hex::encode(body),
        });
    }
    log.extend_from_slice(b"without headers\n");
    wanted.push(Row { timestamp: None, headers: BTreeMap::new(), body: hex::encode("without headers") });
    fs::write(folder.path().join("app.log"), log).unwrap();

    let (mut channels, mut sinks, mut names) = (String::new(), String::new(), Vec::new());
    for (number, codec) in ["none", "snappy", "gzip", "lz4", "zstd"].into_iter().enumerate() {
        let options = format!(
            "extension \"parquet\"; serializer \"parquet\"; parquet codec=\"{codec}\" max-row-groups=4; batch events={}",
            [10_000, 1, 333, 1000, 77][number]
        );
        let (local, object) = (format!("local-{codec}"), format!("object-{codec}"));
        sinks += &format!(
            "file-roll \"{local}\" channel=\"{local}\" {{ directory \"{root}/{local}\"; {options} }}\n"
        );
        sinks += &format!(
            "object-store \"{object}\" channel=\"{object}\" {{ url \"file://{root}/{object}\"; {options} }}\n"
        );
        names.extend([local, object]);
    }
    names.iter().for_each(|name| channels += &format!("memory \"{name}\"\n"));
    let kdl = format!(
        "channels {{ {channels} }}\nsources {{ taildir \"in\" {{ path \"{root}/app.log\"; channel \"{}\"; \
         interceptors {{ regex-extractor {{ regex #\"^(\\d+) (\\S+)\"#; serializer \"timestamp\"; serializer \"host\" }} }} }} }}\nsinks {{ {sinks} }}\n",
        names.join("\" \"")
    );
    let agent = Agent::start(folder.path(), "tables", &kdl);
    eventually("everything is delivered", || {
        names.iter().all(|name| agent.metric("sink_events_delivered", name) == wanted.len() as u64)
    });
    let text = agent.log();
    assert!(agent.stop().success(), "{text}");
    for name in &names {
        let mut found = Vec::new();
        rows(&files(&folder.path().join(name)), |row| found.push(row));
        found.sort_by_key(|row| row.timestamp.unwrap_or(i64::MAX));
        assert_eq!(found.len(), wanted.len(), "{name}");
        assert!(found == wanted, "{name}: content differs");
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(
        files.iter().all(|path| path.extension().is_some_and(|extension| extension == "parquet")),
        "{files:?}"
    );
    files
}
