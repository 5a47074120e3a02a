//! From a path to a specification: reads the file and its includes, merges them, hands them to the reader.
//!
//! `include "conf.d/*.kdl"` stands at top level and puts the nodes of other files in its place. Each file is
//! read once, however many patterns match it; relative patterns start at the folder of the including file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use globset::{GlobBuilder, GlobMatcher};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, FileId, Files, Span},
    document::{self, FILE_BYTES_MAX},
    environment::{Environment, plain},
    expand::{Expander, shown},
    node::{Node, Scalar},
    reader, scripts,
    spec::AgentSpec,
};

/// Files within files within files.
const INCLUDE_DEPTH_MAX: usize = 16;
/// Findings of one configuration; a file of junk can have one for every byte.
const FINDINGS_MAX: usize = 1000;
/// Files of one configuration.
const FILES_MAX: usize = 1000;

/// Reads a configuration and everything it includes. The findings are in the order of the files.
pub fn load(path: &Path, environment: &dyn Environment) -> (AgentSpec, Diagnostics) {
    let mut loader = Loader::new(environment);
    loader.file(path, None);
    loader.finish()
}

/// Reads a configuration from a text; `name` is its path in diagnostics, and relative paths start from its
/// folder.
pub fn parse_text(name: &str, text: &str, environment: &dyn Environment) -> (AgentSpec, Diagnostics) {
    let mut loader = Loader::new(environment);
    loader.text(Path::new(name), text.into());
    loader.finish()
}

/// Reads a text into nodes, without a meaning: for cases, manifests and tests. Includes are not followed.
pub fn parse_nodes(name: &str, text: &str, environment: &dyn Environment) -> (Vec<Node>, Files, Diagnostics) {
    let mut files = Files::default();
    let file = files.add(PathBuf::from(name), text.into());
    let folder = files.folder(file).to_path_buf();
    let document = document::parse(file, text, &Expander { environment, folder: &folder });
    (document.nodes, files, document.found)
}

/// An error of the system in words, without its number.
pub(crate) fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

struct Loader<'a> {
    environment: &'a dyn Environment,
    files: Files,
    nodes: Vec<Node>,
    found: Diagnostics,
    /// Files being read now, outermost first, to find cycles.
    open: Vec<PathBuf>,
    /// Files read so far.
    seen: Vec<PathBuf>,
    is_whole: bool,
}

impl<'a> Loader<'a> {
    fn new(environment: &'a dyn Environment) -> Self {
        Self {
            environment,
            files: Files::default(),
            nodes: Vec::new(),
            found: Diagnostics::default(),
            open: Vec::new(),
            seen: Vec::new(),
            is_whole: true,
        }
    }

    fn finish(self) -> (AgentSpec, Diagnostics) {
        let Self { mut files, nodes, mut found, is_whole, environment, .. } = self;
        scripts::read(&nodes, &mut files, environment);
        let mut spec = AgentSpec { files, ..AgentSpec::default() };
        if is_whole {
            reader::read(&nodes, &mut spec, &mut found);
        }
        found.sort();
        found.limit(FINDINGS_MAX);
        (spec, found)
    }

