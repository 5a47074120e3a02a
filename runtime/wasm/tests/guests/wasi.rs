//! WASI for plugins: nothing without a grant, and what was granted exactly as far as it was.

use std::{
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use millrace_core::Interceptor;

use crate::{
    servers::{Server, response},
    support::{Rig, Setup, batch, bodies, captured_log, setup},
};

fn files(grant: String) -> Setup {
    // The time is not what is looked at, and the machine may be busy.
    Setup { grant: Some(grant.leak()), call_time_max: Duration::from_secs(60), ..setup("wasi-files") }
}

async fn outcomes(interceptor: &dyn Interceptor, commands: &[&str]) -> Vec<String> {
    bodies(&interceptor.intercept(batch(commands)).await.unwrap())
}

/// A folder with what is granted and what is beside it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let geo = folder.path().join("geo");
    std::fs::create_dir_all(geo.join("deep")).unwrap();
    std::fs::write(geo.join("a.txt"), "inside").unwrap();
    std::fs::write(geo.join("deep/b.txt"), "deeper").unwrap();
    std::fs::write(folder.path().join("secret.txt"), "outside").unwrap();
    symlink("../secret.txt", geo.join("up.txt")).unwrap();
    symlink(folder.path().join("secret.txt"), geo.join("absolute.txt")).unwrap();
    symlink("..", geo.join("parent")).unwrap();
    symlink("/", geo.join("root")).unwrap();
    symlink("deep/b.txt", geo.join("good.txt")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_there_are_no_files_no_variables_no_time_and_no_random_numbers() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("wasi-files"));
    let out = outcomes(
        &*interceptor,
        &[
            "read /etc/passwd",
            "list /",
            "write /tmp/x",
            "env REGION",
            "env PATH",
            "vars",
            "args",
            "wall",
            "monotonic",
        ],
    )
    .await;
    assert!(out[..3].iter().all(|outcome| outcome.starts_with("error: ")), "{out:?}");
    // The time is that of the batch.
    assert_eq!(out[3..], ["not set", "not set", "", "0", "1000000000", "stands still"]);
    let seeds = outcomes(&*interceptor, &["seed"]).await;
    let again = outcomes(&*rig.good(&setup("wasi-files")), &["seed"]).await;
    assert_eq!(seeds, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_directory_can_be_read_and_nothing_around_it() {
    let rig = Rig::new();
    let folder = folder();
    let interceptor = rig.good(&files(format!("directory {:?} at=\"/geo\"", folder.path().join("geo"))));
    let out = outcomes(
        &*interceptor,
        &["read /geo/a.txt", "read /geo/deep/b.txt", "read /geo/good.txt", "list /geo/deep"],
    )
    .await;
    assert_eq!(out, ["inside", "deeper", "deeper", "b.txt"]);
    let outside = folder.path().join("secret.txt").display().to_string();
    let escapes = [
        "read /geo/../secret.txt".to_owned(),
        "read /geo/deep/../../secret.txt".into(),
        "read /geo/up.txt".into(),
        "read /geo/absolute.txt".into(),
        "read /geo/parent/secret.txt".into(),
        "read /geo/root/etc/passwd".into(),
        "read /etc/passwd".into(),
        format!("read {outside}"),
        "list /".into(),
        "list /geo/parent".into(),
        "list /geo/..".into(),
        "read /geo//../secret.txt".into(),
        "read ../secret.txt".into(),
        "read /proc/self/environ".into(),
    ];
    let escapes: Vec<&str> = escapes.iter().map(String::as_str).collect();
    for (command, outcome) in escapes.iter().zip(outcomes(&*interceptor, &escapes).await) {
        assert!(outcome.starts_with("error: "), "{command}: {outcome}");
    }
    // What lies outside of every folder is refused in the guest already; the other ones are counted and told.
    assert_eq!(rig.count("refused_total", "what=\"file\""), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_directory_cannot_be_changed() {
    let rig = Rig::new();
    let folder = folder();
    let geo = folder.path().join("geo");
    let before = listing(&geo);
    let interceptor = rig.good(&files(format!("directory {geo:?} at=\"/geo\"")));
    let changes = [
        "write /geo/new.txt",
        "write /geo/a.txt",
        "append /geo/a.txt",
        "remove /geo/a.txt",
        "mkdir /geo/new",
        "rename /geo/a.txt",
        "link /geo/a.txt",
        "write /geo/up.txt",
        "write /geo/deep/b.txt",
    ];
    for (command, outcome) in changes.iter().zip(outcomes(&*interceptor, &changes).await) {
        assert!(outcome.starts_with("error: "), "{command}: {outcome}");
    }
    assert_eq!(listing(&geo), before);
    assert_eq!(std::fs::read_to_string(geo.join("a.txt")).unwrap(), "inside");
    assert_eq!(std::fs::read_to_string(folder.path().join("secret.txt")).unwrap(), "outside");
}

fn listing(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_variables_are_there() {
    let rig = Rig::new();
    let interceptor = rig.good(&files("env \"REGION\"\nenv \"TIER\" value=\"gold\"".into()));
    let out = outcomes(
        &*interceptor,
        &["env REGION", "env TIER", "env UNGRANTED", "env PATH", "env TOKEN", "vars"],
    )
    .await;
    assert_eq!(out, ["eu-west", "gold", "not set", "not set", "not set", "REGION TIER"]);
    // Nothing else came with it.
    let out = outcomes(&*interceptor, &["read /etc/passwd", "wall", "monotonic"]).await;
    assert!(out[0].starts_with("error: "), "{out:?}");
    assert_eq!(out[1..], ["1000000000", "stands still"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_go_and_numbers_differ_where_that_is_granted() {
    let rig = Rig::new();
    let interceptor = rig.good(&files("clocks\nrandom".into()));
    let out = outcomes(&*interceptor, &["wall", "monotonic", "sleep 20", "seed"]).await;
    assert!(out[0].parse::<u64>().unwrap() > 1_700_000_000_000_000_000, "{out:?}");
    assert_eq!(out[1..3], ["goes on", "slept"]);
    let other = outcomes(&*rig.good(&files("clocks\nrandom".into())), &["seed"]).await;
    assert_ne!(out[3], other[0]);
    // One of the two alone leaves the other as it was.
    let fixed = outcomes(&*rig.good(&files("clocks".into())), &["seed"]).await;
    let again = outcomes(&*rig.good(&files("clocks".into())), &["seed"]).await;
    assert_eq!(fixed, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_inside_of_the_host_does_not_outwait_the_deadline() {
    let rig = Rig::new();
    let short = || Setup { call_time_max: Duration::from_millis(200), ..files("clocks".into()) };
    let begun = Instant::now();
    let interceptor = rig.good(&short());
    let out = interceptor.intercept(batch(&["sleep 1", "sleep 600000"])).await.unwrap();
    assert_eq!((bodies(&out), out.diverted().len()), (vec!["slept".to_owned()], 1));
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(rig.count("faults_total", "kind=\"deadline\"") >= 2);
    // And it works afterwards.
    assert_eq!(outcomes(&*interceptor, &["sleep 1"]).await, ["slept"]);
    // The same in `configure`, which has a second at least.
    let begun = Instant::now();
    let found = rig.bad(&Setup { options: "configure-sleeps 600000", ..short() });
    assert_eq!(found[0].0, "plugin::configure-fault");
    assert!(found[0].1.contains("deadline"), "{found:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_is_printed_goes_to_the_log_and_a_panic_says_why() {
    let log = captured_log();
    let rig = Rig::new();
    let interceptor = rig.good(&files("env \"REGION\"".into()));
    assert_eq!(outcomes(&*interceptor, &["print \u{1b}[31mred"]).await, ["printed"]);
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("component=\"guest\"")).collect();
    assert!(lines.iter().any(|line| line.contains("INFO") && line.contains("\\u{1b}[31mred")), "{text}");
    assert!(
        lines.iter().any(|line| line.contains("ERROR") && line.contains("error \\u{1b}[31mred")),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
    let out = interceptor.intercept(batch(&["env REGION", "panic on purpose"])).await.unwrap();
    assert_eq!(bodies(&out), ["eu-west"]);
    let [one] = out.diverted() else { panic!("{:?}", out.diverted()) };
    let reason = &crate::support::rejection(one).reason;
    assert!(reason.contains("on purpose"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_ends_the_call_and_not_the_agent() {
    let rig = Rig::new();
    for grant in [None, Some("clocks")] {
        let interceptor = rig.good(&Setup { grant, ..setup("wasi-files") });
        let out = interceptor.intercept(batch(&["args", "exit"])).await.unwrap();
        assert_eq!((bodies(&out), out.diverted().len()), (vec!["0".to_owned()], 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_to_granted_places_by_address_and_by_name() {
    let rig = Rig::new();
    let server = Server::start("\n", |said| format!("pong to {said}").into_bytes());
    let other = Server::start("\n", |_| b"inside".to_vec());
    let port = server.port();
    let by_address =
        Setup { grant: Some(format!("socket \"tcp://127.0.0.1:{port}\"").leak()), ..setup("wasi-sockets") };
    let interceptor = rig.good(&by_address);
    let out = outcomes(
        &*interceptor,
        &[
            &format!("connect 127.0.0.1:{port}"),
            &format!("connect 127.0.0.1:{}", other.port()),
            &format!("connect 127.0.0.2:{port}"),
            &format!("connect localhost:{port}"),
            "connect 169.254.169.254:80",
            "lookup example.com:80",
            "listen 127.0.0.1:0",
            "listen 0.0.0.0:0",
            &format!("udp 127.0.0.1:{port}"),
        ],
    )
    .await;
    assert_eq!(out[0], "pong to ping\n");
    assert!(out[1..].iter().all(|outcome| outcome.starts_with("error: ")), "{out:?}");
    assert!(other.heard().is_empty());
    assert!(rig.count("refused_total", "what=\"socket\"") >= 4);
    let by_name = |private: &str| Setup {
        grant: Some(format!("socket \"tcp://localhost:{port}\"{private}").leak()),
        ..setup("wasi-sockets")
    };
    let out = outcomes(&*rig.good(&by_name("")), &[&format!("connect localhost:{port}")]).await;
    assert!(out[0].starts_with("error: "), "the name leads inside: {out:?}");
    let interceptor = rig.good(&by_name(" private=#true"));
    // An address is not granted by the name that it has, unless the name was looked up.
    let out = outcomes(
        &*interceptor,
        &[&format!("connect 127.0.0.1:{port}"), &format!("connect localhost:{port}")],
    )
    .await;
    assert!(out[0].starts_with("error: "), "{out:?}");
    assert_eq!(out[1], "pong to ping\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn configure_opens_no_connections() {
    let rig = Rig::new();
    let server = Server::start("\n", |_| b"pong".to_vec());
    let place = format!("127.0.0.1:{}", server.port());
    let setup = Setup {
        options: format!("connect {place:?}").leak(),
        grant: Some(format!("socket \"tcp://{place}\"").leak()),
        ..setup("wasi-sockets")
    };
    let interceptor = rig.good(&setup);
    assert!(server.heard().is_empty());
    assert_eq!(outcomes(&*interceptor, &[&format!("connect {place}")]).await, ["pong"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_guests_own_has_the_same_walls() {
    let rig = Rig::new();
    let server = Server::http(|request| {
        let host = request.lines().find(|line| line.starts_with("host:")).unwrap_or("none");
        response(host)
    });
    let large = Server::http(|_| response(&"x".repeat(3000)));
    let other = Server::http(|_| response("inside"));
    let (port, large_port) = (server.port(), large.port());
    let interceptor = rig.good(&Setup {
        grant: Some(
            format!(
                "http \"http://127.0.0.1:{port}\" \"http://localhost:{port}\"\nhttp \"http://127.0.0.1:{large_port}\" response=\"2KiB\""
            )
            .leak(),
        ),
        ..setup("wasi-http")
    });
    let out = outcomes(
        &*interceptor,
        &[
            &format!("http://127.0.0.1:{port}/a?b"),
            &format!("http://localhost:{port}/"),
            &format!("http://127.0.0.1:{}/", other.port()),
            "http://169.254.169.254/latest/meta-data/",
            &format!("http://user@127.0.0.1:{port}/"),
            &format!("TRACE http://127.0.0.1:{port}/"),
            &format!("http://127.0.0.1:{large_port}/"),
        ],
    )
    .await;
    assert_eq!(out[0], format!("200 host: 127.0.0.1:{port}"));
    assert!(server.heard()[0].starts_with("GET /a?b HTTP/1.1\r\n"), "{:?}", server.heard());
    assert!(out[1..].iter().all(|outcome| outcome.starts_with("error: ErrorCode::")), "{out:?}");
    assert_eq!((server.heard().len(), other.heard().len()), (1, 0));
    let refused = |what: &str| rig.count("refused_total", &format!("what=\"{what}\""));
    assert_eq!((refused("http-origin"), refused("address")), (2, 1));
}
