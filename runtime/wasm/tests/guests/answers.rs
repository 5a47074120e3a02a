//! Well-behaved guests: what they read and what becomes of their edits.

use millrace_core::{Batch, ByteString, Destination, Event};

use crate::support::{Rig, batch, bodies, numbered, rejection, setup, shown};

fn leveled(events: &[(&'static str, Option<&'static str>)]) -> Batch {
    let event = |(body, level): &(&'static str, Option<&'static str>)| {
        let headers = level.map(|level| (ByteString::from_static("level"), ByteString::from_static(level)));
        Event::with_headers(headers.into_iter().collect(), *body)
    };
    Batch::new(events.iter().map(event).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_only_read_keep_every_event() {
    let rig = Rig::new();
    for (name, options) in [
        ("keeps-all", ""),
        ("reads-bodies", ""),
        ("reads-everything", ""),
        ("reads-rows", "what \"body\""),
        ("reads-rows", "what \"body-part\""),
        ("reads-rows", "what \"event\""),
        ("reads-rows", "what \"bodies-of\""),
        ("reads-rows", "what \"header-names\""),
    ] {
        let interceptor = rig.good(&crate::support::Setup { options, ..setup(name) });
        for count in [1, 2, 1000] {
            let input = numbered(count, &[]);
            let before = shown(&input);
            assert_eq!(shown(&interceptor.intercept(input).await.unwrap()), before, "{name}");
        }
    }
}

#[tokio::test]
async fn an_empty_batch_does_not_reach_the_guest() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("keeps-all"));
    assert!(interceptor.intercept(Batch::default()).await.unwrap().is_empty());
    assert_eq!(rig.count("calls_total", ""), 0);
}

#[tokio::test]
async fn a_search_drops_exactly_what_it_finds() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("searches"));
    let input = batch(&["needle-here", "a", "needle-her", "e", "xneedle-herex", ""]);
    assert_eq!(bodies(&interceptor.intercept(input).await.unwrap()), ["a", "needle-her", "e", ""]);
}

#[tokio::test]
async fn options_reach_the_guest() {
    let rig = Rig::new();
    let interceptor = rig.good(&crate::support::Setup { options: "needle \"b\"", ..setup("searches") });
    assert_eq!(bodies(&interceptor.intercept(batch(&["a", "b", "abc"])).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_header_column_tells_absent_from_empty() {
    let rig = Rig::new();
    for name in ["filters-header", "filters-header-by-row"] {
        let interceptor = rig.good(&setup(name));
        let input = leveled(&[("a", Some("debug")), ("b", None), ("c", Some("")), ("d", Some("debug"))]);
        let output = interceptor.intercept(input).await.unwrap();
        assert_eq!(shown(&output), ["b []", "c [level=]"], "{name}");
    }
}

#[tokio::test]
async fn headers_are_set_and_removed() {
    let rig = Rig::new();
    let set = rig.good(&setup("sets-header"));
    let input = leveled(&[("a", Some("info")), ("b", None)]);
    assert_eq!(shown(&set.intercept(input).await.unwrap()), ["a [level=info seen=yes]", "b [seen=yes]"]);
    let by_rows = rig.good(&setup("sets-header-rows"));
    assert_eq!(shown(&by_rows.intercept(batch(&["a", "b"])).await.unwrap()), ["a [row=0]", "b [row=1]"]);
    for options in ["", "rows #true"] {
        let remove = rig.good(&crate::support::Setup { options, ..setup("removes-header") });
        let input = leveled(&[("a", Some("info")), ("b", None)]);
        assert_eq!(shown(&remove.intercept(input).await.unwrap()), ["a []", "b []"]);
    }
}

#[tokio::test]
async fn masked_bodies_come_back_in_order() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("masks"));
    let output = interceptor.intercept(batch(&["a1b22", "", "x", "9"])).await.unwrap();
    assert_eq!(bodies(&output), ["a#b##", "", "x", "#"]);
}

#[tokio::test]
async fn a_split_keeps_headers_and_the_order_of_the_rest() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("splits"));
    let input = leveled(&[("one", None), ("a\nb", Some("info")), ("two", None)]);
    let expected = ["one []", "a [level=info line=1]", "b [level=info line=2]", "two []"];
    assert_eq!(shown(&interceptor.intercept(input).await.unwrap()), expected);
}

#[tokio::test]
async fn routed_and_rejected_events_leave_the_batch() {
    let rig = Rig::new();
    let options = "channel \"audit\"";
    let routes = crate::support::Setup { options, grant: Some("channel \"audit\""), ..setup("routes") };
    let output = rig.good(&routes).intercept(batch(&["a", "!b", "c"])).await.unwrap();
    assert_eq!(bodies(&output), ["a", "c"]);
    let [routed] = output.diverted() else { panic!("{:?}", output.diverted()) };
    assert!(matches!(&routed.destination, Destination::Channel(name) if name == "audit"));
    assert_eq!(routed.event.body, "!b");

    let output = rig.good(&setup("rejects")).intercept(batch(&["a", "!b"])).await.unwrap();
    assert_eq!(bodies(&output), ["a"]);
    let rejection = rejection(&output.diverted()[0]);
    assert_eq!((&*rejection.component, &*rejection.reason), ("guest", "marked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_share_the_lanes_and_every_event_passes_once() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("counts"));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let interceptor = interceptor.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let body = task.to_string();
                    let output = interceptor.intercept(batch(&[&body, &body])).await.unwrap();
                    assert_eq!(bodies(&output), [body.as_str(), body.as_str()]);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rig.count("calls_total", ""), 400);
    assert_eq!(rig.count("events_in_total", ""), 800);
    assert_eq!(rig.count("counter_total", "name=\"events\""), 800);
    assert!(rig.count("instances", "") <= 2);
    interceptor.close().await;
    assert_eq!(rig.count("instances", ""), 0);
    let error = interceptor.intercept(batch(&["late"])).await.unwrap_err();
    assert_eq!(bodies(&error.batch), ["late"]);
}

#[tokio::test]
async fn an_instance_whose_memory_is_nearly_full_is_replaced() {
    let rig = Rig::new();
    // More than three quarters of this are in use once the guest has started.
    let small = crate::support::Setup { memory_bytes_max: 1_400_000, ..setup("counts") };
    let interceptor = rig.good(&small);
    for _ in 0..3 {
        let output = interceptor.intercept(batch(&["a"])).await.unwrap();
        assert_eq!(shown(&output), ["a [number=1]"]);
    }
    assert_eq!(rig.count("instances_started_total", ""), 3);
}
