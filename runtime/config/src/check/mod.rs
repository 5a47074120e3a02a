//! A node against an option table: every mistake once, and a [`Section`] in any case.
//!
//! A section with mistakes holds neutral values in place of required ones, so that reading it never fails;
//! nobody runs it, because its diagnostics hold errors.

mod group;
mod text;
mod value;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Files, Span},
    expand::{shown, shown_text},
    node::{Node, Property, Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    section::{Section, Value},
    suggest,
};

/// Checks a component's node against the table of its factory: kind = the node's name, name = its first
/// argument. With `open`, options that are not in the table are left in the node for somebody else.
pub fn check(node: &Node, options: &[OptionSpec], open: bool, files: &Files) -> (Section, Diagnostics) {
    let arguments = if open { Arguments::Any } else { Arguments::Component };
    let mut checker = Checker { files, found: Diagnostics::default() };
    let section = checker.section(node, options, open, arguments);
    (section, checker.found)
}

/// Options that the reader takes from components before they come here: worth proposing for a misspelt one.
const SHARED_WORDS: &[&str] = &["channel", "interceptors", "selector", "batch", "retry", "concurrency"];

/// What may stand behind a node's name without a name of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arguments {
    /// Nothing.
    None,
    /// A component's name, which the reader has looked at.
    Component,
    /// One text.
    Name,
    /// One or more texts.
    Names,
    /// Anything: somebody else looks at them.
    Any,
}

/// Where a value of an option was written.
#[derive(Clone, Copy)]
enum Place<'a> {
    Property(&'a Property),
    Child(&'a Node),
}

impl Place<'_> {
    /// The option's name there.
    fn name_span(&self) -> Span {
        match self {
            Self::Property(property) => property.name.span,
            Self::Child(node) => node.name.span,
        }
    }
}

pub(crate) struct Checker<'a> {
    pub(crate) files: &'a Files,
    pub(crate) found: Diagnostics,
}

