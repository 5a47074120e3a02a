use millrace_config::{Diagnostics, GRANT_OPTIONS, MapEnvironment, Report, Section, check, parse_nodes};

use super::Grants;
use crate::grants::{Origin, TargetHost};

fn environment() -> MapEnvironment {
    MapEnvironment::default()
        .with_variable("CRM_TOKEN", "s3cret-value")
        .with_variable("EMPTY", "")
        .with_variable("BROKEN", "two\nlines")
        .with_variable("REGION", "eu-west")
        .with_file("/run/token", b"from-a-file\r\n".to_vec())
        .with_file("/run/large", vec![b'x'; 20_000])
        .with_file("/run/ca.pem", b"no certificate".to_vec())
}

/// The grants, and what is wrong as a user reads it: `line:column code reason`.
fn read(text: &str) -> (Grants, Vec<String>) {
    let text = format!("grant {{\n{text}\n}}");
    let (nodes, files, found) = parse_nodes("agent.kdl", &text, &environment());
    assert!(found.is_empty(), "{found:?}");
    let (section, mut found): (Section, Diagnostics) = check(&nodes[0], GRANT_OPTIONS, false, &files);
    let (grants, more) = Grants::read(Some(&section), &environment());
    found.extend(more);
    let report = Report::new(&found, &files).render_text(false, 100);
    assert!(!report.contains("s3cret"), "{report}");
    let shown = found.iter().map(|diagnostic| {
        let (line, column) = files.line_column(diagnostic.span.unwrap());
        format!("{line}:{column} {} {}", diagnostic.code, diagnostic.reason)
    });
    (grants, shown.collect())
}

#[test]
fn all_kinds_of_grants_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (grants, found) = read(&format!(
        r#"
    http "https://crm.example.com" "https://*.example.org" response="1MiB"
    http "http://10.0.0.1:8080" private=#true
    secret "crm-token" env="CRM_TOKEN" origin="https://crm.example.com"
    secret "key" file="/run/token" header="X-Api-Key" {{ origin "https://crm.example.com" "https://a.example.org" }}
    directory {:?} at="/geo/"
    env "REGION"
    env "TIER" value="gold"
    clocks
    random #true
    socket "tcp://db.example.com:5432" "tcp://[fd00::1]:80" private=#true
    channel "audit" "other"
    channel "third""#,
        folder.path()
    ));
    assert_eq!(found, Vec::<String>::new());
    let http: Vec<_> =
        grants.http.iter().map(|one| (one.origin.to_string(), one.private, one.response_bytes_max)).collect();
    assert_eq!(
        http,
        [
            ("https://crm.example.com".to_owned(), false, 1 << 20),
            ("https://*.example.org".to_owned(), false, 1 << 20),
            ("http://10.0.0.1:8080".to_owned(), true, 8 << 20),
        ]
    );
    let secrets: Vec<_> = grants
        .secrets
        .iter()
        .map(|one| {
            (one.name.as_str(), one.header.as_str(), one.value.as_bytes(), one.bytes(), one.origins.len())
        })
        .collect();
    assert_eq!(
        secrets,
        [
            ("crm-token", "authorization", &b"Bearer s3cret-value"[..], &b"s3cret-value"[..], 1),
            ("key", "x-api-key", &b"from-a-file"[..], &b"from-a-file"[..], 2),
        ]
    );
    assert!(grants.secrets.iter().all(|one| one.value.is_sensitive()));
    assert_eq!(
        (grants.directories[0].path.as_path(), grants.directories[0].at.as_str()),
        (folder.path(), "/geo")
    );
    let variables: Vec<_> =
        grants.variables.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!(variables, [("REGION", "eu-west"), ("TIER", "gold")]);
    assert!(grants.clocks.is_some() && grants.random.is_some());
    assert_eq!(grants.sockets[0].host, TargetHost::Name("db.example.com".into()));
    assert_eq!((grants.sockets[1].origin(), grants.sockets[1].private), ("tcp://[fd00::1]:80".into(), true));
    assert_eq!(grants.channel_names(), ["audit", "other", "third"]);
}

#[test]
fn nothing_is_granted_unless_it_is_written() {
    let (grants, found) = Grants::read(None, &environment());
    assert!(found.is_empty());
    assert!(grants.http.is_empty() && grants.secrets.is_empty() && grants.channels.is_empty());
    assert!(grants.clocks.is_none() && grants.random.is_none());
    let (grants, _) = read("clocks #false");
    assert!(grants.clocks.is_none());
}

