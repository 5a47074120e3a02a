//! Runs cases on the real host and compares what comes out, all of it.

use std::path::Path;

use millrace_config::{Diagnostics, pointer_span};
use millrace_core::{Batch, Delivery, Destination, InterceptorError, Sink, SinkError};
use millrace_wasm::Manifest;
use serde_json::{Value, json};

use super::{
    diff::difference,
    event::{CaseEvent, quoted},
    grants,
    read::{Call, Case, Outcome, after_text, refused_text},
    recorded::Recorded,
    source,
};
use crate::{
    error::BuildError,
    rig::{Rig, component, report},
};

/// What one case came to.
#[derive(Debug)]
pub struct CaseResult {
    /// What the case shows.
    pub name: String,
    /// Empty: it passed. Otherwise lines that say what differs.
    pub differences: Vec<String>,
}

impl CaseResult {
    /// Whether everything was as expected.
    pub fn is_good(&self) -> bool {
        self.differences.is_empty()
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({ "case": self.name, "passed": self.is_good(), "differences": self.differences })
    }
}

/// Runs the cases of one plugin file, each on a host of its own; what is compiled for the first one serves the others.
pub struct Runner<'a> {
    /// The plugin or script.
    pub path: &'a Path,
    /// Its role; None: an interceptor.
    pub role: Option<&'a str>,
    /// Its manifest: all that it wants is granted where the case does not say otherwise.
    pub manifest: Option<&'a Manifest>,
    cache: tempfile::TempDir,
}

impl<'a> Runner<'a> {
    /// For one plugin file.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn new(
        path: &'a Path,
        role: Option<&'a str>,
        manifest: Option<&'a Manifest>,
    ) -> Result<Self, BuildError> {
        let cache = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
        Ok(Self { path, role, manifest, cache })
    }

    /// Runs one case.
    ///
    /// # Errors
    /// The host cannot run anything at all, or the script cannot be read.
    pub async fn run(&self, case: &Case) -> Result<CaseResult, BuildError> {
        let rig = Rig::for_cases(self.cache.path())?;
        let mut recorded = Recorded::start(&case.answers).await?;
        let mut around = case.around.clone().with_script(self.path)?;
        if around.grant.is_none() {
            around.grant = self.manifest.and_then(|manifest| grants::all_of(manifest, rig.folder()));
        }
        recorded.put_into(&mut around);
        let mut differences = match self.role {
            Some("sink") => sink(&rig, self.path, case, &around).await,
            Some("source") => source::run(&rig, self.path, case, &around).await,
            _ => interceptor(&rig, self.path, case, &around).await,
        };
        differences.extend(recorded.finish());
        Ok(CaseResult { name: case.name.clone(), differences })
    }
}

async fn interceptor(rig: &Rig, path: &Path, case: &Case, around: &crate::rig::Around) -> Vec<String> {
    let interceptor = match rig.interceptor(path, around) {
        Ok(interceptor) => interceptor,
        Err(found) => return refused(&found, case, around),
    };
    if let Some(lines) = unexpected_start(case) {
        return lines;
    }
    let mut lines = Vec::new();
    for (number, call) in case.calls.iter().enumerate() {
        let batch = Batch::new(call.events.iter().map(CaseEvent::to_event).collect());
        let found = match interceptor.intercept(batch).await {
            Ok(batch) => of_batch(&batch),
            Err(error) => Outcome { words: vec![of_error(&error)], ..Outcome::default() },
        };
        lines.extend(numbered(
            difference(&call.expected, &loosened(call, found.lines())),
            number,
            case.calls.len(),
        ));
    }
    interceptor.close().await;
    lines
}

async fn sink(rig: &Rig, path: &Path, case: &Case, around: &crate::rig::Around) -> Vec<String> {
    let mut sink = match rig.sink(path, around) {
        Ok(sink) => sink,
        Err(found) => return refused(&found, case, around),
    };
    if let Some(lines) = unexpected_start(case) {
        return lines;
    }
    let mut lines = Vec::new();
    for (number, call) in case.calls.iter().enumerate() {
        let delivery = Delivery { id: format!("case-{number}").into(), attempt: 1 };
        let batch = Batch::new(call.events.iter().map(CaseEvent::to_event).collect()).with_delivery(delivery);
        let mut outcome = sink.deliver(&batch).await;
        if matches!(outcome, Ok(()) | Err(SinkError::Partial { .. }))
            && let Err(error) = through_both_phases(&mut *sink).await
        {
            outcome = Err(error);
        }
        let words = match outcome {
            Ok(()) => vec!["delivered".to_owned()],
            Err(error) => of_sink_error(error),
        };
        lines.extend(numbered(difference(&call.expected, &loosened(call, words)), number, case.calls.len()));
    }
    if let Err(error) = sink.close().await {
        lines.push(format!("+ closing failed: {error}"));
    }
    lines
}

/// What the agent does with what was delivered, where a sink has two phases.
async fn through_both_phases(sink: &mut dyn Sink) -> Result<(), SinkError> {
    let tokens = sink.prepare().await?;
    sink.commit(&tokens).await
}