impl Checker<'_> {
    pub(crate) fn section(
        &mut self,
        node: &Node,
        options: &[OptionSpec],
        open: bool,
        arguments: Arguments,
    ) -> Section {
        let mut section = Section {
            kind: node.name.clone(),
            name: None,
            span: node.span,
            declared: options.iter().map(|option| option.name).collect(),
            values: Default::default(),
            node: node.clone(),
        };
        let before = self.found.iter().count();
        section.name = self.arguments(node, options, arguments);
        // Behind a value without a name, or a misspelt one, a required option is not missing.
        let stray = self.found.iter().count() > before;
        let mut meant = Vec::new();
        if !open {
            meant = self.unknown(node, options, arguments);
        }
        for option in options {
            let excused = stray || meant.contains(&option.name);
            if let Some(value) = self.option(node, option, excused) {
                section.values.insert(option.name, value);
            }
        }
        section
    }

    /// Checks the arguments and returns the name.
    fn arguments(
        &mut self,
        node: &Node,
        options: &[OptionSpec],
        allowed: Arguments,
    ) -> Option<Spanned<String>> {
        let name = node.arguments.first().and_then(|first| match &first.value {
            Scalar::Text(name) => Some(Spanned::new(name.clone(), first.span)),
            _ => None,
        });
        if allowed == Arguments::Any {
            return name;
        }
        if allowed == Arguments::Names && node.arguments.is_empty() {
            let reason = format!("`{}` needs a name", node.name.value);
            let help = format!("write `{} \"name\"`, or several names one after the other", node.name.value);
            self.report("config::missing-name", node.name.span, reason, "nothing follows", Some(help));
        }
        if allowed == Arguments::Names {
            self.behind_property(node, options);
        }
        for (at, argument) in node.arguments.iter().enumerate() {
            let is_text = matches!(argument.value, Scalar::Text(_));
            let allowed_here = match allowed {
                Arguments::None => false,
                Arguments::Name | Arguments::Component => at == 0,
                Arguments::Names | Arguments::Any => true,
            };
            if !allowed_here {
                self.stray(node, argument, options);
                if allowed == Arguments::None {
                    return None;
                }
                break;
            }
            if !is_text && allowed != Arguments::Component {
                let shown = shown(self.files, argument);
                let reason = format!("the name of `{}` is not text", node.name.value);
                let help = format!("write \"{}\" in quotes", shown.trim_start_matches('#'));
                self.report("config::wrong-type", argument.span, reason, "expected text", Some(help));
            }
        }
        name
    }

    /// `case "1" channel="a" "b"`: KDL takes the last word for one more name, whoever writes it means the option.
    fn behind_property(&mut self, node: &Node, options: &[OptionSpec]) {
        let first = node.properties.iter().map(|property| property.name.span).min();
        let is_behind = |argument: &&Spanned<Scalar>| first.is_some_and(|first| first < argument.span);
        let Some(argument) = node.arguments.iter().find(is_behind) else { return };
        let before = node.properties.iter().filter(|property| property.name.span < argument.span);
        let Some(property) = before.max_by_key(|property| property.name.span) else { return };
        let written = |arguments: &mut dyn Iterator<Item = &Spanned<Scalar>>| {
            arguments.map(|one| format!(" {}", self.files.source(one.span))).collect::<String>()
        };
        let names = written(&mut node.arguments.iter().filter(|one| !is_behind(one)));
        let behind = written(&mut node.arguments.iter().filter(is_behind));
        let (kind, option) = (&node.name.value, &property.name.value);
        let value = self.files.source(property.value.span);
        let takes_more = options.iter().any(|known| {
            known.name == *option
                && matches!(known.kind, OptionKind::Texts | OptionKind::Paths | OptionKind::Addresses)
        });
        let help = if takes_more && !names.is_empty() {
            format!("for several, write `{kind}{names} {{ {option} {value}{behind} }}`")
        } else {
            format!("names come first: `{kind}{names}{behind} {option}={value}`")
        };
        let reason = format!("{} stands behind `{option}`, which takes one value there", behind.trim_start());
        self.report("config::stray-argument", argument.span, reason, "not expected here", Some(help));
    }

    fn stray(&mut self, node: &Node, argument: &Spanned<Scalar>, options: &[OptionSpec]) {
        let value = shown(self.files, argument);
        let reason = format!("`{}` does not take the value {value}", node.name.value);
        let help = match (&argument.value, options) {
            // `roll 30s` instead of `roll interval=30s` is a guess worth making only where there is one option.
            (_, [only]) => Some(format!("write `{}={}`", only.name, self.files.source(argument.span))),
            (Scalar::Text(text), _) if options.iter().any(|option| option.name == text) => {
                Some(format!("options have a value: `{text}=…`"))
            }
            (_, []) => None,
            _ => {
                let names: Vec<&str> = options.iter().map(|option| option.name).collect();
                Some(format!("it takes options by name: {}", suggest::list(&names)))
            }
        };
        self.report("config::stray-argument", argument.span, reason, "not expected here", help);
    }

    /// The value of one option, from wherever it was written.
    fn option(&mut self, node: &Node, option: &OptionSpec, excused: bool) -> Option<Spanned<Value>> {
        let properties = node.properties.iter().filter(|property| property.name.value == option.name);
        let children = node.children.iter().filter(|child| child.name.value == option.name);
        let mut places: Vec<Place<'_>> =
            properties.map(Place::Property).chain(children.map(Place::Child)).collect();
        places.sort_by_key(Place::name_span);
        let Some(first) = places.first().copied() else {
            if option.required && !excused {
                self.missing(node, option);
            }
            return self.fallback(node, option);
        };
        let repeatable = matches!(
            option.kind,
            OptionKind::Texts
                | OptionKind::Paths
                | OptionKind::Addresses
                | OptionKind::Blocks(_)
                | OptionKind::Cases(_)
        );
        if !repeatable {
            self.repeated(option, &places);
            places.truncate(1);
        }
        let (value, span) = self.given(option, &places);
        let span = span.unwrap_or(first.name_span());
        let value = value.or_else(|| self.fallback(node, option).map(|value| value.value))?;
        Some(Spanned::new(value, span))
    }

    fn given(&mut self, option: &OptionSpec, places: &[Place<'_>]) -> (Option<Value>, Option<Span>) {
        match option.kind {
            OptionKind::Block(inner) => (self.block(option, inner, places), None),
            OptionKind::Blocks(inner) => (self.blocks(option, inner, places, Arguments::Name), None),
            OptionKind::Cases(inner) => (self.blocks(option, inner, places, Arguments::Names), None),
            OptionKind::Plugin => (self.plugin(option, places), None),
            OptionKind::Map => (self.map(option, places), None),
            OptionKind::Texts | OptionKind::Paths | OptionKind::Addresses => {
                (self.several(option, places), None)
            }
            _ => places.first().map_or((None, None), |place| self.single(option, *place)),
        }
    }

    fn repeated(&mut self, option: &OptionSpec, places: &[Place<'_>]) {
        let [first, second, ..] = places else { return };
        let both = matches!(
            (first, second),
            (Place::Property(_), Place::Child(_)) | (Place::Child(_), Place::Property(_))
        );
        let finding = if both {
            Diagnostic::error(
                "config::given-twice",
                second.name_span(),
                format!("`{}` is given as a property and as a child", option.name),
            )
            .help("keep one of them")
        } else {
            Diagnostic::error(
                "config::repeated-option",
                second.name_span(),
                format!("`{}` is given {} times", option.name, places.len()),
            )
            .help("keep one of them; the option takes one value")
        };
        self.found.push(finding.label("given again").related(first.name_span(), "first given here"));
    }

    fn missing(&mut self, node: &Node, option: &OptionSpec) {
        let reason = format!("`{}` of `{}` is missing", option.name, node.name.value);
        let help = format!("add `{}`: {}", example(option), lower(option.summary));
        self.report(
            "config::missing-option",
            node.name.span,
            reason,
            "required option not given",
            Some(help),
        );
    }

    /// What an option holds when nothing usable was written.
    fn fallback(&mut self, node: &Node, option: &OptionSpec) -> Option<Spanned<Value>> {
        let span = node.name.span;
        if let OptionKind::Block(inner) = option.kind {
            return (!has_required(inner) || option.required).then(|| {
                let empty = Node {
                    name: Spanned::new(option.name.into(), span),
                    arguments: Vec::new(),
                    properties: Vec::new(),
                    children: Vec::new(),
                    span,
                };
                let mut quiet = Checker { files: self.files, found: Diagnostics::default() };
                let section = quiet.section(&empty, inner, false, Arguments::None);
                Spanned::new(Value::Block(Box::new(section)), span)
            });
        }
        match option.default {
            Some(text) => Some(Spanned::new(self.default(option, text, span), span)),
            None if matches!(option.kind, OptionKind::Plugin) => None,
            None => option.required.then(|| Spanned::new(value::neutral(option.kind), span)),
        }
    }

    /// Reports options that are not in the table; returns what was probably meant by them.
    fn unknown(&mut self, node: &Node, options: &[OptionSpec], arguments: Arguments) -> Vec<&'static str> {
        let known: Vec<&'static str> = options.iter().map(|option| option.name).collect();
        let properties = node.properties.iter().map(|property| &property.name);
        let written = properties.chain(node.children.iter().map(|child| &child.name));
        let mut meant = Vec::new();
        for name in written.filter(|name| !known.contains(&name.value.as_str())) {
            let inside = options.iter().find(|option| match option.kind {
                OptionKind::Block(inner) => inner.iter().any(|inner| inner.name == name.value),
                _ => false,
            });
            let own = suggest::closest(&name.value, known.iter().copied());
            meant.extend(own);
            let shared = (arguments == Arguments::Component && own.is_none())
                .then(|| suggest::closest(&name.value, SHARED_WORDS.iter().copied()))
                .flatten();
            let shown = shown_text(self.files, &name.value, name.span);
            let reason = format!("unknown option `{shown}` of `{}`", node.name.value);
            let help = match (inside, shared) {
                (Some(outer), _) => Some(format!("it belongs to `{0}`: `{0} {1}=…`", outer.name, name.value)),
                (None, Some(word)) => Some(format!("did you mean `{word}`?")),
                (None, None) if known.is_empty() => Some(format!("`{}` has no options", node.name.value)),
                (None, None) => suggest::help(&name.value, &known),
            };
            self.report("config::unknown-option", name.span, reason, "not known here", help);
        }
        meant
    }

    pub(crate) fn report(
        &mut self,
        code: &'static str,
        span: Span,
        reason: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let mut finding = Diagnostic::error(code, span, reason).label(label);
        finding.help = help;
        self.found.push(finding);
    }
}

