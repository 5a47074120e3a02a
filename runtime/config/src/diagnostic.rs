//! What is wrong with a configuration, where, and how to mend it.
//!
//! A diagnostic points into a file by byte offsets; the texts live in [`Files`], so that a diagnostic stays
//! small and can be rendered for people, for editors (JSON) and in tests.

use std::{path::Path, path::PathBuf, sync::Arc};

/// One of the files a configuration consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(pub u32);

/// A place in a configuration file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Bytes from the start of the file.
    pub offset: usize,
    /// Length in bytes; 0 marks a point.
    pub length: usize,
}

/// The texts of all files of a configuration, in the order they were read.
#[derive(Debug, Clone, Default)]
pub struct Files {
    files: Vec<(PathBuf, Arc<str>)>,
    /// Files that options name as part of the configuration and that could not be read, with the reason.
    unreadable: Vec<(PathBuf, String)>,
}

impl Files {
    /// Adds a file and returns its id.
    pub fn add(&mut self, path: PathBuf, text: Arc<str>) -> FileId {
        self.files.push((path, text));
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Notes that a file which an option names cannot be read.
    pub(crate) fn add_unreadable(&mut self, path: PathBuf, reason: String) {
        self.unreadable.push((path, reason));
    }

    /// A file that was read, by its path; otherwise why it was not.
    pub(crate) fn find(&self, path: &Path) -> Result<(FileId, Arc<str>), String> {
        if let Some(at) = self.files.iter().position(|(known, _)| known == path) {
            let text = self.files.get(at).map(|(_, text)| Arc::clone(text)).unwrap_or_default();
            return Ok((FileId(u32::try_from(at).unwrap_or(u32::MAX)), text));
        }
        let reason =
            self.unreadable.iter().find(|(known, _)| known == path).map(|(_, reason)| reason.clone());
        Err(reason.unwrap_or_else(|| "it was not read with the configuration".to_owned()))
    }

    /// The path of a file as it was given or included.
    pub fn path(&self, file: FileId) -> &Path {
        self.files.get(file.0 as usize).map_or(Path::new("<unknown>"), |(path, _)| path)
    }

    /// Whether there is such a file.
    pub fn has(&self, file: FileId) -> bool {
        (file.0 as usize) < self.files.len()
    }

    /// The text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |(_, text)| text)
    }

    /// All paths, the main file first: what a reload has to watch.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The folder that relative paths in a file start from.
    pub fn folder(&self, file: FileId) -> &Path {
        self.files.get(file.0 as usize).and_then(|(path, _)| path.parent()).unwrap_or(Path::new(""))
    }

    /// The text of a place as it was written.
    pub fn source(&self, span: Span) -> &str {
        self.text(span.file).get(span.offset..span.offset.saturating_add(span.length)).unwrap_or_default()
    }

    /// Line and column of a place, both from 1; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = self.text(span.file);
        let mut end = span.offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration works, but probably not as meant.
    Warning,
    /// The configuration cannot be used.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable name, such as `config::unknown-option`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub reason: String,
    /// Where. Without one the finding is about the configuration as a whole.
    pub span: Option<Span>,
    /// What stands under the marked place.
    pub label: String,
    /// What to do about it; ready to be pasted where possible.
    pub help: Option<String>,
    /// Other places that have to do with it, each with its text.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, span: Span, reason: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            reason: reason.into(),
            span: Some(span),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, span: Span, reason: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, reason) }
    }

    /// An error without a place.
    pub fn general(code: &'static str, reason: impl Into<String>) -> Self {
        Self { span: None, ..Self::error(code, Span::default(), reason) }
    }

    /// The place and what is wrong there, on one line: `tag.js:2:9: …`.
    pub fn line(&self, files: &Files) -> String {
        let Some(span) = self.span else { return self.reason.clone() };
        let (line, column) = files.line_column(span);
        format!("{}:{line}:{column}: {}", files.path(span.file).display(), self.reason)
    }

    /// Adds the text under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All findings of one run, in the order they were made until [`Diagnostics::sort`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds the findings of a further step.
    pub fn extend(&mut self, other: Self) {
        self.list.extend(other.list);
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Puts findings into the order of the files, those without a place last, and drops exact repetitions.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|diagnostic| (diagnostic.span.is_none(), diagnostic.span));
        self.list.dedup();
    }
    /// Keeps this many findings and says how many there were.
    pub(crate) fn limit(&mut self, findings_max: usize) {
        let more = self.list.len().saturating_sub(findings_max);
        if more > 0 {
            self.list.truncate(findings_max);
            self.push(Diagnostic::general("config::too-many", format!("and {more} more findings")));
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic] }
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
