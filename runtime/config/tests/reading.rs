//! Reading as a whole: what a good configuration becomes, and that no input does harm.
#![allow(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use millrace_config::{
    AgentSpec, Diagnostics, MapEnvironment, OptionKind, OptionSpec, Report, Scalar, SystemEnvironment, check,
    load, parse_nodes, parse_text,
};
use proptest::prelude::*;

fn parse(text: &str) -> (AgentSpec, Diagnostics) {
    parse_text("/etc/millrace/agent.kdl", text, &MapEnvironment::default().with_variable("N", "7"))
}

fn codes(found: &Diagnostics) -> Vec<&'static str> {
    found.iter().map(|found| found.code).collect()
}

const GOOD: &str = r##"
agent "edge-01" {
    data-dir "state"
    admin listen="127.0.0.1:0"
    dead-letter channel="rejects"
    shutdown deadline="10s"
    watch #false
}
plugins {
    redact path="plugins/redact.wasm" { limits memory="32MiB" time="50ms"; grant { clocks } }
}
channels {
    file "durable" { capacity 2_000_000; bytes "8GiB" }
    memory "fast"
    file "rejects"
}
sources {
    taildir "web" channel="durable" {
        path "/var/log/nginx/*.log"
        interceptors { timestamp; wasm "mask" plugin="redact" { mask "#" } }
    }
    syslogtcp "network" {
        channel "fast" "durable"
        selector "multiplexing" header="severity" { case "crit" "alert" channel="fast" }
    }
}
sinks {
    file-roll "archive" channel="durable" { directory "/srv"; batch events=500 wait="200ms"; concurrency 4 }
    null "spare" channel="durable"
    logger "log" channel="fast" { retry max=3 }
    null "first" channel="durable"
}
sink-groups { failover "pair" { sink "first" priority=10; sink "spare" priority=5; back-off "1s" } }
"##;

#[test]
fn a_good_configuration_becomes_its_specification() {
    let (spec, found) = parse(GOOD);
    assert_eq!(codes(&found), Vec::<&str>::new(), "{found:?}");
    assert_eq!(spec.agent.name, "edge-01");
    assert_eq!(spec.agent.data_dir, Path::new("/etc/millrace/state"));
    assert_eq!(spec.agent.admin_listen.as_deref(), Some("127.0.0.1:0"));
    assert_eq!(spec.agent.dead_letter_channel.as_ref().unwrap().value, "rejects");
    assert_eq!(spec.agent.shutdown_deadline, Duration::from_secs(10));
    assert!(!spec.agent.watch);
    let plugin = &spec.plugins[0];
    assert_eq!(plugin.path.value, Path::new("/etc/millrace/plugins/redact.wasm"));
    assert_eq!((plugin.memory_bytes_max, plugin.call_time_max), (32 << 20, Some(Duration::from_millis(50))));
    assert_eq!((plugin.instances_max, plugin.log_lines_max), (2, 100));
    assert_eq!(plugin.state_bytes_max, 16 << 20);
    assert_eq!(plugin.grant.as_ref().map(|grant| grant.boolean("clocks")), Some(true));
    let web = &spec.sources[0];
    assert_eq!((web.component.kind.value.as_str(), web.component.name.value.as_str()), ("taildir", "web"));
    assert_eq!(web.component.node.children.len(), 1, "channel and interceptors are taken out");
    assert!(web.component.node.properties.is_empty());
    let names: Vec<_> = web.interceptors.iter().map(|one| one.name.value.as_str()).collect();
    assert_eq!(names, ["timestamp", "mask"]);
    assert_eq!(web.interceptors[1].plugin().unwrap().value, "redact");
    let network = &spec.sources[1];
    let channels: Vec<_> = network.channels.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(channels, ["fast", "durable"]);
    let selector = network.selector.as_ref().unwrap();
    assert_eq!(
        (selector.kind.value.as_str(), selector.node.name.value.as_str()),
        ("multiplexing", "multiplexing")
    );
    let delivery = &spec.sinks[0].delivery;
    let batch = delivery.block("batch").unwrap();
    assert_eq!((batch.optional_integer("events"), batch.size("bytes")), (Some(500), 4 << 20));
    assert_eq!(batch.duration("wait"), Duration::from_millis(200));
    assert_eq!(delivery.integer("concurrency"), 4);
    assert_eq!(delivery.block("retry").unwrap().optional_integer("max"), None);
    assert_eq!(spec.sinks[2].delivery.block("retry").unwrap().optional_integer("max"), Some(3));
    let group = &spec.groups[0];
    assert_eq!(group.members[0].priority.as_ref().unwrap().value, 10);
    assert_eq!(group.component.node.children.len(), 1, "only the processor's own option is left");
    assert_eq!(group.delivery.block("batch").unwrap().optional_integer("events"), None);
}

