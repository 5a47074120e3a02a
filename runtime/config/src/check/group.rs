//! Values of several parts: lists, maps, and groups of options.

use super::{Arguments, Checker, Place};
use crate::{
    diagnostic::Diagnostic,
    expand::is_missing,
    node::{Node, Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    section::Value,
};

impl Checker<'_> {
    /// `name "a" "b"`, repeated nodes and `name="a"` add up.
    pub(super) fn several(&mut self, option: &OptionSpec, places: &[Place<'_>]) -> Option<Value> {
        let mut scalars: Vec<&Spanned<Scalar>> = Vec::new();
        for place in places {
            match place {
                Place::Property(property) => scalars.push(&property.value),
                Place::Child(node) => {
                    self.no_inner(option, node);
                    if node.arguments.is_empty() && node.properties.is_empty() && node.children.is_empty() {
                        let help = Some(format!("write `{}`", super::example(option)));
                        let reason = format!("`{}` needs a value", option.name);
                        self.report("config::missing-value", node.name.span, reason, "nothing follows", help);
                    }
                    scalars.extend(&node.arguments);
                }
            }
        }
        let mut texts = Vec::new();
        let mut paths = Vec::new();
        scalars.retain(|scalar| !matches!(&scalar.value, Scalar::Text(text) if is_missing(text)));
        for scalar in scalars {
            match self.scalar(option, option.kind, scalar) {
                Some(Value::Text(text)) => texts.push(Spanned::new(text, scalar.span)),
                Some(Value::Path(path)) => paths.push(path),
                _ => {}
            }
        }
        Some(if matches!(option.kind, OptionKind::Paths) { Value::Paths(paths) } else { Value::Texts(texts) })
    }

    /// `name { key "value" }` or `name key="value"`.
    pub(super) fn map(&mut self, option: &OptionSpec, places: &[Place<'_>]) -> Option<Value> {
        let node = match places.first()? {
            Place::Property(property) => return self.wrong_type(option, OptionKind::Map, &property.value),
            Place::Child(node) => *node,
        };
        let help = || Some(format!("write `{} {{ key \"value\" }}`", option.name));
        if let Some(argument) = node.arguments.first() {
            let reason = format!("`{}` takes names with values", option.name);
            self.report("config::stray-argument", argument.span, reason, "a value without a name", help());
        }
        let mut entries: Vec<(&Spanned<String>, String)> = Vec::new();
        let children = node.children.iter().filter_map(|child| match child.arguments.as_slice() {
            [value] if child.properties.is_empty() && child.children.is_empty() => Some((&child.name, value)),
            _ => {
                let reason = format!("`{}` in `{}` takes exactly one value", child.name.value, option.name);
                self.report(
                    "config::wrong-type",
                    child.name.span,
                    reason,
                    "expected a name and a value",
                    help(),
                );
                None
            }
        });
        let children: Vec<_> = children.collect();
        let properties = node.properties.iter().map(|property| (&property.name, &property.value));
        for (name, value) in properties.chain(children) {
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.value == name.value) {
                let reason = format!("`{}` is given twice in `{}`", name.value, option.name);
                let finding =
                    Diagnostic::error("config::repeated-option", name.span, reason).label("given again");
                self.found.push(finding.related(first.span, "first given here").help("keep one of them"));
                continue;
            }
            if let Scalar::Text(text) = &value.value {
                entries.push((name, text.clone()));
                continue;
            }
            let shown = crate::expand::shown(self.files, value);
            let reason = format!("`{}` in `{}` is not text: {shown}", name.value, option.name);
            let help = format!("text needs quotes: \"{}\"", shown.trim_start_matches('#'));
            self.report("config::wrong-type", value.span, reason, "expected text", Some(help));
        }
        Some(Value::Map(entries.into_iter().map(|(name, text)| (name.value.clone(), text)).collect()))
    }

    /// `name option="…" { option "…" }`.
    pub(super) fn block(
        &mut self,
        option: &OptionSpec,
        inner: &'static [OptionSpec],
        places: &[Place<'_>],
    ) -> Option<Value> {
        match places.first()? {
            Place::Property(property) => self.not_a_group(option, &property.value),
            Place::Child(node) => {
                Some(Value::Block(Box::new(self.section(node, inner, false, Arguments::None))))
            }
        }
    }

    /// The same, any number of times, each with a name or names.
    pub(super) fn blocks(
        &mut self,
        option: &OptionSpec,
        inner: &'static [OptionSpec],
        places: &[Place<'_>],
        arguments: Arguments,
    ) -> Option<Value> {
        let mut sections = Vec::new();
        for place in places {
            match place {
                Place::Property(property) => {
                    self.not_a_group::<()>(option, &property.value);
                }
                Place::Child(node) => sections.push(self.section(node, inner, false, arguments)),
            }
        }
        Some(Value::Blocks(sections))
    }

    /// `name "plugin" { … }` or `name="plugin"`: what is inside is for the plugin to judge.
    pub(super) fn plugin(&mut self, option: &OptionSpec, places: &[Place<'_>]) -> Option<Value> {
        let node = match places.first()? {
            Place::Child(node) => (*node).clone(),
            Place::Property(property) => Node {
                name: property.name.clone(),
                arguments: vec![property.value.clone()],
                properties: Vec::new(),
                children: Vec::new(),
                span: property.value.span,
            },
        };
        let Some(Spanned { value: Scalar::Text(_), .. }) = node.arguments.first() else {
            let (span, help) = (node.name.span, format!("write `{}`", super::example(option)));
            let reason = format!("`{}` names no plugin", option.name);
            self.report(
                "config::missing-value",
                span,
                reason,
                "the name of a plugin belongs here",
                Some(help),
            );
            return None;
        };
        Some(Value::Block(Box::new(self.section(&node, &[], true, Arguments::Name))))
    }

    fn not_a_group<T>(&mut self, option: &OptionSpec, value: &Spanned<Scalar>) -> Option<T> {
        let shown = crate::expand::shown(self.files, value);
        let reason = format!("`{}` is a group of options: {shown} does not fit", option.name);
        let inner = match option.kind {
            OptionKind::Block(inner) | OptionKind::Blocks(inner) | OptionKind::Cases(inner) => inner.first(),
            _ => None,
        };
        let help = inner.map(|inner| format!("write `{} {{ {} }}`", option.name, super::example(inner)));
        self.report("config::wrong-type", value.span, reason, "expected a group of options", help);
        None
    }
}
