use std::{path::Path, sync::Arc};

use millrace_core::{Batch, Event};
use millrace_testkit::{TestClock, build_context, section};

use super::FACTORY;
use crate::interceptors::testing::{build, event, headers, run};

#[tokio::test]
async fn groups_become_headers_in_order_and_the_body_stays() {
    let kdl = "regex-extractor regex=#\"(\\d):(\\d):(\\d)\"# {\n serializer \"s1\" name=\"one\"\n serializer \"two\"\n serializer name=\"three\"\n}";
    let out = run(&FACTORY, kdl, vec![event("1:2:3.4foobar5", &[("two", "old"), ("z", "z")])]).await;
    assert_eq!(headers(&out), [[("two", "2"), ("z", "z"), ("one", "1"), ("three", "3")]]);
    assert_eq!(out[0].body, "1:2:3.4foobar5");
}

#[tokio::test]
async fn further_groups_and_further_serializers_are_left_alone() {
    let kdl = "regex-extractor regex=\"(a)(b)\" { serializer \"x\"; }";
    assert_eq!(headers(&run(&FACTORY, kdl, vec![event("ab", &[])]).await), [[("x", "a")]]);
    let kdl = "regex-extractor regex=\"(a)\" { serializer \"x\"; serializer \"y\"; }";
    assert_eq!(headers(&run(&FACTORY, kdl, vec![event("ab", &[])]).await), [[("x", "a")]]);
}

#[tokio::test]
async fn no_match_changes_nothing_and_an_absent_group_sets_nothing() {
    let kdl = "regex-extractor regex=\"(a)?(b)\" { serializer \"x\"; serializer \"y\"; }";
    let out = run(&FACTORY, kdl, vec![event("c", &[("x", "old")]), event("b", &[("x", "old")])]).await;
    assert_eq!(headers(&out), [vec![("x", "old")], vec![("x", "old"), ("y", "b")]]);
}

#[tokio::test]
async fn a_group_is_a_slice_of_a_body_that_need_not_be_text() {
    let kdl = "regex-extractor regex=\"(k).?=(.*)$\" { serializer \"k\"; serializer \"v\"; }";
    let events = vec![Event::new(&b"\xff\xfek=\xc3\xa4"[..]), Event::new(&b"k\xff=v"[..])];
    let out = run(&FACTORY, kdl, events).await;
    assert_eq!(headers(&out), [vec![("k", "k"), ("v", "ä")], vec![]]);
    assert!(out[0].body.as_ptr_range().contains(&out[0].header("v").unwrap().as_ptr()));
}

#[tokio::test]
async fn a_text_that_is_no_date_is_counted_and_the_event_goes_on() {
    let kdl = "regex-extractor regex=#\"^(\\S+) (\\S+)\"# {\n serializer \"when\" type=\"millis\" pattern=\"yyyy-MM-dd\" time-zone=\"UTC\"\n serializer \"who\"\n}";
    let cx = build_context(Path::new("unused"), Arc::new(TestClock::at(0)));
    let interceptor = (FACTORY.build)(&section(FACTORY.options, kdl), &cx).unwrap();
    let events = vec![event("1970-01-02 joe", &[]), event("1970-02-31 ann", &[]), event("never tim", &[])];
    let out = interceptor.intercept(Batch::new(events)).await.unwrap().into_events();
    assert_eq!(
        headers(&out),
        [vec![("when", "86400000"), ("who", "joe")], vec![("who", "ann")], vec![("who", "tim")]]
    );
    assert_eq!(cx.metrics.interceptor(&cx.component).values_unreadable.get(), 2);
}

#[test]
fn mistakes_are_all_reported_at_once() {
    let kdl = "regex-extractor regex=\"a\" { serializer type=\"millis\" pattern=\"yyyy\"; serializer \"b\" type=\"millis\"; serializer \"c\" type=\"millis\" pattern=\"qq\"; serializer \"d\" type=\"millis\" pattern=\"yyyy\" time-zone=\"x\"; }";
    let found = build(&FACTORY, kdl).err().unwrap();
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "config::missing-name",
            "config::missing-option",
            "components::bad-date-pattern",
            "components::bad-date-pattern",
            "components::no-group",
        ]
    );
}