#[test]
fn a_plugin_that_only_a_codec_names_is_used() {
    let text = r#"
plugins { in path="a.wasm"; child path="b.wasm"; out path="c.wasm"; both path="d.wasm"; idle path="e.wasm" }
channels { memory "fast" }
sources {
    frames "one" channel="fast" codec="in"
    frames "two" channel="fast" { codec "child" { magic "MR" } }
}
sinks {
    null "x" channel="fast" codec="out"
    null "y" channel="fast"
}
sink-groups { failover "group" { sink "y"; codec "both" } }
"#;
    let (spec, found) = parse(text);
    let reasons: Vec<&str> = found.iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(reasons, ["the plugin `idle` is not used"]);
    let group = &spec.groups[0];
    assert_eq!(group.delivery.block("codec").unwrap().name(), Some("both"));
    assert!(group.component.node.children.is_empty(), "a codec is no option of the processor");
}

const INNER: &[OptionSpec] = &[
    OptionSpec::required("certificate", OptionKind::Path, "A path"),
    OptionSpec::with_default("level", OptionKind::Integer { min: 1, max: 9 }, "3", "A level"),
];
const DEFAULTED: &[OptionSpec] = &[OptionSpec::with_default("size", OptionKind::Size, "1MiB", "A size")];
const ALL: &[OptionSpec] = &[
    OptionSpec::required("text", OptionKind::Text, "Text"),
    OptionSpec::required("integer", OptionKind::Integer { min: 1, max: 9 }, "A number"),
    OptionSpec::required("float", OptionKind::Float { min: 0.5, max: 1.0 }, "A number"),
    OptionSpec::required("boolean", OptionKind::Boolean, "Yes or no"),
    OptionSpec::required("size", OptionKind::Size, "A size"),
    OptionSpec::required("duration", OptionKind::Duration, "A time span"),
    OptionSpec::required("choice", OptionKind::Choice(&["a", "b"]), "A word"),
    OptionSpec::required("path", OptionKind::Path, "A path"),
    OptionSpec::required("regex", OptionKind::Regex, "A pattern"),
    OptionSpec::required("address", OptionKind::Address, "An address"),
    OptionSpec::required("texts", OptionKind::Texts, "Texts"),
    OptionSpec::required("paths", OptionKind::Paths, "Paths"),
    OptionSpec::required("addresses", OptionKind::Addresses, "Addresses"),
    OptionSpec::required("map", OptionKind::Map, "A map"),
    OptionSpec::optional("tls", OptionKind::Block(INNER), "A group"),
    OptionSpec::with_default("roll", OptionKind::Block(DEFAULTED), "", "A group"),
    OptionSpec::optional("rule", OptionKind::Blocks(DEFAULTED), "Groups"),
    OptionSpec::optional("case", OptionKind::Cases(DEFAULTED), "Groups"),
];

fn component(text: &str) -> (millrace_config::Section, Diagnostics) {
    let environment = MapEnvironment::default().with_variable("N", "7").with_variable("YES", "true");
    let (nodes, files, found) = parse_nodes("/etc/agent.kdl", text, &environment);
    assert!(found.is_empty(), "{found:?}");
    check(&nodes[0], ALL, false, &files)
}

