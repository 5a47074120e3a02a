//! From the checked `grant` block to [`Grants`]: what no table can know.
//!
//! A grant that cannot work is an error, because a plugin that misses what it was promised fails much later and far
//! away. Secrets and variables are read here, once per start and reload; their values appear in no diagnostic.

use std::path::Path;

use hyper::header::{self, HeaderName, HeaderValue};
use millrace_config::{Diagnostic, Diagnostics, Environment, Section, Span, Spanned};

use super::{Directory, Grants, HttpGrant, Origin, Secret, SocketGrant, Target, Variable};
use crate::http::is_reserved;

/// The code of everything that is wrong with a grant.
const CODE: &str = "plugin::grant";

/// Longest secret.
const SECRET_BYTES_MAX: u64 = 16 << 10;

/// Largest file of certificates.
const AUTHORITIES_BYTES_MAX: u64 = 1 << 20;

impl Grants {
    /// Reads the block. What is wrong is reported and left out of the grants.
    pub(crate) fn read(section: Option<&Section>, environment: &dyn Environment) -> (Self, Diagnostics) {
        let mut reader = Reader { environment, grants: Self::default(), found: Diagnostics::default() };
        if let Some(section) = section {
            reader.all(section);
        }
        (reader.grants, reader.found)
    }
}

struct Reader<'a> {
    environment: &'a dyn Environment,
    grants: Grants,
    found: Diagnostics,
}

