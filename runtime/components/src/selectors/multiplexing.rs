//! The value of a header decides.
//!
//! Values match whole and exactly. An event whose header is missing, blank or has a value without a case goes
//! to `default`; where there is none, to the source's own channels; where it has none either, nowhere: it is
//! acknowledged, and counted as unrouted.

use std::collections::HashMap;

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Event, Route, Selector, SelectorContext, SelectorFactory, Way};

const CASE: &[OptionSpec] = &[
    OptionSpec::optional("channel", OptionKind::Texts, "Channels that must take these events"),
    OptionSpec::optional(
        "optional",
        OptionKind::Texts,
        "Channels that get these events if they can; without `channel` the default ones are required",
    ),
];

const DEFAULT: &[OptionSpec] =
    &[OptionSpec::required("channel", OptionKind::Texts, "Channels that must take all other events")];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("header", OptionKind::Text, "flume.selector.header", "Header that decides"),
    OptionSpec::optional("case", OptionKind::Cases(CASE), "Values of the header, and where their events go"),
    OptionSpec::optional(
        "default",
        OptionKind::Block(DEFAULT),
        "Where all other events go; without it, to the source's own channels",
    ),
];

pub(super) const FACTORY: SelectorFactory = SelectorFactory {
    name: "multiplexing",
    summary: "Sends events to channels by the value of a header",
    options: OPTIONS,
    example: "selector \"multiplexing\" header=\"severity\" {\n    case \"crit\" \"alert\" channel=\"fast\"\n    \
              default channel=\"durable\"\n}",
    ways,
    build,
};

fn build(
    section: &Section,
    cx: &SelectorContext,
    _context: &BuildContext,
) -> Result<Box<dyn Selector>, Diagnostics> {
    let mut found = Diagnostics::default();
    let default = match section.block("default") {
        Some(default) => super::places(default.texts("channel"), cx, &mut found),
        None => cx.default.clone(),
    };
    let mut cases: HashMap<String, Case> = HashMap::new();
    for case in section.blocks("case") {
        let required = super::places(case.texts("channel"), cx, &mut found);
        let optional = super::places(case.texts("optional"), cx, &mut found);
        if case.texts("channel").is_empty() && case.texts("optional").is_empty() {
            let reason = "a case does not say where its events go";
            let finding = Diagnostic::error("components::case-without-channel", case.span(), reason);
            found.push(finding.help("add `channel=\"…\"`"));
        }
        for value in case.names() {
            let known = cases.entry(value.value.clone()).or_default();
            let repeated = !(known.required.is_empty() || required.is_empty())
                || !(known.optional.is_empty() || optional.is_empty());
            if repeated {
                let reason = format!("there is already a case for `{}`", value.value);
                found.push(Diagnostic::error("components::repeated-case", value.span, reason));
            }
            known.required.extend(&required);
            known.optional.extend(&optional);
        }
    }
    if found.has_errors() {
        return Err(found);
    }
    for case in cases.values_mut() {
        case.settle(&default);
    }
    Ok(Box::new(MultiplexingSelector { header: section.text("header").to_owned(), cases, default }))
}

fn ways(section: &Section, own: &[String]) -> Vec<Way> {
    let mut ways = Vec::new();
    let header = section.text("header");
    for case in section.blocks("case") {
        let values: Vec<String> = case.names().map(|value| value.value.escape_debug().to_string()).collect();
        let when = format!("{header}={}", values.join("|"));
        for channel in case.texts("channel") {
            Way::add(&mut ways, &channel.value, Some(when.clone()));
        }
        for channel in case.texts("optional") {
            Way::add(&mut ways, &channel.value, Some(format!("{when}, optional")));
        }
    }
    let default = section.block("default").map(|default| default.texts("channel"));
    let default = default.map(|names| names.iter().map(|name| name.value.clone()).collect::<Vec<_>>());
    let otherwise = (!ways.is_empty()).then(|| "otherwise".to_owned());
    for channel in default.as_deref().unwrap_or(own) {
        Way::add(&mut ways, channel, otherwise.clone());
    }
    ways
}

#[derive(Default)]
struct Case {
    required: Vec<usize>,
    optional: Vec<usize>,
}

impl Case {
    /// A value listed under `optional` only still uses the default channels; what is required is not optional.
    fn settle(&mut self, default: &[usize]) {
        if self.required.is_empty() {
            self.required = default.to_vec();
        }
        self.optional.retain(|channel| !self.required.contains(channel));
    }
}