#[test]
fn every_kind_is_read_as_a_child_and_as_a_property() {
    let children = r##"
        kind "name" {
            text "t"; integer 3; float 1; boolean; size 5; duration "1m30s"; choice "b"; path "x/y"; regex #"\d"#
            address "[::1]:80"; texts "a" "b"; texts "c"; paths "/a" "b"; addresses "h:1" "h:2"
            map z="1" { a "2" }
            tls certificate="c.pem"
            rule "one" size="2KiB"; rule
            case "x" "y" { size "3B" }
        }"##;
    let (section, found) = component(children);
    assert_eq!(codes(&found), Vec::<&str>::new(), "{found:?}");
    assert_eq!((section.kind(), section.name()), ("kind", Some("name")));
    assert_eq!(
        (section.text("text"), section.integer("integer"), section.boolean("boolean")),
        ("t", 3, true)
    );
    assert_eq!(section.optional_float("float"), Some(1.0));
    assert_eq!((section.size("size"), section.duration("duration")), (5, Duration::from_secs(90)));
    assert_eq!(
        (section.text("choice"), section.text("regex"), section.text("address")),
        ("b", "\\d", "[::1]:80")
    );
    assert_eq!(section.path("path"), Path::new("/etc/x/y"));
    let texts: Vec<_> = section.texts("texts").iter().map(|text| text.value.as_str()).collect();
    assert_eq!(texts, ["a", "b", "c"]);
    assert_eq!(section.paths("paths"), [PathBuf::from("/a"), PathBuf::from("/etc/b")]);
    assert_eq!(section.texts("addresses").len(), 2);
    assert_eq!(section.map("map"), [("z".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]);
    let tls = section.block("tls").unwrap();
    assert_eq!((tls.path("certificate"), tls.integer("level")), (Path::new("/etc/c.pem"), 3));
    assert_eq!(section.block("roll").unwrap().size("size"), 1 << 20);
    let rules = section.blocks("rule");
    assert_eq!((rules[0].name(), rules[0].size("size"), rules[1].name()), (Some("one"), 2048, None));
    let names: Vec<_> = section.blocks("case")[0].names().map(|name| name.value).collect();
    assert_eq!(names, ["x", "y"]);

    let properties = r##"kind text="t" integer="${env:N}" float=0.5 boolean="${env:YES}" size="1KiB" duration="5ms" choice=a
        "##.trim().to_owned() + r##" path="/x" regex="x" address="h:1" texts="a" paths="p" addresses="h:1" { map }"##;
    let (section, found) = component(&properties);
    assert_eq!(codes(&found), Vec::<&str>::new(), "{found:?}");
    assert_eq!(
        (section.integer("integer"), section.boolean("boolean"), section.size("size")),
        (7, true, 1024)
    );
    assert!(section.block("tls").is_none() && section.blocks("rule").is_empty());
}

#[test]
fn a_section_with_mistakes_can_still_be_read() {
    let wrong =
        "kind { text 5; integer 99; float \"x\"; boolean 1; size -1; duration 30; choice \"c\"; path #null
        regex \"(\"; address 80; texts 1; paths #true; addresses \"x\"; map 5; tls 5; roll 5; rule 5; case }";
    for text in ["kind", wrong] {
        let (section, found) = component(text);
        assert!(found.has_errors());
        let _ = (section.text("text"), section.integer("integer"), section.optional_float("float"));
        let _ = (section.boolean("boolean"), section.size("size"), section.duration("duration"));
        let _ =
            (section.text("choice"), section.path("path"), section.text("regex"), section.text("address"));
        let _ =
            (section.texts("texts"), section.paths("paths"), section.texts("addresses"), section.map("map"));
        let _ = (section.block("tls"), section.block("roll").unwrap().size("size"));
        let _ = (section.blocks("rule").len(), section.blocks("case").len());
    }
    let (_, found) = component("kind");
    assert_eq!(codes(&found), ["config::missing-option"; 14]);
    let (_, found) = component(wrong);
    assert_eq!(found.iter().count(), 18, "one finding per mistake: {found:?}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let environment = MapEnvironment::default()
        .with_file("/latin.kdl", b"channels { memory \"caf\xe9\" }".to_vec())
        .with_file("/utf16.kdl", b"\xff\xfea\0".to_vec())
        .with_file("/folder/x.kdl", "")
        .with_file("/bom.kdl", "\u{feff}channels {\r\n    memory \"m\"\r\n}\r\n")
        .with_file("/large.kdl", vec![b' '; (16 << 20) + 1]);
    let text = |path: &str| {
        let (spec, found) = load(Path::new(path), &environment);
        Report::new(&found, &spec.files).render_text(false, 100)
    };
    assert_eq!(text("/none.kdl"), "error[config::unreadable]: cannot read /none.kdl: no such file\n");
    assert_eq!(
        text("/folder"),
        "error[config::unreadable]: cannot read /folder: it is a folder\n = help: name the file in it, or include \
         \"folder/*.kdl\"\n"
    );
    assert_eq!(
        text("/large.kdl"),
        "error[config::unreadable]: cannot read /large.kdl: it is larger than 16 MiB\n"
    );
    assert_eq!(
        text("/latin.kdl"),
        "error[config::not-utf8]: the file is not UTF-8 text\n --> /latin.kdl:1:23\n1 | channels { memory \
         \"caf\u{fffd}\" }\n  |                       ^ byte 0xe9 here\n  = help: save it as UTF-8\n"
    );
    assert!(text("/utf16.kdl").contains("it looks like UTF-16: save it as UTF-8"));
    let bom = load(Path::new("/bom.kdl"), &environment);
    assert_eq!(codes(&bom.1), ["config::unused-channel"]);
    assert_eq!(bom.0.files.line_column(bom.0.channels[0].name.span), (2, 12));
}

#[test]
fn a_configuration_is_read_from_the_disk_with_its_includes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    std::fs::write(folder.path().join("token"), "pw\r\n").unwrap();
    std::fs::write(
        folder.path().join("conf.d/b.kdl"),
        "sinks { http \"out\" channel=\"${env:CHANNEL}\" { header \"${file:../token}!\" } }",
    )
    .unwrap();
    std::fs::write(folder.path().join("conf.d/.hidden.kdl"), "nonsense").unwrap();
    std::fs::write(folder.path().join("conf.d/a.kdl"), "channels { memory \"m\" }").unwrap();
    let main = folder.path().join("agent.kdl");
    std::fs::write(&main, "include \"conf.d/*.kdl\"\nsources { seq \"s\" channel=\"m\" }").unwrap();
    let variables = |name: &str| (name == "CHANNEL").then(|| "m".to_owned());
    let (spec, found) = load(&main, &SystemEnvironment::new(variables));
    assert_eq!(codes(&found), Vec::<&str>::new(), "{found:?}");
    let value = &spec.sinks[0].component.node.children[0].arguments[0].value;
    assert_eq!(*value, Scalar::Text("pw!".into()));
    let names: Vec<_> = spec.files.paths().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["agent.kdl", "a.kdl", "b.kdl"]);
    assert_eq!(codes(&load(folder.path(), &SystemEnvironment::new(|_| None)).1), ["config::unreadable"]);
}