#[test]
fn the_origin_of_a_secret_may_be_left_out_where_there_is_one_only() {
    let (grants, found) = read("http \"https://a.example.com\"\nsecret \"t\" env=\"CRM_TOKEN\" prefix=\"\"");
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(grants.secrets[0].origins, [Origin::parse("https://a.example.com").unwrap()]);
    assert_eq!(grants.secrets[0].value.as_bytes(), b"s3cret-value");
    for two in
        ["http \"https://a.example.com\" \"https://b.example.com\"", "http \"https://*.example.com\"", ""]
    {
        let (grants, found) = read(&format!("{two}\nsecret \"t\" env=\"CRM_TOKEN\""));
        assert_eq!(found, ["3:8 plugin::grant secret t does not say where it may be sent"], "{two}");
        assert!(grants.secrets.is_empty());
    }
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    let table = [
        ("htpp \"https://a.example.com\"", "2:1 config::unknown-option unknown option `htpp` of `grant`"),
        ("http", "2:1 config::missing-name `http` needs a name"),
        (
            "http \"a.example.com\"",
            "2:6 plugin::grant \"a.example.com\" is no origin: relative URL without a base",
        ),
        (
            "http \"https://a.test/x\"",
            "2:6 plugin::grant \"https://a.test/x\" is no origin: an origin ends with its host or port, without a path",
        ),
        (
            "http \"https://a.test\" privat=#true",
            "2:23 config::unknown-option unknown option `privat` of `http`",
        ),
        (
            "http \"https://a.test\" ca=\"/run/ca.pem\"",
            "2:26 plugin::grant /run/ca.pem holds no certificates to trust: there is none in it",
        ),
        (
            "http \"https://a.test\"\nhttp \"https://A.test:443\"",
            "3:6 config::repeated-option http https://A.test:443 is granted twice",
        ),
        ("secret \"t\" env=\"NOT_SET\"", "2:16 plugin::grant the environment variable NOT_SET is not set"),
        ("secret \"t\" env=\"EMPTY\"", "2:16 plugin::grant the environment variable EMPTY is empty"),
        (
            "secret \"t\" env=\"BROKEN\"",
            "2:8 plugin::grant secret t holds characters that no header can carry",
        ),
        ("secret \"t\" file=\"/run/none\"", "2:17 plugin::grant /run/none cannot be read: "),
        ("secret \"t\" file=\"/run/large\"", "2:17 plugin::grant /run/large is larger than 16384 bytes"),
        ("secret \"t\"", "2:8 plugin::grant secret t has no value"),
        ("secret \"t\" env=\"CRM_TOKEN\" file=\"/run/token\"", "2:8 plugin::grant secret t is given twice"),
        (
            "secret \"t\" env=\"CRM_TOKEN\" header=\"host\"",
            "2:35 plugin::grant header host is the agent's own",
        ),
        (
            "secret \"t\" env=\"CRM_TOKEN\" header=\"a b\"",
            "2:35 plugin::grant \"a b\" is no name of a header",
        ),
        ("secret \"t\" \"u\" env=\"CRM_TOKEN\"", "2:12 plugin::grant `secret` takes one name here"),
        ("directory \"/does/not/exist\"", "2:11 plugin::grant directory /does/not/exist does not exist"),
        ("directory \"/etc/passwd\"", "2:11 plugin::grant directory /etc/passwd is not a directory"),
        ("directory \"/tmp\" at=\"geo\"", "2:21 plugin::grant \"geo\" is no place for a directory"),
        ("directory \"/tmp\" at=\"/a/../b\"", "2:21 plugin::grant \"/a/../b\" is no place for a directory"),
        (
            "directory \"/tmp\"\ndirectory \"/\" at=\"/tmp\"",
            "3:11 config::repeated-option directory /tmp is granted twice",
        ),
        ("env \"NOT_SET\"", "2:5 plugin::grant the environment variable NOT_SET is not set"),
        ("env \"A=B\"", "2:5 plugin::grant \"A=B\" is no name of an environment variable"),
        ("env \"A\" \"B\" value=\"x\"", "2:9 plugin::grant `env` takes one name here"),
        ("env \"REGION\" \"REGION\"", "2:14 config::repeated-option env REGION is granted twice"),
        (
            "socket \"db.example.com:5432\"",
            "2:8 plugin::grant \"db.example.com:5432\" is no place to connect to: it starts with tcp://",
        ),
        (
            "socket \"tcp://db.example.com\"",
            "2:8 plugin::grant \"tcp://db.example.com\" is no place to connect to: it ends with a port",
        ),
        (
            "socket \"tcp://*.example.com:5432\"",
            "2:8 plugin::grant \"tcp://*.example.com:5432\" is no place to connect to: a star is not possible here",
        ),
        (
            "socket \"tcp://a:0\"",
            "2:8 plugin::grant \"tcp://a:0\" is no place to connect to: it ends with a port",
        ),
        ("channel", "2:1 config::missing-name `channel` needs a name"),
        ("channel \"a\"\nchannel \"a\"", "3:9 config::repeated-option channel a is granted twice"),
        ("channel 5", "2:9 config::wrong-type the name of `channel` is not text"),
    ];
    for (text, expected) in table {
        // Secrets need somewhere to go; that line must not add findings of its own.
        let text = if text.starts_with("secret") {
            format!("{text}\nhttp \"https://one.example\"")
        } else {
            text.into()
        };
        let (_, found) = read(&text);
        let [one] = <[String; 1]>::try_from(found).unwrap_or_else(|found| panic!("{text}: {found:?}"));
        assert!(one.starts_with(expected), "{text}:\n{one}\n{expected}");
    }
}

#[test]
fn a_secret_goes_only_where_requests_may_go() {
    let (grants, found) = read(
        "http \"https://a.test\"\nsecret \"t\" env=\"CRM_TOKEN\" { origin \"https://a.test\" \"https://b.test\" \"x\" }",
    );
    assert!(grants.secrets.is_empty());
    assert_eq!(
        found,
        [
            "3:54 plugin::grant secret t is for https://b.test, where no request may go",
            "3:71 plugin::grant \"x\" is no origin: relative URL without a base",
        ]
    );
}

#[test]
fn values_are_not_shown_to_anybody() {
    let (grants, _) = read("http \"https://a.test\"\nsecret \"t\" env=\"CRM_TOKEN\"\nenv \"REGION\"");
    let shown = format!("{grants:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("eu-west"), "{shown}");
}
