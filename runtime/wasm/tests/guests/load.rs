//! What is refused before a guest sees an event, and how it is told.

use std::time::Instant;

use millrace_core::{Metrics, PluginHost};
use millrace_wasm::{HostError, WasmHost};
use proptest::prelude::*;

use crate::support::{Rig, Setup, batch, bodies, guest, setup, setup_file};

fn one(found: Vec<(&'static str, String)>) -> (&'static str, String) {
    let [one] = <[_; 1]>::try_from(found).unwrap();
    one
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let rig = Rig::new();
    let core = one(rig.bad(&setup("not-a-component")));
    assert_eq!(core.0, "plugin::core-module");
    let file = rig.data.path().join("file.wasm");
    let missing = one(rig.bad(&setup_file(file.clone())));
    assert_eq!(missing.0, "plugin::unreadable");
    let whole = std::fs::read(guest("keeps-all")).unwrap();
    for content in [&b""[..], b"hello", &whole[..100], &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
        std::fs::write(&file, content).unwrap();
        assert_eq!(one(rig.bad(&setup_file(file.clone()))).0, "plugin::invalid");
    }
    std::fs::File::create(&file).unwrap().set_len((64 << 20) + 1).unwrap();
    let large = one(rig.bad(&setup_file(file)));
    assert_eq!(large.0, "plugin::too-large");
    assert!(large.1.contains("67108865 bytes, at most 67108864"), "{}", large.1);
}

#[test]
fn a_wrong_world_is_refused_with_what_was_expected_and_found() {
    let rig = Rig::new();
    let (code, reason) = one(rig.bad(&setup("wrong-world")));
    assert_eq!(code, "plugin::world");
    assert!(reason.contains("expected millrace:plugin/interceptor@0.1.0, found only"), "{reason}");
    assert!(reason.contains("test:wrong-world/codec"), "{reason}");
    let (code, reason) = one(rig.bad(&setup("other-version")));
    assert_eq!(code, "plugin::world");
    assert!(
        reason.contains("found millrace:plugin/interceptor@0.3.0; this agent serves 0.1 and 0.2"),
        "{reason}"
    );
}

#[test]
fn an_import_that_is_not_granted_is_refused_by_its_name() {
    let rig = Rig::new();
    let Err(found) = rig.build(&setup("imports-wasi-socket")) else { panic!("it loads") };
    let diagnostic = found.iter().next().unwrap();
    assert_eq!(diagnostic.code, "plugin::import");
    assert!(
        diagnostic.reason.starts_with("plugin guest: import wasi:sockets/network@0.2.0: "),
        "{}",
        diagnostic.reason
    );
    assert!(
        diagnostic.reason.contains("also refused: wasi:sockets/instance-network@0.2.0"),
        "{}",
        diagnostic.reason
    );
    let help = diagnostic.help.as_ref().unwrap();
    assert!(help.ends_with("grant { socket \"tcp://host.example:5432\" }"), "{help}");
}

#[test]
fn a_digest_that_differs_is_refused_and_the_right_one_is_shown() {
    let rig = Rig::new();
    let digest = rig.host.inspect(&std::fs::read(guest("keeps-all")).unwrap()).unwrap().digest;
    rig.good(&Setup { digest: Some(digest.clone()), ..setup("keeps-all") });
    let wrong = Setup { digest: Some(format!("sha256:{}", "0".repeat(64))), ..setup("keeps-all") };
    let Err(found) = rig.build(&wrong) else { panic!("it loads") };
    let diagnostic = found.iter().next().unwrap();
    assert_eq!(diagnostic.code, "plugin::digest");
    assert!(diagnostic.help.as_ref().unwrap().contains(&digest));
}

#[test]
fn mistakes_in_the_options_are_shown_where_they_stand() {
    let rig = Rig::new();
    let wrong = Setup { options: "    mask \"##\"", ..setup("configure-refuses") };
    let (Err(found), files) = rig.build_in(&wrong) else { panic!("it loads") };
    let places: Vec<_> = found
        .iter()
        .map(|diagnostic| {
            (diagnostic.code, diagnostic.reason.as_str(), files.line_column(diagnostic.span.unwrap()))
        })
        .collect();
    assert_eq!(
        places,
        [
            ("plugin::configure", "plugin guest: expected one character", (2, 10)),
            ("plugin::configure", "plugin guest: nothing is ever right", (1, 1)),
        ]
    );
}

#[test]
fn an_option_that_the_guest_does_not_know_is_refused() {
    let rig = Rig::new();
    let found = rig.bad(&Setup { options: "nedle \"x\"", ..setup("searches") });
    assert!(found.iter().all(|(code, _)| *code == "plugin::configure"), "{found:?}");
    assert!(found[0].1.contains("nedle"), "{found:?}");
}

#[test]
fn a_guest_that_breaks_in_configure_is_refused() {
    let rig = Rig::new();
    let (code, reason) = one(rig.bad(&setup("configure-traps")));
    assert_eq!(code, "plugin::configure-fault");
    assert!(reason.contains("configure was asked to panic"), "{reason}");
    let begun = Instant::now();
    let short = Setup { call_time_max: std::time::Duration::from_millis(10), ..setup("configure-loops") };
    let (code, reason) = one(rig.bad(&short));
    assert_eq!(code, "plugin::configure-fault");
    assert!(reason.contains("deadline: the call took longer than 1s"), "{reason}");
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn a_grant_that_cannot_work_is_refused() {
    let rig = Rig::new();
    let found = one(rig.bad(&Setup { grant: Some("http \"*\""), ..setup("keeps-all") }));
    assert_eq!(found.0, "plugin::grant");
    assert!(found.1.starts_with("\"*\" is no origin: "), "{}", found.1);
}

#[tokio::test]
async fn the_second_start_takes_the_native_code_from_the_cache() {
    let rig = Rig::new();
    rig.good(&setup("keeps-all"));
    let entries = || std::fs::read_dir(rig.data.path().join("plugins")).unwrap().count();
    assert_eq!(entries(), 1);
    let again = Rig {
        host: std::sync::Arc::new(WasmHost::new(rig.data.path().join("plugins"))),
        metrics: Metrics::default(),
        data: tempfile::tempdir().unwrap(),
    };
    let interceptor = again.good(&setup("keeps-all"));
    assert_eq!(entries(), 1);
    assert_eq!(bodies(&interceptor.intercept(batch(&["a"])).await.unwrap()), ["a"]);
}

#[test]
fn inspecting_tells_what_a_plugin_asks_for_without_running_it() {
    let host = WasmHost::new(tempfile::tempdir().unwrap().path().join("plugins"));
    let look = |name: &str| host.inspect(&std::fs::read(guest(name)).unwrap()).unwrap();
    let good = look("keeps-all");
    assert_eq!((good.role, good.problem), (Some("interceptor"), None));
    assert!(good.imports.iter().all(|import| import.refused.is_none()), "{:?}", good.imports);
    assert!(good.exports.contains(&"millrace:plugin/interceptor@0.1.0".to_owned()));
    let loops = look("configure-loops");
    assert_eq!(loops.problem, None);
    let socket = look("imports-wasi-socket");
    assert!(
        socket.imports.iter().any(|import| import.name.contains("wasi:sockets") && import.grant.is_some())
    );
    assert!(socket.imports.iter().all(|import| import.refused.is_none()), "{:?}", socket.imports);
    assert!(matches!(host.inspect(b"\0asm\x01\0\0\0"), Err(HostError::CoreModule)));
}

#[test]
fn the_digest_follows_the_content() {
    let rig = Rig::new();
    let path = rig.data.path().join("plugin.wasm");
    std::fs::copy(guest("keeps-all"), &path).unwrap();
    let spec = |path: &std::path::Path| millrace_config::PluginSpec {
        name: millrace_config::Spanned::new("p".into(), millrace_config::Span::default()),
        path: millrace_config::Spanned::new(path.to_owned(), millrace_config::Span::default()),
        digest: None,
        memory_bytes_max: 1,
        call_time_max: Some(std::time::Duration::ZERO),
        instances_max: 1,
        log_lines_max: 0,
        state_bytes_max: 0,
        grant: None,
        node: millrace_config::parse_nodes("x", "p", &millrace_config::MapEnvironment::default()).0.remove(0),
        script: None,
    };
    let first = rig.host.digest(&spec(&path)).unwrap();
    assert_eq!(rig.host.digest(&spec(&path)), Some(first.clone()));
    std::fs::copy(guest("masks"), &path).unwrap();
    let second = rig.host.digest(&spec(&path)).unwrap();
    assert_ne!(first, second);
    assert_eq!(rig.host.digest(&spec(&rig.data.path().join("none.wasm"))), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_the_host_panic(noise in proptest::collection::vec(any::<u8>(), 0..400), keep in 0.0..1.0_f64, at in 0.0..1.0_f64) {
        let rig = Rig::new();
        let file = rig.data.path().join("noise.wasm");
        let whole = std::fs::read(guest("keeps-all")).unwrap();
        let mut damaged = whole.clone();
        let start = (at * whole.len() as f64) as usize;
        for (place, byte) in damaged[start..].iter_mut().zip(&noise[..noise.len().min(3)]) {
            *place ^= byte;
        }
        damaged.truncate(whole.len() - (keep * keep * keep * keep * whole.len() as f64) as usize);
        let headed = [b"\0asm\x0d\0\x01\0", &noise[..]].concat();
        for content in [&noise, &headed, &damaged] {
            std::fs::write(&file, content).unwrap();
            // Either way it comes back; what it says is another test's business.
            let _ = rig.build(&setup_file(file.clone()));
        }
    }
}
