//! What the server answers, as JSON.

use millrace_config::{Files, Severity};
use millrace_engine::{Change, Outcome, ReloadReport};

/// The answer to a reload.
#[derive(Debug, serde::Serialize)]
pub struct ReloadView {
    /// Applied, unchanged or refused.
    pub outcome: Outcome,
    /// The generation that runs now.
    pub generation: u64,
    /// How long it took.
    pub took_millis: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What there is to know about new versions of plugins: where they differ, and which are on trial.
    pub notes: Vec<String>,
    /// Why it was refused, and warnings.
    pub findings: Vec<FindingView>,
    /// The findings as the command line shows them.
    pub text: String,
}

/// One finding with its place.
#[derive(Debug, serde::Serialize)]
pub struct FindingView {
    /// Its stable name.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file, where there is one.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
}

impl ReloadView {
    /// A report as the API shows it.
    pub fn new(report: &ReloadReport) -> Self {
        Self {
            outcome: report.outcome,
            generation: report.generation,
            took_millis: report.took_millis,
            changes: report.changes.clone(),
            notes: report.notes.clone(),
            findings: report.findings.iter().map(|finding| view(finding, &report.files)).collect(),
            text: millrace_config::Report::new(&report.findings, &report.files).render_text(false, 100),
        }
    }
}

fn view(finding: &millrace_config::Diagnostic, files: &Files) -> FindingView {
    let place =
        finding.span.map(|span| (files.path(span.file).display().to_string(), files.line_column(span)));
    FindingView {
        code: finding.code,
        severity: match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        reason: finding.reason.clone(),
        help: finding.help.clone(),
        file: place.as_ref().map(|(file, _)| file.clone()),
        line: place.as_ref().map(|(_, (line, _))| *line),
        column: place.as_ref().map(|(_, (_, column))| *column),
    }
}