/// A case that does not say how long a pause is leaves it to the plugin.
fn loosened(call: &Call, found: Vec<String>) -> Vec<String> {
    let is_open = |line: &String| call.expected.contains(line);
    found
        .into_iter()
        .map(|line| match line.split_once(" after=") {
            Some((failure, _)) if failure.starts_with("failure ") && is_open(&failure.to_owned()) => {
                failure.to_owned()
            }
            _ => line,
        })
        .collect()
}

/// Says which call the lines are about, where there are several.
fn numbered(lines: Vec<String>, number: usize, of: usize) -> Vec<String> {
    if lines.is_empty() || of == 1 {
        return lines;
    }
    std::iter::once(format!("in the call number {} of {of}:", number + 1)).chain(lines).collect()
}

/// A case of mistakes in the options passed none.
pub(super) fn unexpected_start(case: &Case) -> Option<Vec<String>> {
    let missing = case.issues.iter().map(|issue| format!("- issue {}", quoted(&issue.path)));
    (!case.issues.is_empty()).then(|| missing.chain(["+ the options are accepted".to_owned()]).collect())
}

/// The options were refused: as they should be, or not.
pub(super) fn refused(found: &Diagnostics, case: &Case, around: &crate::rig::Around) -> Vec<String> {
    let options = component(around.config.as_ref());
    let mut rest: Vec<_> = found.iter().collect();
    let mut lines = Vec::new();
    for issue in &case.issues {
        let span = pointer_span(&options, &issue.path);
        let at = rest.iter().position(|one| {
            let is_here =
                one.span.is_some_and(|place| place == span || contains(place, span) && issue.path.is_empty());
            // A misspelt name is told at the name, a value at the value.
            let is_name = one.span == Some(millrace_config::pointer_name_span(&options, &issue.path));
            (is_here || is_name) && issue.reason.as_ref().is_none_or(|reason| one.reason.contains(reason))
        });
        match at {
            Some(at) => {
                rest.remove(at);
            }
            None => {
                let reason =
                    issue.reason.as_ref().map_or_else(String::new, |reason| format!(" {}", quoted(reason)));
                lines.push(format!("- issue {}{reason}", quoted(&issue.path)));
            }
        }
    }
    if !rest.is_empty() {
        let mut unexpected = Diagnostics::default();
        rest.into_iter().for_each(|one| unexpected.push(one.clone()));
        let report = report(&unexpected, &around.files, false, 100);
        lines.extend(report.lines().map(|line| format!("+ {line}")));
    }
    lines
}

fn contains(outer: millrace_config::Span, inner: millrace_config::Span) -> bool {
    outer.file == inner.file && outer.offset <= inner.offset && inner.offset <= outer.offset + outer.length
}

/// What an interceptor made of a batch.
fn of_batch(batch: &Batch) -> Outcome {
    let mut outcome = Outcome { out: batch.iter().map(CaseEvent::of).collect(), ..Outcome::default() };
    for diverted in batch.diverted() {
        let place = match &diverted.destination {
            Destination::Channel(name) => format!("route {}", quoted(name)),
            Destination::DeadLetter(rejection) => {
                let fault = rejection.details.iter().find(|(name, _)| *name == "fault");
                match fault {
                    Some((_, kind)) => format!("fault {}", quoted(kind)),
                    None => format!("reject {}", quoted(&rejection.reason)),
                }
            }
        };
        outcome.elsewhere.entry(place).or_default().push(CaseEvent::of(&diverted.event));
    }
    outcome
}

fn of_error(error: &InterceptorError) -> String {
    let reason = error.source.to_string();
    let (kind, reason) = match reason.strip_prefix("the plugin gave up twice: ") {
        Some(reason) => ("fatal", reason),
        None if reason == "the plugin asks to try again later" => ("retry", ""),
        None => ("broken", reason.as_str()),
    };
    let reason = if reason.is_empty() { String::new() } else { format!(" {}", quoted(reason)) };
    format!("failure {}{reason}{}", quoted(kind), after_text(error.after))
}

fn of_sink_error(error: SinkError) -> Vec<String> {
    match error {
        SinkError::Retryable { reason, after } => {
            let (kind, reason) = match reason.strip_prefix("the plugin gave up: ") {
                Some(reason) => ("fatal", format!(" {}", quoted(reason))),
                None if reason == "the plugin asks to try again later" => ("retry", String::new()),
                None => ("broken", format!(" {}", quoted(&reason))),
            };
            vec![format!("failure {}{reason}{}", quoted(kind), after_text(after))]
        }
        SinkError::Rejected { reason } => vec![format!("failure \"reject\" {}", quoted(&reason))],
        SinkError::Partial { refusals, again, .. } => refusals
            .iter()
            .map(|refusal| (refusal.row, Some(refusal.reason.as_str())))
            .chain(again.iter().map(|row| (*row, None)))
            .map(|(row, reason)| refused_text(row as u64, reason))
            .collect(),
    }
}
