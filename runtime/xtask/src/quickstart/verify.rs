//! Compares the rolled files with the input, without knowing how the plugins do their work.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// What the files hold.
pub(super) struct Report {
    pub(super) files: usize,
    pub(super) lines: usize,
    pub(super) masked: usize,
}

/// The lines that must come out: all but health checks.
pub(super) fn expected<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| !line.contains("/healthz")).collect()
}

/// Lines delivered so far, in finished files and in the one being written.
pub(super) fn delivered(output: &Path) -> Result<usize> {
    let mut lines = 0;
    for file in files(output)? {
        // A file is renamed when it is finished: it is counted under its new name the next time.
        let content = fs::read(&file).unwrap_or_default();
        lines += content.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok(lines)
}

fn files(output: &Path) -> Result<Vec<PathBuf>> {
    if !output.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(output).with_context(|| format!("cannot list {}", output.display()))? {
        files.push(entry?.path());
    }
    files.sort_by_key(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        numbers(&name)
    });
    Ok(files)
}

/// The numbers in a file name: rolled files sort by start and counter, whatever their number of digits.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Every expected line, once, in order; the only difference allowed is a masked card number.
pub(super) fn verify(expected: &[&str], output: &Path) -> Result<Report> {
    let files = files(output)?;
    let mut report = Report { files: files.len(), lines: 0, masked: 0 };
    for file in &files {
        let content = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in content.lines() {
            let Some(wanted) = expected.get(report.lines) else {
                bail!("{}: a line too many: {line}", file.display());
            };
            if line != *wanted {
                if !is_masked(line, wanted) {
                    bail!(
                        "{}: line {} differs\n  expected {wanted}\n  found    {line}",
                        file.display(),
                        report.lines + 1
                    );
                }
                report.masked += 1;
            }
            report.lines += 1;
        }
    }
    if report.lines != expected.len() {
        bail!("{} lines are missing", expected.len() - report.lines);
    }
    if report.masked == 0 {
        bail!("the input has valid card numbers, and none was masked");
    }
    Ok(report)
}

/// Whether the lines differ only in digits of the `card` parameter that became `#`, the last four staying.
fn is_masked(line: &str, wanted: &str) -> bool {
    let Some(at) = wanted.find("card=").map(|at| at + 5) else { return false };
    let (Some(before), Some(card), Some(after)) =
        (wanted.get(..at), wanted.get(at..at + 16), wanted.get(at + 16..))
    else {
        return false;
    };
    let masked = format!("{before}############{}{after}", card.get(12..).unwrap_or_default());
    line == masked
}
