//! Plugins that reach for what they were not granted: files, addresses, names, secrets, clocks.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{
    case::{Amount, Case, Expect, Role},
    servers::Servers,
};

fn case(name: &'static str, guest: &'static str) -> Case {
    Case::new(Role::Interceptor, name, guest)
}

/// Uses that were refused: one for each of so many lines of a round.
fn refused(case: Case, what: &str, lines: u64) -> Case {
    case.expect(Expect::Plugin("refused_total", format!("what={what:?}"), Amount::PerRound(lines)))
}

/// So many in each call.
fn refused_by_call(case: Case, what: &str, per_call: u64) -> Case {
    case.expect(Expect::Plugin("refused_total", format!("what={what:?}"), Amount::PerCall(per_call)))
}

pub(super) fn cases(folder: &Path, servers: &Servers) -> Vec<Case> {
    let mut cases = http(servers);
    cases.extend(wasi(servers));
    cases.extend(files(folder));
    cases
}

fn http(servers: &Servers) -> Vec<Case> {
    let limits = r#"limits memory="16MiB" time="5s""#;
    let granted = |grant: String| format!("{limits}; grant {{ {grant} }}");
    let asking = |name, url: String, grant: String, outcome: &str| {
        case(name, "http-denied")
            .plugin(granted(grant))
            .options(format!("url {url}"))
            .lines(&["a"])
            .delivers(&[&format!("a [outcome={outcome}]")])
    };
    let inside = format!("http://127.0.0.1:{}/", servers.inside.port);
    let outer = format!("http://127.0.0.1:{}", servers.redirects.port);
    let elsewhere = || r#"http "http://granted.example""#.to_owned();
    let metadata = r#""http://169.254.169.254/latest/meta-data/" "http://[fd00:ec2::254]/" "http://2852039166/" "http://[::ffff:a9fe:a9fe]/""#;
    let name = format!("http://localhost:{}", servers.inside.port);
    let silent = format!("http://127.0.0.1:{}", servers.silent.port);
    let endless = format!("http://127.0.0.1:{}", servers.endless.port);
    vec![
        refused(asking("http-loopback", format!("{inside:?}"), elsewhere(), "denied"), "http-origin", 1),
        refused_by_call(
            asking(
                "http-metadata",
                metadata.to_owned(),
                r#"http "http://granted.example" private=#true"#.into(),
                "denied denied denied denied",
            ),
            "http-origin",
            4,
        ),
        // The name is granted, what it resolves to is not.
        refused_by_call(
            asking("dns-inward", format!("\"{name}/\""), format!("http {name:?}"), "denied"),
            "address",
            1,
        ),
        refused(
            case("redirect", "sends-http")
                .plugin(granted(format!("http {outer:?}")))
                .lines(&[&format!("GET {outer}/"), &format!("GET {inside}")])
                .delivers(&["302 [*", "Error::Denied"]),
            "http-origin",
            1,
        ),
        refused_by_call(
            asking(
                "secret-not-granted",
                format!("\"{outer}/\"; secret \"crm\""),
                format!("http {outer:?}"),
                "denied",
            ),
            "secret",
            1,
        ),
        case("http-in-configure", "sends-http")
            .plugin(granted(format!("http {outer:?}")))
            .options(format!("url \"{outer}/\""))
            .lines(&["GET nonsense"])
            .delivers(&["Error::Invalid(*"])
            .expect(Expect::Plugin("refused_total", "what=\"configure\"".to_owned(), Amount::AtLeast(2))),
        asking(
            "silent-server",
            format!("\"{silent}/\"; timeout-ms 50"),
            format!("http {silent:?}"),
            "timeout",
        ),
        asking(
            "endless-response",
            format!("\"{endless}/\""),
            format!(r#"http {endless:?} response="64KiB""#),
            "too-large",
        ),
    ]
}

fn wasi(servers: &Servers) -> Vec<Case> {
    let inside = servers.inside.port;
    let bounded = |grant: &str| format!(r#"limits memory="16MiB" time="5s"; grant {{ {grant} }}"#);
    vec![
        refused(
            case("wasi-http", "wasi-http")
                .plugin(bounded(r#"http "http://granted.example""#))
                .lines(&[&format!("GET http://127.0.0.1:{inside}/"), "GET http://169.254.169.254/"])
                .delivers(&["error: *", "error: *"]),
            "http-origin",
            2,
        ),
        refused(
            case("wasi-sockets", "wasi-sockets")
                .plugin(bounded(r#"socket "tcp://granted.example:5432""#))
                .lines(&[&format!("connect 127.0.0.1:{inside}"), "lookup localhost:80"])
                .delivers(&["error: *", "error: *"]),
            "socket",
            2,
        ),
        case("wasi-listens", "wasi-sockets")
            .plugin(bounded(r#"socket "tcp://granted.example:5432""#))
            .lines(&["listen 127.0.0.1:0", "udp 127.0.0.1:9"])
            .delivers(&["error: *", "error: *"]),
        loops("wasi-loops-1"),
        loops("wasi-loops-2"),
        loops("wasi-loops-3"),
        loops("wasi-loops-4"),
        loops("wasi-loops-5"),
        loops("wasi-loops-6"),
        // Within its rights, but for ever.
        case("wasi-sleeps", "wasi-files")
            .plugin(r#"limits memory="16MiB" time="50ms"; grant { clocks }"#)
            .lines(&["sleep 100000"])
            .delivers(&[])
            .letters(&["sleep 100000"], "the call took longer than 50ms")
            .faults("deadline", 2),
        case("wasi-exits", "wasi-files")
            .lines(&["exit"])
            .delivers(&[])
            .letters(&["exit"], "the plugin called exit")
            .faults("trap", 2),
    ]
}

/// It may wait, so its calls are tasks among the others, and it has much time, all of which it uses. There are more of
/// this kind than workers.
fn loops(name: &'static str) -> Case {
    let case = case(name, "wasi-files")
        .plugin(r#"limits memory="16MiB" time="2s"; grant { clocks }"#)
        .lines(&["loop"])
        .delivers(&[])
        .letters(&["loop"], "the call took longer than 2s")
        .faults("deadline", 2);
    Case { every: 8, ..case }
}

/// A folder that is granted, with all ways out of it.
fn folder_with_ways_out(folder: &Path) -> std::io::Result<String> {
    let geo = folder.join("geo");
    fs::create_dir_all(&geo)?;
    fs::write(geo.join("a.txt"), "inside")?;
    fs::write(folder.join("secret.txt"), "outside")?;
    symlink("../secret.txt", geo.join("up.txt"))?;
    symlink(folder.join("secret.txt"), geo.join("absolute.txt"))?;
    symlink("/", geo.join("root"))?;
    Ok(format!("directory {geo:?} at=\"/geo\""))
}

fn files(folder: &Path) -> Vec<Case> {
    let grant = folder_with_ways_out(folder).unwrap();
    let escapes = [
        "read /geo/../secret.txt",
        "read /geo/up.txt",
        "read /geo/absolute.txt",
        "read /geo/root/etc/passwd",
        "list /geo/..",
        "write /geo/new.txt",
        "remove /geo/a.txt",
    ];
    let nowhere = ["read /etc/passwd", "list /", "write /tmp/x", "read /proc/self/environ"];
    let errors = |count| vec!["error: *"; count];
    vec![
        refused(
            case("path-escapes", "wasi-files")
                .plugin(format!(r#"limits memory="16MiB" time="5s"; grant {{ {grant} }}"#))
                .lines(&escapes)
                .delivers(&errors(escapes.len())),
            "file",
            escapes.len() as u64,
        ),
        // Nothing is granted, so nothing is there: not even a way to ask.
        case("no-files", "wasi-files").lines(&nowhere).delivers(&errors(nowhere.len())),
    ]
}
