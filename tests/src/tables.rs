//! Rows of Parquet files and Avro containers, as readers of another make see them: pyarrow and fastavro, from PyPI.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::peers::{install, run};

/// An event in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The column `timestamp` of Parquet.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The body, in hex.
    pub body: String,
}

/// Hands on every row of these files, Parquet or Avro containers.
///
/// # Panics
/// Python is missing, a reader cannot be installed, or it refuses a file.
pub fn rows(files: &[PathBuf], mut each: impl FnMut(Row)) {
    let folder = install("tables", |folder| {
        run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder));
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
        run(Command::new(folder.join("venv/bin/pip")).args(pip).current_dir(folder));
    });
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.arg(folder.join("rows.py")).args(files).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn();
    let Ok(mut child) = child else { unreachable!("{command:?} cannot be started") };
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let row = line.ok().and_then(|line| row(&line));
        let Some(row) = row else { unreachable!("a row is no JSON") };
        each(row);
    }
    assert!(child.wait().is_ok_and(|status| status.success()), "the reader refuses one of {files:?}");
}

fn row(line: &str) -> Option<Row> {
    let row: serde_json::Value = serde_json::from_str(line).ok()?;
    let headers = row["headers"].as_object()?.iter();
    let headers = headers.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some(Row {
        timestamp: row["timestamp"].as_i64(),
        headers: headers.collect::<Option<_>>()?,
        body: row["body"].as_str()?.to_owned(),
    })
}
