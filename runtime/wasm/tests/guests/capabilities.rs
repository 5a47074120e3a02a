//! What plugins may do for a grant, and what happens without one: HTTP by the agent, secrets, the clock.

use std::time::{Duration, Instant};

use crate::{
    servers::{Server, response},
    support::{Rig, SECRET, Setup, batch, bodies, setup},
};

fn asking(grant: String) -> Setup {
    Setup { grant: Some(grant.leak()), ..setup("sends-http") }
}

#[test]
fn an_import_without_its_grant_is_refused_with_the_line_to_paste() {
    let rig = Rig::new();
    for (name, import, line) in [
        ("sends-http", "millrace:plugin/http@0.1.0", "http \"https://host.example\""),
        ("wasi-http", "wasi:http/", "http \"https://host.example\""),
        ("wasi-sockets", "wasi:sockets/", "socket \"tcp://host.example:5432\""),
    ] {
        let Err(found) = rig.build(&setup(name)) else { panic!("{name} loads") };
        let one = found.iter().next().unwrap();
        assert_eq!(one.code, "plugin::import");
        assert!(one.reason.starts_with(&format!("plugin guest: import {import}")), "{}", one.reason);
        assert_eq!(one.help.as_deref(), Some(&*format!("grant it in the plugin's node: grant {{ {line} }}")));
    }
    // The code of a plugin is shared, the permission is not.
    rig.good(&asking("http \"http://127.0.0.1:1\"".into()));
    assert_eq!(rig.bad(&setup("sends-http"))[0].0, "plugin::import");
}

