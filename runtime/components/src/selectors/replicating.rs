//! Every event goes to every channel of its source.

use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Event, Route, Selector, SelectorContext, SelectorFactory, Way};

const OPTIONS: &[OptionSpec] = &[OptionSpec::optional(
    "optional",
    OptionKind::Texts,
    "Channels that get an event if they can; their failure does not hold the source back",
)];

pub(super) const FACTORY: SelectorFactory = SelectorFactory {
    name: "replicating",
    summary: "Sends every event to every channel of the source",
    options: OPTIONS,
    example: "selector \"replicating\" { optional \"preview\" }",
    ways,
    build,
};

/// A channel that is optional is so even where the source names it too: all others are required.
fn build(
    section: &Section,
    cx: &SelectorContext,
    _context: &BuildContext,
) -> Result<Box<dyn Selector>, Diagnostics> {
    let mut found = Diagnostics::default();
    let optional = super::places(section.texts("optional"), cx, &mut found);
    if !found.is_empty() {
        return Err(found);
    }
    let required = cx.default.iter().copied().filter(|channel| !optional.contains(channel)).collect();
    Ok(Box::new(ReplicatingSelector { required, optional }))
}

fn ways(section: &Section, own: &[String]) -> Vec<Way> {
    let mut ways = Vec::new();
    let optional = section.texts("optional");
    let required = own.iter().filter(|name| !optional.iter().any(|optional| optional.value == **name));
    required.for_each(|name| Way::add(&mut ways, name, None));
    for name in optional {
        Way::add(&mut ways, &name.value, Some("optional".into()));
    }
    ways
}

struct ReplicatingSelector {
    required: Vec<usize>,
    optional: Vec<usize>,
}

impl Selector for ReplicatingSelector {
    fn select(&self, _event: &Event) -> Route<'_> {
        Route { required: &self.required, optional: &self.optional }
    }

    fn uniform(&self) -> Option<Route<'_>> {
        Some(Route { required: &self.required, optional: &self.optional })
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::{Event, Route};

    use super::FACTORY;
    use crate::selectors::testing::{build, route};

    #[test]
    fn all_channels_of_the_source_are_required() {
        let selector = build(&FACTORY, "replicating", &[0, 2]).unwrap();
        assert_eq!(route(&*selector, &Event::default()), (vec![0, 2], vec![]));
        assert_eq!(selector.uniform(), Some(Route { required: &[0, 2], optional: &[] }));
    }

    #[test]
    fn an_optional_channel_is_not_required_whether_the_source_names_it_or_not() {
        let kdl = "replicating { optional \"delta\" \"alpha\" \"delta\"; }";
        let selector = build(&FACTORY, kdl, &[0, 1]).unwrap();
        assert_eq!(route(&*selector, &Event::default()), (vec![1], vec![0, 3]));
    }

    #[test]
    fn an_unknown_channel_is_reported_with_the_nearest() {
        let found = build(&FACTORY, "replicating optional=\"gama\"", &[0]).err().unwrap();
        let finding = found.iter().next().unwrap();
        assert_eq!(finding.reason, "there is no channel `gama`");
        assert_eq!(finding.help.as_deref(), Some("did you mean `gamma`? known: alpha, beta, gamma, delta"));
    }
}