impl Reader<'_> {
    fn all(&mut self, section: &Section) {
        section.blocks("http").iter().for_each(|one| self.http(one));
        section.blocks("secret").iter().for_each(|one| self.secret(one));
        section.blocks("directory").iter().for_each(|one| self.directory(one));
        section.blocks("env").iter().for_each(|one| self.variables(one));
        section.blocks("socket").iter().for_each(|one| self.socket(one));
        for name in section.blocks("channel").iter().flat_map(Section::names) {
            let known = self.grants.channels.iter().find(|(known, _)| *known == *name.value);
            if self.is_new(known.map(|(_, span)| *span), &name, "channel") {
                self.grants.channels.push((name.value.as_str().into(), name.span));
            }
        }
        self.grants.clocks = section.boolean("clocks").then(|| section.span_of("clocks"));
        self.grants.random = section.boolean("random").then(|| section.span_of("random"));
    }

    fn report(&mut self, span: Span, reason: impl Into<String>, label: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::error(CODE, span, reason).label(label).help(help));
    }

    /// Reports a name that was granted before.
    fn is_new(&mut self, first: Option<Span>, name: &Spanned<String>, what: &str) -> bool {
        let Some(first) = first else { return true };
        let reason = format!("{what} {} is granted twice", name.value);
        self.found.push(
            Diagnostic::error("config::repeated-option", name.span, reason)
                .label("granted again")
                .related(first, "first granted here")
                .help("keep one of them"),
        );
        false
    }

    /// The one name that options are about.
    fn one_name(&mut self, section: &Section) -> Option<Spanned<String>> {
        let mut names = section.names();
        let name = names.next()?;
        if let Some(second) = names.next() {
            let reason = format!("`{}` takes one name here", section.kind());
            self.report(second.span, reason, "a second name", "write one line for each");
            return None;
        }
        Some(name)
    }

    fn http(&mut self, section: &Section) {
        let authorities = section.optional_path("ca").and_then(|path| {
            let read = self.file(path, AUTHORITIES_BYTES_MAX, section.span_of("ca"))?;
            match crate::http::check_authorities(&read) {
                Ok(()) => Some(read),
                Err(reason) => {
                    let reason = format!("{} holds no certificates to trust: {reason}", path.display());
                    self.report(section.span_of("ca"), reason, "this file", "a file in PEM format");
                    None
                }
            }
        });
        for name in section.names() {
            let origin = match Origin::parse(&name.value) {
                Ok(origin) => origin,
                Err(reason) => {
                    let reason = format!("{:?} is no origin: {reason}", name.value);
                    let help = "scheme, host and, where it is not the usual one, port: http \"https://api.example.com\"";
                    self.report(name.span, reason, "not granted", help);
                    continue;
                }
            };
            let known = self.grants.http.iter().find(|known| known.origin == origin).map(|known| known.span);
            if self.is_new(known, &name, "http") {
                self.grants.http.push(HttpGrant {
                    origin,
                    private: section.boolean("private"),
                    response_bytes_max: section.size("response"),
                    authorities: authorities.clone(),
                    span: name.span,
                });
            }
        }
    }

    fn secret(&mut self, section: &Section) {
        let Some(name) = self.one_name(section) else { return };
        let origins = self.secret_origins(section, &name);
        let header = self.secret_header(section);
        let value = self.secret_value(section, &name);
        let (Some(origins), Some(header), Some(value)) = (origins, header, value) else { return };
        let standard = if header == header::AUTHORIZATION { "Bearer " } else { "" };
        let prefix = section.optional_text("prefix").unwrap_or(standard);
        let Ok(mut carried) = HeaderValue::from_bytes(&[prefix.as_bytes(), &value].concat()) else {
            let reason = format!("secret {} holds characters that no header can carry", name.value);
            self.report(name.span, reason, "not granted", "one line of text without control characters");
            return;
        };
        carried.set_sensitive(true);
        let known = self.grants.secrets.iter().find(|known| known.name == name.value).map(|known| known.span);
        if self.is_new(known, &name, "secret") {
            self.grants.secrets.push(Secret {
                name: name.value,
                origins,
                header,
                value: carried,
                prefix_bytes: prefix.len(),
                span: name.span,
            });
        }
    }

    /// Where the secret may go: somewhere that requests may go, too.
    fn secret_origins(&mut self, section: &Section, name: &Spanned<String>) -> Option<Vec<Origin>> {
        let written = section.texts("origin");
        if written.is_empty() {
            if let [HttpGrant { origin: origin @ Origin::One(_), .. }] = self.grants.http.as_slice() {
                return Some(vec![origin.clone()]);
            }
            let reason = format!("secret {} does not say where it may be sent", name.value);
            let help = "add the origin: origin=\"https://api.example.com\"";
            self.report(name.span, reason, "no origin", help);
            return None;
        }
        let mut origins = Vec::new();
        for text in written {
            let (reason, help) = match Origin::parse(&text.value) {
                Ok(origin) if self.grants.http.iter().any(|grant| grant.origin.includes(&origin)) => {
                    origins.push(origin);
                    continue;
                }
                Ok(origin) => (
                    format!("secret {} is for {origin}, where no request may go", name.value),
                    format!("grant that, too: http \"{origin}\""),
                ),
                Err(reason) => (
                    format!("{:?} is no origin: {reason}", text.value),
                    "origin=\"https://api.example.com\"".into(),
                ),
            };
            self.report(text.span, reason, "not granted", &help);
        }
        (origins.len() == written.len()).then_some(origins)
    }

    fn secret_header(&mut self, section: &Section) -> Option<HeaderName> {
        let text = section.text("header");
        let reason = match HeaderName::from_bytes(text.as_bytes()) {
            Ok(header) if !is_reserved(&header) => return Some(header),
            Ok(_) => format!("header {text} is the agent's own"),
            Err(_) => format!("{text:?} is no name of a header"),
        };
        self.report(section.span_of("header"), reason, "not possible", "header=\"authorization\"");
        None
    }

    fn secret_value(&mut self, section: &Section, name: &Spanned<String>) -> Option<Vec<u8>> {
        let help = format!("secret \"{0}\" env=\"NAME\", or secret \"{0}\" file=\"/path\"", name.value);
        let (value, source, span) = match (section.optional_text("env"), section.optional_path("file")) {
            (Some(variable), None) => {
                let span = section.span_of("env");
                let Some(value) = self.environment.variable(variable) else {
                    let reason = format!("the environment variable {variable} is not set");
                    self.report(span, reason, format!("needed for secret {}", name.value), &help);
                    return None;
                };
                (value.into_bytes(), format!("the environment variable {variable}"), span)
            }
            (None, Some(path)) => {
                let span = section.span_of("file");
                let mut value = self.file(path, SECRET_BYTES_MAX, span)?;
                while matches!(value.last(), Some(b'\n' | b'\r')) {
                    value.pop();
                }
                (value, path.display().to_string(), span)
            }
            (given, _) => {
                let both = given.is_some();
                let reason =
                    format!("secret {} {}", name.value, if both { "is given twice" } else { "has no value" });
                let label = if both { "`env` and `file`" } else { "neither `env` nor `file`" };
                self.report(name.span, reason, label, &help);
                return None;
            }
        };
        if value.is_empty() {
            self.report(
                span,
                format!("{source} is empty"),
                format!("needed for secret {}", name.value),
                &help,
            );
            return None;
        }
        Some(value)
    }

    /// Reads a small file.
    fn file(&mut self, path: &Path, bytes_max: u64, span: Span) -> Option<Vec<u8>> {
        let reason = match self.environment.read(path, bytes_max) {
            Ok(bytes) if bytes.len() as u64 <= bytes_max => return Some(bytes),
            Ok(_) => format!("{} is larger than {bytes_max} bytes", path.display()),
            Err(error) => format!("{} cannot be read: {error}", path.display()),
        };
        self.report(span, reason, "this file", "the agent needs it when it starts and when it reloads");
        None
    }

    fn directory(&mut self, section: &Section) {
        let names: Vec<_> = section.names().collect();
        if section.has("at") && names.len() > 1 {
            self.one_name(section);
            return;
        }
        for name in names {
            let path = Path::new(&name.value);
            let at = section.optional_text("at").unwrap_or(&name.value);
            let at_span = if section.has("at") { section.span_of("at") } else { name.span };
            if !at.starts_with('/') || at.split('/').any(|part| part == "..") {
                let reason = format!("{at:?} is no place for a directory");
                self.report(at_span, reason, "must start with `/`", "directory \"/etc/geo\" at=\"/geo\"");
                continue;
            }
            if let Err(reason) = is_directory(path) {
                let reason = format!("directory {} {reason}", name.value);
                self.report(
                    name.span,
                    reason,
                    "not granted",
                    "the agent needs it when it starts and when it reloads",
                );
                continue;
            }
            let at = format!("/{}", at.trim_matches('/'));
            let known = self.grants.directories.iter().find(|known| known.at == at).map(|known| known.span);
            if self.is_new(known, &Spanned::new(at.clone(), name.span), "directory") {
                self.grants.directories.push(Directory { path: path.to_owned(), at, span: name.span });
            }
        }
    }

    fn variables(&mut self, section: &Section) {
        let names: Vec<_> = section.names().collect();
        if section.has("value") && names.len() > 1 {
            self.one_name(section);
            return;
        }
        for name in names {
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                let reason = format!("{:?} is no name of an environment variable", name.value);
                self.report(name.span, reason, "not granted", "env \"REGION\"");
                continue;
            }
            let given = section.optional_text("value").map(str::to_owned);
            let Some(value) = given.or_else(|| self.environment.variable(&name.value)) else {
                let reason = format!("the environment variable {} is not set", name.value);
                let help = format!("set it, or give it a value here: env \"{}\" value=\"…\"", name.value);
                self.report(name.span, reason, "granted to the plugin", &help);
                continue;
            };
            let known = self.grants.variables.iter().find(|known| known.name == name.value);
            if self.is_new(known.map(|known| known.span), &name, "env") {
                self.grants.variables.push(Variable { name: name.value, value, span: name.span });
            }
        }
    }

    fn socket(&mut self, section: &Section) {
        for name in section.names() {
            let (host, port) = match socket(&name.value) {
                Ok(place) => place,
                Err(reason) => {
                    let reason = format!("{:?} is no place to connect to: {reason}", name.value);
                    self.report(name.span, reason, "not granted", "socket \"tcp://db.example.com:5432\"");
                    continue;
                }
            };
            let known = self.grants.sockets.iter().find(|known| known.host == host && known.port == port);
            if self.is_new(known.map(|known| known.span), &name, "socket") {
                let private = section.boolean("private");
                self.grants.sockets.push(SocketGrant { host, port, private, span: name.span });
            }
        }
    }
}

/// `tcp://host:port`: read as the origin of a request, so that hosts are written in one way only.
fn socket(text: &str) -> Result<(super::TargetHost, u16), String> {
    let Some(place) = text.strip_prefix("tcp://") else { return Err("it starts with tcp://".into()) };
    let has_port =
        place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !has_port {
        return Err("it ends with a port".into());
    }
    match Origin::parse(&format!("http://{place}"))? {
        Origin::One(Target { host, port, .. }) => Ok((host, port)),
        Origin::Below { .. } => Err("a star is not possible here".into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the operator names the directory")]
fn is_directory(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err("is not a directory".into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("does not exist".into()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
