//! What every component has: a type, a name, and options that are checked later.

use super::{Reader, first_text};
use crate::{
    diagnostic::Diagnostic,
    expand::{is_missing, shown, shown_text},
    node::{Node, Spanned},
    spec::ComponentSpec,
};

/// Names become file names and metric labels.
const NAME_BYTES_MAX: usize = 100;

impl Reader<'_> {
    /// A component with a name of its own; `taken` are the options that the spec reads itself.
    pub(super) fn component(&mut self, node: &Node, what: &'static str, taken: &[&str]) -> ComponentSpec {
        let name = self.component_name(node, what);
        ComponentSpec { kind: node.name.clone(), name, node: node.without(taken) }
    }

    fn component_name(&mut self, node: &Node, what: &'static str) -> Spanned<String> {
        let kind = &node.name.value;
        let Some(name) = first_text(node) else {
            let finding = match node.arguments.first() {
                Some(other) => {
                    let shown = shown(self.files, other);
                    Diagnostic::error(
                        "config::wrong-type",
                        other.span,
                        format!("the name of a {what} is not text"),
                    )
                    .label("expected text")
                    .help(format!("write `{kind} \"{}\"`", shown.trim_start_matches('#')))
                }
                None => {
                    Diagnostic::error("config::missing-name", node.name.span, format!("a {what} has no name"))
                        .label("a name is missing")
                        .help(format!("write `{kind} \"name\" {{ … }}`"))
                }
            };
            self.found.push(finding);
            return Spanned::new(kind.clone(), node.name.span);
        };
        // Members of a group are sinks or groups, so these share their names.
        let scope = if what == "sink group" { "sink" } else { what };
        // Interceptors are told apart by their place in the chain.
        if self.name_is_good(&name, what) && what != "interceptor" {
            self.claim(what, scope, &name);
        }
        name
    }

    /// Letters, digits, `-`, `_` and `.`: what is safe in file names and readable in metrics.
    pub(super) fn name_is_good(&mut self, name: &Spanned<String>, what: &str) -> bool {
        if is_missing(&name.value) {
            return false;
        }
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let label = if name.value.is_empty() {
            "the name is empty".to_owned()
        } else if name.value.len() > NAME_BYTES_MAX {
            format!("longer than {NAME_BYTES_MAX} bytes")
        } else if let Some(bad) = name.value.chars().find(|c| !good(*c)) {
            format!("{bad:?} is not allowed")
        } else if !name.value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            "must start with a letter or a digit".to_owned()
        } else {
            return true;
        };
        let shown = shown_text(self.files, &name.value, name.span);
        self.found.push(
            Diagnostic::error(
                "config::invalid-name",
                name.span,
                format!("`{shown}` cannot be the name of a {what}"),
            )
            .label(label)
            .help("names consist of letters, digits, `-`, `_` and `.`"),
        );
        false
    }

    /// An interceptor: its name may be left out and is then its type.
    pub(super) fn interceptor(&mut self, node: &Node) -> ComponentSpec {
        let name = match node.arguments.first() {
            Some(_) => self.component_name(node, "interceptor"),
            None => node.name.clone(),
        };
        ComponentSpec { kind: node.name.clone(), name, node: node.clone() }
    }
}