#[test]
fn the_json_form_holds_the_place_in_numbers() {
    let (spec, found) = parse("channels { memory \"ä\" }");
    let json: serde_json::Value =
        serde_json::from_str(&Report::new(&found, &spec.files).render_json()).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "code": "config::invalid-name", "severity": "error", "file": "/etc/millrace/agent.kdl", "line": 1,
            "column": 19, "length": 3, "reason": "`ä` cannot be the name of a channel",
            "label": "'ä' is not allowed", "help": "names consist of letters, digits, `-`, `_` and `.`",
        }])
    );
    assert_eq!(Report::new(&found, &spec.files).summary(), "1 error");
}

/// Everything a caller may do with a text; nothing of it may panic or hang.
fn digest(text: &str) -> (AgentSpec, Diagnostics) {
    let (spec, found) = parse(text);
    let report = Report::new(&found, &spec.files);
    let _ = (report.render_text(true, 20).len(), report.render_json().len());
    for component in spec.components() {
        let (section, _) = check(&component.node, ALL, false, &spec.files);
        let _ = section.text("text").len();
    }
    (spec, found)
}

#[test]
fn a_megabyte_of_junk_is_refused_quickly() {
    let patterns = [
        "}",
        "{",
        "/*",
        "/-",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "#",
        "#\"",
        "\\",
        "\\\n",
        ";",
        "=",
        "a=",
        "a= ",
        "\"\"\"",
        "r\"",
        "'",
        "1x ",
        "{};",
        "a {} ",
        "a{}b{",
        "\u{1}",
        "\u{feff}",
        "\r",
        "${env:",
        "a \"${env:",
        "ä",
        "//",
        "\"\n",
        "} {",
        "a /-b ",
        "/-{}",
        "#true ",
        "true ",
        "a;",
        "a 1\n",
        "a{\n",
        "/* */",
        "include \"x\"\n",
        "{}",
    ];
    for pattern in patterns {
        // The parser itself reads less than a megabyte in a second, and valid junk goes all the way.
        let size = if ["{", "\"\n", "ä", "a;"].contains(&pattern) { 1 << 20 } else { 1 << 17 };
        let text = pattern.repeat(size / pattern.len());
        let start = Instant::now();
        let (_, found) = parse(&text);
        let elapsed = start.elapsed();
        assert!(!found.is_empty() || pattern.starts_with("//") || pattern.starts_with("/* "), "{pattern:?}");
        assert!(found.iter().count() <= 1001, "{pattern:?}");
        assert!(elapsed < Duration::from_secs(20), "{pattern:?} took {elapsed:?}");
    }
}