    /// Reads a file, on behalf of the include at `origin` if there is one.
    fn file(&mut self, path: &Path, origin: Option<Span>) {
        let result = self.environment.read(path, FILE_BYTES_MAX);
        let bytes = match result {
            Ok(bytes) if bytes.len() as u64 <= FILE_BYTES_MAX => bytes,
            Ok(_) => {
                let limit = FILE_BYTES_MAX >> 20;
                return self.refuse(path, origin, &format!("it is larger than {limit} MiB"), None);
            }
            Err(error) => {
                let help = match error.kind() {
                    io::ErrorKind::IsADirectory => Some("name the file in it, or include \"folder/*.kdl\""),
                    io::ErrorKind::NotFound if origin.is_some() => Some(
                        "create it, or correct the path; only a pattern such as \"conf.d/*.kdl\" may match no file",
                    ),
                    _ => None,
                };
                return self.refuse(path, origin, &describe_io(&error), help);
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => self.text(path, text.into()),
            Err(error) => self.not_utf8(path, &error),
        }
    }

    fn refuse(&mut self, path: &Path, origin: Option<Span>, why: &str, help: Option<&str>) {
        let reason = format!("cannot read {}: {why}", path.display());
        let mut finding = match origin {
            Some(span) => Diagnostic::error("config::unreadable", span, reason).label("included here"),
            None => Diagnostic::general("config::unreadable", reason),
        };
        finding.help = help.map(Into::into);
        self.found.push(finding);
        self.is_whole = false;
    }

    fn not_utf8(&mut self, path: &Path, error: &std::string::FromUtf8Error) {
        let offset = error.utf8_error().valid_up_to();
        let utf16 =
            error.as_bytes().starts_with(&[0xFF, 0xFE]) || error.as_bytes().starts_with(&[0xFE, 0xFF]);
        let text: Arc<str> = String::from_utf8_lossy(error.as_bytes()).into();
        let file = self.files.add(path.to_path_buf(), text);
        // The first replacement character stands where the bytes were: three bytes long.
        let span = Span { file, offset, length: 3 };
        let help = if utf16 { "it looks like UTF-16: save it as UTF-8" } else { "save it as UTF-8" };
        self.found.push(
            Diagnostic::error("config::not-utf8", span, "the file is not UTF-8 text")
                .label(format!(
                    "byte 0x{:02x} here",
                    error.as_bytes().get(offset).copied().unwrap_or_default()
                ))
                .help(help),
        );
        self.is_whole = false;
    }

    fn text(&mut self, path: &Path, text: Arc<str>) {
        let file = self.files.add(path.to_path_buf(), Arc::clone(&text));
        let is_main = self.open.is_empty();
        self.open.push(plain(path));
        self.seen.push(plain(path));
        let folder = self.files.folder(file).to_path_buf();
        let document =
            document::parse(file, &text, &Expander { environment: self.environment, folder: &folder });
        self.is_whole &= document.is_whole;
        if is_main && document.nodes.is_empty() && document.found.is_empty() {
            self.found.push(empty(file));
            self.is_whole = false;
        }
        self.found.extend(document.found);
        for node in document.nodes {
            if node.name.value == "include" { self.include(&node, &folder) } else { self.nodes.push(node) }
        }
        self.open.pop();
    }

    fn include(&mut self, node: &Node, folder: &Path) {
        if node.arguments.is_empty() || !node.properties.is_empty() || !node.children.is_empty() {
            self.found.push(
                Diagnostic::error(
                    "config::include",
                    node.name.span,
                    "`include` takes paths and nothing else",
                )
                .label("names no path")
                .help("write `include \"conf.d/*.kdl\"`"),
            );
            return;
        }
        for argument in &node.arguments {
            let Scalar::Text(pattern) = &argument.value else {
                let reason = format!("`include` takes a path, not {}", shown(&self.files, argument));
                self.found
                    .push(Diagnostic::error("config::include", argument.span, reason).label("not a path"));
                continue;
            };
            if !is_pattern(pattern) {
                self.include_file(&folder.join(pattern), argument.span);
                continue;
            }
            match self.matches(&folder.join(pattern)) {
                Ok(paths) if paths.is_empty() => self.found.push(
                    Diagnostic::warning("config::include", argument.span, "no file matches this pattern")
                        .label(format!("searched from {}", display_folder(folder))),
                ),
                Ok(paths) => paths.iter().for_each(|path| self.include_file(path, argument.span)),
                Err(error) => self.found.push(
                    Diagnostic::error("config::include", argument.span, "the pattern cannot be used")
                        .label(error),
                ),
            }
        }
    }

    fn include_file(&mut self, path: &Path, span: Span) {
        let same = plain(path);
        if let Some(at) = self.open.iter().position(|open| *open == same) {
            let chain: Vec<String> =
                self.open.iter().skip(at).map(|path| path.display().to_string()).collect();
            let reason = format!("{} includes itself", path.display());
            let finding = Diagnostic::error("config::include", span, reason).label("closes the circle");
            let through = format!("{} -> {}", chain.join(" -> "), same.display());
            self.found.push(finding.help(format!("the way round: {through}")));
        } else if self.seen.contains(&same) {
            let reason = format!("{} is included a second time", path.display());
            self.found.push(Diagnostic::warning("config::include", span, reason).label("read only once"));
        } else if self.open.len() >= INCLUDE_DEPTH_MAX || self.seen.len() >= FILES_MAX {
            let reason =
                format!("more than {INCLUDE_DEPTH_MAX} levels of includes or more than {FILES_MAX} files");
            self.found.push(Diagnostic::error("config::include", span, reason).label("one too many"));
        } else {
            self.file(path, Some(span));
        }
    }

    /// The files that match a pattern, sorted; a folder that does not exist has none.
    fn matches(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let text = part.as_os_str().to_string_lossy();
            if !is_pattern(&text) {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let matcher = matcher(&text)?;
            let mut next = Vec::new();
            for folder in &found {
                let entries = self.environment.list(folder_or_here(folder)).unwrap_or_default();
                next.extend(entries.iter().filter_map(|entry| {
                    let name = entry.file_name()?;
                    let hidden = name.as_encoded_bytes().starts_with(b".") && !text.starts_with('.');
                    (!hidden && matcher.is_match(name)).then(|| folder.join(name))
                }));
            }
            found = next;
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

fn empty(file: FileId) -> Diagnostic {
    let span = Span { file, offset: 0, length: 0 };
    Diagnostic::error("config::empty", span, "the configuration is empty").help(
        "a first one: channels { memory \"m\" }; sources { netcat \"in\" channel=\"m\" { listen \
         \"127.0.0.1:6666\" } }; sinks { logger \"out\" channel=\"m\" }",
    )
}

fn matcher(part: &str) -> Result<GlobMatcher, String> {
    let glob =
        GlobBuilder::new(part).literal_separator(true).build().map_err(|error| error.kind().to_string())?;
    Ok(glob.compile_matcher())
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn display_folder(folder: &Path) -> String {
    folder_or_here(folder).display().to_string()
}