struct MultiplexingSelector {
    header: String,
    cases: HashMap<String, Case>,
    default: Vec<usize>,
}

impl Selector for MultiplexingSelector {
    fn select(&self, event: &Event) -> Route<'_> {
        let value = event.header(&self.header).filter(|value| !is_blank(value));
        match value.and_then(|value| self.cases.get::<str>(value)) {
            Some(case) => Route { required: &case.required, optional: &case.optional },
            None => Route { required: &self.default, optional: &[] },
        }
    }
}

/// As Java trims: everything up to the space is blank.
fn is_blank(value: &str) -> bool {
    value.bytes().all(|byte| byte <= b' ')
}

#[cfg(test)]
mod tests {
    use millrace_core::Event;

    use super::FACTORY;
    use crate::selectors::testing::{build, event, route};

    #[test]
    fn values_match_exactly_and_everything_else_goes_to_the_default() {
        let kdl = "multiplexing header=\"s\" {\n case \"crit\" \"alert\" channel=\"gamma\"\n case \"\" channel=\"gamma\"\n case \"both\" { channel \"delta\" \"gamma\" }\n default channel=\"alpha\"\n}";
        let selector = build(&FACTORY, kdl, &[1]).unwrap();
        for (value, required) in [
            ("crit", vec![2]),
            ("alert", vec![2]),
            ("both", vec![2, 3]),
            ("Crit", vec![0]),
            ("crit ", vec![0]),
            ("other", vec![0]),
            ("", vec![0]),
            (" \t", vec![0]),
        ] {
            assert_eq!(route(&*selector, &event("s", value)), (required, vec![]), "{value:?}");
        }
        assert_eq!(route(&*selector, &event("other", "crit")), (vec![0], vec![]));
        assert!(selector.uniform().is_none());
    }

    #[test]
    fn without_a_default_the_channels_of_the_source_are_it_and_without_those_nothing() {
        let kdl = "multiplexing { case \"a\" channel=\"gamma\"; }";
        let selector = build(&FACTORY, kdl, &[0, 1]).unwrap();
        assert_eq!(route(&*selector, &Event::default()), (vec![0, 1], vec![]));
        let selector = build(&FACTORY, kdl, &[]).unwrap();
        assert_eq!(route(&*selector, &Event::default()), (vec![], vec![]));
        assert_eq!(route(&*selector, &event("flume.selector.header", "a")), (vec![2], vec![]));
    }

    #[test]
    fn a_required_channel_is_never_optional_and_optional_alone_requires_the_default() {
        let kdl = "multiplexing header=\"s\" {\n case \"a\" channel=\"beta\" { optional \"beta\" \"gamma\"; }\n case \"b\" { optional \"alpha\" \"delta\"; }\n default channel=\"alpha\"\n}";
        let selector = build(&FACTORY, kdl, &[]).unwrap();
        assert_eq!(route(&*selector, &event("s", "a")), (vec![1], vec![2]));
        assert_eq!(route(&*selector, &event("s", "b")), (vec![0], vec![3]));
        assert_eq!(route(&*selector, &event("s", "c")), (vec![0], vec![]));
    }

    #[test]
    fn the_channels_of_one_value_may_stand_in_two_cases_but_not_twice() {
        let kdl = "multiplexing header=\"s\" { case \"a\" channel=\"beta\"; case \"a\" optional=\"gamma\"; }";
        let selector = build(&FACTORY, kdl, &[]).unwrap();
        assert_eq!(route(&*selector, &event("s", "a")), (vec![1], vec![2]));
        let kdl =
            "multiplexing header=\"s\" { case \"a\" channel=\"beta\"; case \"b\" \"a\" channel=\"gamma\"; }";
        let found = build(&FACTORY, kdl, &[]).err().unwrap();
        assert_eq!(found.iter().next().unwrap().reason, "there is already a case for `a`");
    }

    #[test]
    fn every_mistake_is_reported() {
        let kdl = "multiplexing { case \"a\" channel=\"betta\"; case \"b\"; default channel=\"nowhere\"; }";
        let found = build(&FACTORY, kdl, &[]).err().unwrap();
        let reasons: Vec<&str> = found.iter().map(|finding| finding.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "there is no channel `nowhere`",
                "there is no channel `betta`",
                "a case does not say where its events go"
            ]
        );
    }
}