#[test]
fn grants_are_checked_before_anything_is_built() {
    let rig = Rig::new();
    let all = "http \"https://a.test\"\nsecret \"t\" env=\"TOKEN\"\nclocks\nrandom\nenv \"REGION\"\nchannel \"audit\"";
    let unused =
        |what: &str| format!("Warning plugin::unused-grant plugin guest cannot use the grant {what}");
    let keeps = Setup { grant: Some(all), ..setup("keeps-all") };
    assert_eq!(
        rig.check_grants(&keeps, &["audit"]),
        [unused("http"), unused("secret"), unused("env"), unused("clocks"), unused("random")]
    );
    assert_eq!(
        rig.check_grants(
            &Setup { grant: Some("channel \"audti\" \"audit\""), ..setup("keeps-all") },
            &["audit"]
        ),
        ["Error config::unknown-channel there is no channel `audti`"]
    );
    assert_eq!(
        rig.check_grants(
            &Setup {
                grant: Some("secret \"t\" env=\"NOT_SET\"\nhttp \"https://a.test\""),
                ..setup("sends-http")
            },
            &[]
        ),
        ["Error plugin::grant the environment variable NOT_SET is not set"]
    );
    assert_eq!(rig.check_grants(&setup("keeps-all"), &[]), Vec::<String>::new());
    // A file that is not there is reported where it is loaded.
    let gone = Setup { path: "/does/not/exist.wasm".into(), grant: Some("clocks"), ..setup("keeps-all") };
    assert_eq!(rig.check_grants(&gone, &[]), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_where_they_are_granted_and_nowhere_else() {
    let rig = Rig::new();
    let (granted, other) = (Server::http(|_| response("hello")), Server::http(|_| response("inside")));
    let port = granted.port();
    let interceptor =
        rig.good(&asking(format!("http \"http://127.0.0.1:{port}\" \"http://localhost:{port}\"")));
    let out = interceptor
        .intercept(batch(&[
            &format!("GET http://127.0.0.1:{port}/a"),
            // The name is granted, but it leads inside.
            &format!("GET http://localhost:{port}/b"),
            &format!("GET http://127.0.0.1:{}/c", other.port()),
            "GET http://169.254.169.254/latest/meta-data/",
            "GET http://[fd00:ec2::254]/latest/",
            "GET nonsense",
        ]))
        .await
        .unwrap();
    let bodies = bodies(&out);
    assert_eq!(bodies[0], "200 [connection=close content-length=5] hello");
    assert!(bodies[1..5].iter().all(|body| body == "Error::Denied"), "{bodies:?}");
    assert!(bodies[5].starts_with("Error::Invalid(\"no address"), "{bodies:?}");
    assert_eq!((granted.heard().len(), other.heard().len()), (1, 0));
    let refused = |what: &str| rig.count("refused_total", &format!("what=\"{what}\""));
    assert_eq!((refused("http-origin"), refused("address")), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_name_may_lead_inside_where_the_grant_says_so() {
    let rig = Rig::new();
    let server = Server::http(|_| response("hello"));
    let port = server.port();
    let interceptor = rig.good(&asking(format!("http \"http://localhost:{port}\" private=#true")));
    let out = interceptor.intercept(batch(&[&format!("GET http://localhost:{port}/")])).await.unwrap();
    assert!(bodies(&out)[0].starts_with("200 "), "{:?}", bodies(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_inside_is_shown_and_not_followed() {
    let rig = Rig::new();
    let inner = Server::http(|_| response("inside"));
    let location = format!("http://127.0.0.1:{}/", inner.port());
    let to = location.clone();
    let outer = Server::http(move |_| {
        format!("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
    });
    let interceptor = rig.good(&asking(format!("http \"http://127.0.0.1:{}\"", outer.port())));
    let first = format!("GET http://127.0.0.1:{}/", outer.port());
    let out = interceptor.intercept(batch(&[&first, &format!("GET {location}")])).await.unwrap();
    assert!(bodies(&out)[0].starts_with("302 ") && bodies(&out)[0].contains(&location), "{:?}", bodies(&out));
    assert_eq!(bodies(&out)[1], "Error::Denied");
    assert!(inner.heard().is_empty());
}

#[tokio::test]
async fn a_secret_reaches_the_server_but_neither_the_guest_nor_the_log() {
    let log = crate::support::captured_log();
    let rig = Rig::new();
    // It repeats everything it hears.
    let server = Server::http(|request| {
        let echo = request.lines().find(|line| line.starts_with("authorization")).unwrap_or("none");
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\nx-echo: {echo}\r\n\r\n{request}")
    });
    let port = server.port();
    let interceptor =
        rig.good(&asking(format!("http \"http://127.0.0.1:{port}\"\nsecret \"crm\" env=\"TOKEN\"")));
    let url = format!("http://127.0.0.1:{port}/");
    let turned: String = SECRET.chars().rev().collect();
    let here: String = "x-guest: 1".chars().rev().collect();
    let out = interceptor
        .intercept(batch(&[
            &format!("GET {url} crm"),
            &format!("GET {url}"),
            &format!("GET {url} other"),
            &format!("search {turned}"),
            &format!("search {here}"),
        ]))
        .await
        .unwrap();
    let bodies = bodies(&out);
    assert!(server.heard()[0].contains(&format!("authorization: Bearer {SECRET}\r\n")));
    assert!(!server.heard()[1].contains("authorization"));
    let stars = "*".repeat(SECRET.len());
    assert!(bodies[0].contains(&format!("x-echo=authorization: Bearer {stars}")), "{}", bodies[0]);
    assert!(!bodies.concat().contains(SECRET));
    assert_eq!(bodies[2], "Error::Denied");
    assert_eq!(bodies[3..], ["not found", "found"]);
    assert_eq!(rig.count("refused_total", "what=\"secret\""), 1);
    let log = log.text();
    assert!(log.contains("refused to a plugin") && log.contains("secret other is not granted"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn configure_may_not_ask_the_world_outside() {
    let rig = Rig::new();
    let server = Server::http(|_| response("hello"));
    let url = format!("http://127.0.0.1:{}/", server.port());
    let setup = Setup {
        options: format!("url \"{url}\"").leak(),
        ..asking(format!("http \"http://127.0.0.1:{}\"", server.port()))
    };
    let interceptor = rig.good(&setup);
    assert!(server.heard().is_empty());
    assert_eq!(rig.count("refused_total", "what=\"configure\""), 2);
    let out = interceptor.intercept(batch(&[&format!("GET {url}")])).await.unwrap();
    assert!(bodies(&out)[0].starts_with("200 "), "{:?}", bodies(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_a_timeout_for_the_guest_and_no_fault() {
    let rig = Rig::new();
    let server = Server::start("\r\n\r\n", |_| {
        std::thread::sleep(Duration::from_secs(30));
        Vec::new()
    });
    let grant = format!("http \"http://127.0.0.1:{}\"", server.port());
    let interceptor = rig.good(&Setup { call_time_max: Duration::from_millis(500), ..asking(grant) });
    let begun = Instant::now();
    let out =
        interceptor.intercept(batch(&[&format!("GET http://127.0.0.1:{}/", server.port())])).await.unwrap();
    assert_eq!(bodies(&out), ["Error::Timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(rig.count("faults_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_of_one_call_are_answered_in_their_order() {
    let rig = Rig::new();
    let server = Server::http(|request| response(request.split(' ').nth(1).unwrap()));
    let interceptor = rig.good(&asking(format!("http \"http://127.0.0.1:{}\"", server.port())));
    let mut commands = vec!["many".to_owned()];
    commands.extend((0..20).map(|number| format!("GET http://127.0.0.1:{}/{number}", server.port())));
    commands[4] = "GET http://127.0.0.1:1/".into();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let out = bodies(&interceptor.intercept(batch(&commands)).await.unwrap());
    for (row, body) in out.iter().enumerate().skip(1) {
        let expected = format!("] /{}", row - 1);
        assert!(if row == 4 { body == "Error::Denied" } else { body.ends_with(&expected) }, "{row} {body}");
    }
    assert_eq!(server.heard().len(), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_needs_no_grant() {
    let rig = Rig::new();
    let interceptor = rig.good(&asking("http \"http://127.0.0.1:1\"".into()));
    let out = interceptor.intercept(batch(&["clock"])).await.unwrap();
    assert_eq!(bodies(&out), ["1000000000 forward"]);
}
