use millrace_config::{GRANT_OPTIONS, MapEnvironment, Span, Spanned, check, parse_nodes};

use super::{Grants, Missing, Wants};
use crate::{imports::Names, manifest::Want};

fn grants(text: &str) -> Grants {
    let text = format!("grant {{\n{text}\n}}");
    let environment = MapEnvironment::default().with_variable("T", "abcdefgh");
    let (nodes, files, _) = parse_nodes("agent.kdl", &text, &environment);
    let (section, found) = check(&nodes[0], GRANT_OPTIONS, false, &files);
    assert!(found.is_empty(), "{found:?}");
    let (grants, found) = Grants::read(Some(&section), &environment);
    assert!(found.is_empty(), "{found:?}");
    grants
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn wants() -> Wants {
    Wants {
        http: texts(&["https://crm.example.com", "https://a.example.org"]),
        secrets: texts(&["crm-token"]),
        directories: texts(&["/geo"]),
        variables: texts(&["REGION"]),
        clocks: true,
        random: true,
        sockets: texts(&["tcp://db.example.com:5432"]),
        channels: texts(&["audit", "say \"x\""]),
    }
}

#[test]
fn what_is_missing_can_be_pasted() {
    let lines: Vec<_> = Grants::default().missing(&wants()).into_iter().map(|one| one.line).collect();
    assert_eq!(
        lines,
        [
            r#"http "https://crm.example.com""#,
            r#"http "https://a.example.org""#,
            r#"secret "crm-token" env="CRM_TOKEN" origin="https://crm.example.com""#,
            r#"directory "/geo""#,
            r#"env "REGION""#,
            "clocks",
            "random",
            r#"socket "tcp://db.example.com:5432""#,
            r#"channel "audit""#,
            r#"channel "say \"x\"""#,
        ]
    );
}

#[test]
fn what_is_granted_is_not_missing() {
    let some = grants("http \"https://*.example.org\"\nclocks\nchannel \"audit\"");
    let missing: Vec<Missing> = some.missing(&wants());
    let whats: Vec<_> = missing.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(
        whats,
        [
            r#"http "https://crm.example.com""#,
            r#"secret "crm-token""#,
            r#"directory "/geo""#,
            r#"env "REGION""#,
            "random",
            r#"socket "tcp://db.example.com:5432""#,
            r#"channel "say \"x\"""#,
        ]
    );
    assert_eq!(some.missing(&Wants::default()), []);
    let unreadable = Wants { http: texts(&["*"]), ..Wants::default() };
    assert_eq!(some.missing(&unreadable).len(), 1);
}

#[test]
fn a_grant_without_an_import_for_it_is_a_warning() {
    let all = grants(
        "http \"https://a.example\"\nsecret \"t\" env=\"T\"\ndirectory \"/tmp\"\nenv \"T\"\nclocks\nrandom\nsocket \"tcp://a:1\"\nchannel \"c\"",
    );
    let with = |imports: &[&str]| {
        let names = Names { imports: texts(imports), ..Names::default() };
        let found = all.unused("p", &names);
        assert!(!found.has_errors());
        let reasons = found.iter().map(|one| one.reason.replace("plugin p cannot use the grant ", ""));
        (reasons.collect::<Vec<_>>(), all.are_beyond_inert(&names))
    };
    let everything = ["http", "secret", "directory", "env", "clocks", "random", "socket"];
    assert_eq!(with(&[]), (texts(&everything), false));
    assert_eq!(with(&["millrace:plugin/http@0.1.0"]), (texts(&everything[2..]), false));
    assert_eq!(
        with(&["wasi:filesystem/preopens@0.2.0", "wasi:cli/environment@0.2.0"]),
        (texts(&["http", "secret", "clocks", "random", "socket"]), true)
    );
    assert_eq!(
        with(&[
            "wasi:clocks/wall-clock@0.2.0",
            "wasi:random/random@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/types@0.2.0"
        ]),
        (texts(&["secret", "directory", "env"]), true)
    );
}

#[test]
fn wishes_of_a_manifest_become_wants() {
    let mut found = Wants::default();
    for (kind, names) in [
        ("http", &["https://crm.example.com", "https://a.example.org"][..]),
        ("secret", &["crm-token"]),
        ("directory", &["/geo"]),
        ("env", &["REGION"]),
        ("clocks", &[]),
        ("random", &[]),
        ("socket", &["tcp://db.example.com:5432"]),
        ("channel", &["audit", "say \"x\""]),
    ] {
        assert!(found.add(kind, &texts(names)), "{kind}");
    }
    assert_eq!(found, wants());
    assert!(!found.add("files", &[]));
}

#[test]
fn what_a_manifest_asks_for_in_vain_is_told_with_the_line_to_paste() {
    let want = |kind: &str, values: &[&str]| Want { kind: kind.into(), values: texts(values) };
    let wanted = [want("http", &["https://crm.example.com"]), want("secret", &["t"]), want("clocks", &[])];
    let told = |grants: &Grants| {
        let found = grants.compared(&Spanned::new("crm".into(), Span::default()), &Names::default(), &wanted);
        let texts = found
            .iter()
            .map(|one| format!("{:?} {} | {}", one.severity, one.reason, one.help.as_deref().unwrap()));
        texts.collect::<Vec<_>>()
    };
    let paste = "grant it in the plugin's node: grant";
    let secret = format!(
        "Error plugin crm asks for secret \"t\", which is not granted | {paste} {{ secret \"t\" env=\"T\" origin=\"https://crm.example.com\" }}"
    );
    let clocks = format!("Error plugin crm asks for clocks, which is not granted | {paste} {{ clocks }}");
    let http = format!(
        "Error plugin crm asks for http \"https://crm.example.com\", which is not granted | {paste} {{ http \"https://crm.example.com\" }}"
    );
    assert_eq!(told(&Grants::default()), [http.clone(), secret.clone(), clocks.clone()]);
    // Another place is no substitute for the one it names.
    assert_eq!(told(&grants("http \"https://crm.internal\"")), [http, secret, clocks]);
    let all = grants(
        "http \"https://*.example.com\"\nsecret \"t\" env=\"T\" origin=\"https://crm.example.com\"\nclocks",
    );
    assert_eq!(told(&all), Vec::<String>::new());
}

#[test]
fn an_import_that_works_only_with_a_grant_is_told_as_missing_unless_the_manifest_names_the_place() {
    let names = Names {
        imports: texts(&["millrace:plugin/http@0.1.0", "wasi:sockets/tcp@0.2.0", "wasi:sockets/udp@0.2.0"]),
        ..Names::default()
    };
    let told = |grants: &Grants, wanted: &[Want]| {
        let found = grants.compared(&Spanned::new("crm".into(), Span::default()), &names, wanted);
        assert!(found.iter().all(|one| one.code == "plugin::missing-grant"));
        found.iter().map(|one| one.reason.replace("plugin crm asks for ", "")).collect::<Vec<_>>()
    };
    let http = "http (it imports millrace:plugin/http@0.1.0), which is not granted";
    let socket = "socket (it imports wasi:sockets/tcp@0.2.0), which is not granted";
    assert_eq!(told(&Grants::default(), &[]), [http, socket]);
    assert_eq!(told(&grants("socket \"tcp://a:1\""), &[]), [http]);
    let wanted = [Want { kind: "http".into(), values: texts(&["https://crm.example.com"]) }];
    let named = "http \"https://crm.example.com\", which is not granted";
    assert_eq!(told(&grants("socket \"tcp://a:1\""), &wanted), [named]);
    assert_eq!(told(&grants("http \"https://crm.example.com\"\nsocket \"tcp://a:1\""), &wanted), [""; 0]);
}
