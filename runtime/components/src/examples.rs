//! The example of every factory is what a user pastes first: it has to pass the check and build.

use std::{path::Path, sync::Arc};

use millrace_config::{Diagnostics, Files, MapEnvironment, Node, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, SelectorContext};
use millrace_testkit::{TestClock, build_context};

/// What the engine reads itself.
const OF_THE_ENGINE: &[&str] = &["channel", "interceptors", "selector"];

fn parsed(example: &str) -> (Node, Files) {
    let (mut nodes, files, findings) =
        millrace_config::parse_nodes("example.kdl", example, &MapEnvironment::default());
    assert!(findings.is_empty(), "{example}: {findings:?}");
    assert_eq!(nodes.len(), 1, "{example}");
    (nodes.remove(0), files)
}

fn section(name: &str, example: &str, options: &[OptionSpec], node: &Node, files: &Files) -> Section {
    assert!(example.contains(name), "{example} is no example of {name}");
    let (section, findings) = millrace_config::check(node, options, false, files);
    assert!(findings.is_empty(), "{example}: {findings:?}");
    section
}

fn context() -> BuildContext {
    build_context(Path::new("unused"), Arc::new(TestClock::default()))
}

fn builds<T>(example: &str, built: Result<T, Diagnostics>) {
    if let Err(findings) = built {
        unreachable!("{example}: {findings:?}");
    }
}

#[test]
fn sources_build_from_their_examples() {
    for factory in crate::sources::factories() {
        let (node, files) = parsed(factory.example);
        let node = node.without(OF_THE_ENGINE);
        let section = section(factory.name, factory.example, factory.options, &node, &files);
        let built = (factory.build)(&section, &context());
        // A plugin stands in a block of its own, which an example of one component does not have.
        if factory.options.iter().any(|option| matches!(option.kind, OptionKind::Plugin)) {
            let Err(findings) = built else { unreachable!("{}: without its plugin", factory.example) };
            let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, ["plugin::unknown"], "{}", factory.example);
            continue;
        }
        builds(factory.example, built);
    }
}

#[test]
fn interceptors_build_from_their_examples() {
    for factory in crate::interceptors::factories() {
        let (node, files) = parsed(factory.example);
        let section = section(factory.name, factory.example, factory.options, &node, &files);
        builds(factory.example, (factory.build)(&section, &context()));
    }
}

#[test]
fn selectors_build_from_their_examples() {
    for factory in crate::selectors::factories() {
        let (node, files) = parsed(factory.example);
        let section = section(factory.name, factory.example, factory.options, &node, &files);
        let channels = ["preview", "fast", "durable"].map(str::to_owned).to_vec();
        let cx = SelectorContext { channels, default: vec![0, 1] };
        builds(factory.example, (factory.build)(&section, &cx, &context()));
    }
}