pub(crate) fn has_required(options: &[OptionSpec]) -> bool {
    options.iter().any(|option| option.required)
}

/// How an option is written, with a typical value.
pub(crate) fn example(option: &OptionSpec) -> String {
    let name = option.name;
    match option.kind {
        OptionKind::Text | OptionKind::Texts => format!("{name} \"…\""),
        OptionKind::Integer { min, .. } => format!("{name} {}", min.max(1)),
        OptionKind::Float { min, .. } => format!("{name} {:?}", min.max(1.0)),
        OptionKind::Boolean => format!("{name} #true"),
        OptionKind::Size => format!("{name} \"64MiB\""),
        OptionKind::Duration => format!("{name} \"30s\""),
        OptionKind::Choice(words) => format!("{name} \"{}\"", words.first().copied().unwrap_or_default()),
        OptionKind::Path | OptionKind::Paths => format!("{name} \"/path\""),
        OptionKind::TextFile => format!("{name} \"file\""),
        OptionKind::Regex => format!("{name} #\"^…$\"#"),
        OptionKind::Address | OptionKind::Addresses => format!("{name} \"127.0.0.1:9600\""),
        OptionKind::Map => format!("{name} {{ key \"value\" }}"),
        OptionKind::Block(_) => format!("{name} {{ … }}"),
        OptionKind::Plugin => format!("{name} \"plugin\""),
        OptionKind::Blocks(_) | OptionKind::Cases(_) => format!("{name} \"name\" {{ … }}"),
    }
}

fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}
