use millrace_plugin::testing::{self, Event, Host};

use super::*;

fn kept(plugin: &mut Dedup, bodies: &[&str]) -> Vec<String> {
    let outcome = testing::run(plugin, bodies.iter().map(|body| Event::new(*body)).collect()).unwrap();
    outcome.kept.into_iter().map(|event| String::from_utf8(event.body).unwrap()).collect()
}

#[test]
fn an_event_passes_once() {
    let _host = Host::new();
    let mut plugin = testing::configure::<Dedup>("{}").unwrap();
    assert_eq!(kept(&mut plugin, &["a", "b", "a", "", ""]), ["a", "b", ""]);
    assert_eq!(kept(&mut plugin, &["b", "c"]), ["c"]);
    // The second time it is the cache that knows.
    assert_eq!(kept(&mut plugin, &["b", "c"]), Vec::<String>::new());
}

#[test]
fn the_header_is_the_key_and_an_event_without_it_passes() {
    let _host = Host::new();
    let mut plugin = testing::configure::<Dedup>(r#"{"header": "id"}"#).unwrap();
    let event = |body: &str, id: &str| Event::new(body).with_header("id", id);
    let events = vec![
        event("a", "1"),
        event("b", "1"),
        event("c", ""),
        event("d", ""),
        Event::new("e"),
        Event::new("e"),
    ];
    let outcome = testing::run(&mut plugin, events.clone()).unwrap();
    assert_eq!(outcome.kept, [0, 2, 4, 5].map(|row: usize| events[row].clone()));
}

#[test]
fn a_new_instance_knows_what_the_old_one_saw() {
    let _host = Host::new();
    let mut before = testing::configure::<Dedup>("{}").unwrap();
    assert_eq!(kept(&mut before, &["a"]), ["a"]);
    let mut after = testing::configure::<Dedup>("{}").unwrap();
    assert_eq!(kept(&mut after, &["a"]), Vec::<String>::new());
}

#[test]
fn a_call_that_fails_remembers_nothing() {
    let host = Host::new();
    let mut plugin = testing::configure::<Dedup>("{}").unwrap();
    host.fail_state(Some(state::Error::Unavailable("the disk is full".into())));
    assert_eq!(testing::run(&mut plugin, vec![Event::new("a")]).unwrap_err(), Failure::Retry(None));
    host.fail_state(None);
    assert_eq!(host.state(), []);
    assert_eq!(kept(&mut plugin, &["a"]), ["a"]);
}

#[test]
fn a_commit_that_fails_does_not_make_duplicates_of_its_events() {
    // A new host has an empty state, as if the commit of the first batch had failed.
    let mut plugin = testing::configure::<Dedup>("{}").unwrap();
    let host = Host::new();
    assert_eq!(kept(&mut plugin, &["a"]), ["a"]);
    drop(host);
    let _host = Host::new();
    assert_eq!(kept(&mut plugin, &["a"]), ["a"]);
}

#[test]
fn the_time_of_a_key_ends() {
    let host = Host::new();
    let mut plugin = testing::configure::<Dedup>(r#"{"ttl-seconds": 60, "cache": 0}"#).unwrap();
    assert_eq!(kept(&mut plugin, &["a"]), ["a"]);
    host.advance(Duration::from_secs(59));
    assert_eq!(kept(&mut plugin, &["a"]), Vec::<String>::new());
    host.advance(Duration::from_secs(1));
    assert_eq!(kept(&mut plugin, &["a"]), ["a"]);
}

#[test]
fn the_cache_is_handed_over() {
    let host = Host::new();
    let mut old = testing::configure::<Dedup>("{}").unwrap();
    kept(&mut old, &["a", "b"]);
    kept(&mut old, &["a", "b"]);
    let mut new = testing::configure::<Dedup>(r#"{"cache": 1}"#).unwrap();
    testing::hand_over(&mut old, &mut new).unwrap();
    // It does not need the state any more for the one key it has room for.
    drop(host);
    let _host = Host::new();
    assert_eq!(kept(&mut new, &["b"]), Vec::<String>::new());
    assert_eq!(kept(&mut new, &["a"]), ["a"]);
    let other = Snapshot::new("other", 1, []);
    assert_eq!(new.restore(other).unwrap_err(), "expected `dedup-cache` version 1, got `other` version 1");
}

#[test]
fn every_mistake_is_reported() {
    let issues = testing::configure::<Dedup>(r#"{"header": "", "ttl-seconds": 0}"#).err().unwrap();
    let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
    assert_eq!(paths, ["/header", "/ttl-seconds"]);
}