#[test]
fn nesting_is_limited_and_named() {
    for depth in [31, 32, 33, 1000, 100_000] {
        let text = format!("{}x{}", "a {\n".repeat(depth), "\n}".repeat(depth));
        let found = parse(&text).1;
        assert_eq!(codes(&found).contains(&"config::too-deep"), depth > 32, "{depth}");
        assert!(found.iter().count() <= 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        digest(&text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let environment = MapEnvironment::default().with_file("/a.kdl", bytes);
        let (spec, found) = load(Path::new("/a.kdl"), &environment);
        let _ = Report::new(&found, &spec.files).render_text(false, 80).len();
    }

    #[test]
    fn shuffled_pieces_of_kdl_never_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "sources", "sinks", "channels", "agent", "plugins", "sink-groups", "{", "}", "{", "}", " ", " ", "\n", ";",
            "\"m\"", "memory", "channel", "=", "#true", "true", "30s", "/a/b", "//", "/*", "*/", "/-", "r#\"x\"#",
            "#\"", "\"", "\\", "(", ")", "[", "]", ",", "'", "1", "0x", "-", ".5", "include", "\"${env:N}\"",
            "\"${env:NOPE}\"", "selector", "interceptors", "sink", "text", "tls", "case", "ä", "\u{2028}", "\"\"\"",
        ]), 0..60))
    {
        digest(&pieces.concat());
    }

    /// Cutting a good file anywhere, or changing one byte, gives findings or a specification.
    #[test]
    fn a_damaged_file_never_panics(at in 0..GOOD.len(), cut in any::<bool>(), byte in 0x20_u8..0x7f) {
        let text = if cut {
            GOOD[..at].to_owned()
        } else {
            format!("{}{}{}", &GOOD[..at], char::from(byte), &GOOD[at + 1..])
        };
        digest(&text);
    }

    /// Removing one brace is reported, and as few things as possible.
    #[test]
    fn a_missing_brace_gives_few_findings(nth in 0_usize..40) {
        let braces: Vec<usize> = GOOD.match_indices(['{', '}']).map(|(at, _)| at).collect();
        let at = braces[nth % braces.len()];
        let text = format!("{}{}", &GOOD[..at], &GOOD[at + 1..]);
        let found = digest(&text).1;
        prop_assert!(found.has_errors() || !found.is_empty());
        prop_assert!(found.iter().count() <= 6, "{}: {:?}", at, found);
    }
}
