//! What a plugin asks for, against what it was granted.
//!
//! Imports say which kinds of grants a plugin needs at all; a manifest can say more (`wants { http "https://…" }`).
//! What is missing is an error with the line to paste, whatever else is granted: a plugin whose service runs where the
//! operator says does not name a place in its manifest. What nobody can use is a warning.

use millrace_config::{Diagnostic, Diagnostics, Span, Spanned};

use super::{Grants, Origin};
use crate::{
    imports::{Names, Need},
    manifest::Want,
};

/// What a manifest wishes for: names as the operator would write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) http: Vec<String>,
    pub(crate) secrets: Vec<String>,
    /// Paths as the plugin sees them.
    pub(crate) directories: Vec<String>,
    pub(crate) variables: Vec<String>,
    pub(crate) clocks: bool,
    pub(crate) random: bool,
    pub(crate) sockets: Vec<String>,
    pub(crate) channels: Vec<String>,
}

impl Wants {
    /// Adds a wish as a manifest has it: the kind of grant and its names. False: there is no such kind.
    pub(crate) fn add(&mut self, kind: &str, names: &[String]) -> bool {
        let list = match kind {
            "http" => &mut self.http,
            "secret" => &mut self.secrets,
            "directory" => &mut self.directories,
            "env" => &mut self.variables,
            "socket" => &mut self.sockets,
            "channel" => &mut self.channels,
            "clocks" => {
                self.clocks = true;
                return true;
            }
            "random" => {
                self.random = true;
                return true;
            }
            _ => return false,
        };
        list.extend_from_slice(names);
        true
    }
}

/// A grant that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What: `http "https://crm.example.com"`.
    pub(crate) what: String,
    /// The line for the `grant` block.
    pub(crate) line: String,
}

impl Grants {
    /// What is wanted and not granted, in the order of [`Wants`].
    pub(crate) fn missing(&self, wants: &Wants) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut miss = |what: String, rest: &str| {
            missing.push(Missing { line: format!("{what}{rest}"), what });
        };
        for origin in &wants.http {
            // What cannot be read is missing as well: nobody can have granted it.
            let wanted = Origin::parse(origin).ok();
            if !wanted.is_some_and(|wanted| self.http.iter().any(|grant| grant.origin.includes(&wanted))) {
                miss(format!("http {}", quoted(origin)), "");
            }
        }
        for name in
            wants.secrets.iter().filter(|name| !self.secrets.iter().any(|secret| secret.name == **name))
        {
            let variable = name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let origin = wants.http.first().map_or("https://…", String::as_str);
            miss(
                format!("secret {}", quoted(name)),
                &format!(" env={} origin={}", quoted(&variable), quoted(origin)),
            );
        }
        for path in
            wants.directories.iter().filter(|path| !self.directories.iter().any(|one| one.at == **path))
        {
            miss(format!("directory {}", quoted(path)), "");
        }
        for name in wants.variables.iter().filter(|name| !self.variables.iter().any(|one| one.name == **name))
        {
            miss(format!("env {}", quoted(name)), "");
        }
        if wants.clocks && self.clocks.is_none() {
            miss("clocks".into(), "");
        }
        if wants.random && self.random.is_none() {
            miss("random".into(), "");
        }
        for place in
            wants.sockets.iter().filter(|place| !self.sockets.iter().any(|one| one.origin() == **place))
        {
            miss(format!("socket {}", quoted(place)), "");
        }
        for name in wants.channels.iter().filter(|name| !self.channels.iter().any(|(one, _)| *one == **name))
        {
            miss(format!("channel {}", quoted(name)), "");
        }
        missing
    }

    /// What a plugin asks for and does not have: by its manifest, and by imports that work only with a grant of a
    /// kind of which neither the manifest names one nor the operator.
    pub(crate) fn compared(&self, plugin: &Spanned<String>, names: &Names, wanted: &[Want]) -> Diagnostics {
        let mut wants = Wants::default();
        for want in wanted {
            wants.add(&want.kind, &want.values);
        }
        let mut found = Diagnostics::default();
        let mut tell = |what: &str, line: &str| {
            let reason = format!("plugin {} asks for {what}, which is not granted", plugin.value);
            found.push(
                Diagnostic::error("plugin::missing-grant", plugin.span, reason)
                    .label("it will not work without")
                    .help(format!("grant it in the plugin's node: grant {{ {line} }}")),
            );
        };
        for Missing { what, line } in self.missing(&wants) {
            tell(&what, &line);
        }
        for need in [Need::Http, Need::Socket] {
            let is_named = match need {
                Need::Http => !wants.http.is_empty(),
                Need::Socket => !wants.sockets.is_empty(),
            };
            let import = names.needs().find(|(_, needed)| *needed == need);
            if let Some((import, _)) = import.filter(|_| !is_named && !self.satisfy(need)) {
                tell(&format!("{} (it imports {import})", need.kind()), need.line());
            }
        }
        found
    }

    /// Whether any grant satisfies what an import needs.
    pub(crate) fn satisfy(&self, need: Need) -> bool {
        match need {
            Need::Http => !self.http.is_empty(),
            Need::Socket => !self.sockets.is_empty(),
        }
    }

    /// Whether the component is to run with real files, variables, clocks and so on in place of the inert set.
    pub(crate) fn are_beyond_inert(&self, names: &Names) -> bool {
        names.needs().any(|(import, _)| import.starts_with("wasi:"))
            || !self.directories.is_empty() && names.imports_any("wasi:filesystem/")
            || !self.variables.is_empty() && names.imports_any("wasi:cli/environment")
            || self.clocks.is_some() && names.imports_any("wasi:clocks/")
            || self.random.is_some() && names.imports_any("wasi:random/")
    }

    /// Warnings about grants that the component has no import to use.
    pub(crate) fn unused(&self, plugin: &str, names: &Names) -> Diagnostics {
        let http = names.imports_any("millrace:plugin/http") || names.imports_any("wasi:http/");
        let used: [(bool, &str, Vec<Span>); 7] = [
            (http, "http", self.http.iter().map(|one| one.span).collect()),
            (
                names.imports_any("millrace:plugin/http"),
                "secret",
                self.secrets.iter().map(|one| one.span).collect(),
            ),
            (
                names.imports_any("wasi:filesystem/"),
                "directory",
                self.directories.iter().map(|one| one.span).collect(),
            ),
            (
                names.imports_any("wasi:cli/environment"),
                "env",
                self.variables.iter().map(|one| one.span).collect(),
            ),
            (names.imports_any("wasi:clocks/"), "clocks", self.clocks.into_iter().collect()),
            (names.imports_any("wasi:random/"), "random", self.random.into_iter().collect()),
            (names.imports_any("wasi:sockets/"), "socket", self.sockets.iter().map(|one| one.span).collect()),
        ];
        let mut found = Diagnostics::default();
        for (_, grant, spans) in used.into_iter().filter(|(is_used, ..)| !is_used) {
            for span in spans {
                let reason = format!("plugin {plugin} cannot use the grant {grant}");
                found.push(
                    Diagnostic::warning("plugin::unused-grant", span, reason)
                        .label("it imports nothing for that")
                        .help("take it out: what is not granted cannot be misused by a later version"),
                );
            }
        }
        found
    }
}

/// A string as KDL writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => quoted.push('…'),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
#[path = "wants_tests.rs"]
mod tests;
