//! Guests that break: which events pass, which become dead letters, and what the agent notices.

use std::time::Duration;

use millrace_core::Interceptor;

use crate::support::{Rig, Setup, batch, bodies, detail, numbered, rejection, setup};

/// One bad event in a batch: it alone becomes a dead letter, with everything that is known.
async fn one_bad_event(
    rig: &Rig,
    setup: &Setup,
    count: usize,
    row: usize,
    kind: &str,
    reason: &str,
) -> String {
    let interceptor = rig.good(setup);
    let output = interceptor.intercept(numbered(count, &[(row, "poison")])).await.unwrap();
    let expected: Vec<String> = (0..count).filter(|at| *at != row).map(|at| at.to_string()).collect();
    assert_eq!(bodies(&output), expected);
    let [dead] = output.diverted() else { panic!("{:?}", output.diverted()) };
    assert_eq!(dead.event.body, "poison");
    let rejection = rejection(dead);
    assert_eq!((&*rejection.component, detail(rejection, "plugin")), ("guest", "guest"));
    assert_eq!((detail(rejection, "fault"), detail(rejection, "generation")), (kind, "7"));
    let digest = detail(rejection, "digest");
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert!(rejection.reason.contains(reason), "{}", rejection.reason);
    assert_eq!(rig.count("dead_letters_total", ""), 1);
    let extra = rig.count("calls_total", "") - 1;
    let allowed = (2.0 * (count as f64).log2() + 2.0) as u64;
    assert!(extra <= allowed, "{extra} further calls, {allowed} allowed");
    assert_eq!(rig.count("faults_total", ""), rig.count("faults_total", &format!("kind=\"{kind}\"")));
    // The next batch runs on a fresh instance as if nothing had been.
    assert_eq!(bodies(&interceptor.intercept(batch(&["next"])).await.unwrap()), ["next"]);
    detail(rejection, "backtrace").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trap_in_a_thousand_events_costs_one_event() {
    let rig = Rig::new();
    let backtrace = one_bad_event(&rig, &setup("traps-on-poison"), 1000, 617, "trap", "is poison").await;
    assert!(backtrace.lines().count() > 1, "{backtrace}");
    assert!(backtrace.contains("intercept"), "{backtrace}");
}

#[tokio::test]
async fn one_trap_in_ten_thousand_events_costs_one_event() {
    let rig = Rig::new();
    one_bad_event(&rig, &setup("traps-on-poison"), 10_000, 9_999, "trap", "is poison").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_is_stopped_and_others_keep_running() {
    let rig = Rig::new();
    let other = rig.good(&setup("keeps-all"));
    let mine = Setup { call_time_max: Duration::from_millis(40), ..setup("loops-forever") };
    let looping = Rig::new();
    let work = one_bad_event(&looping, &mine, 64, 20, "deadline", "took longer than 40ms");
    tokio::pin!(work);
    let busy = tokio::spawn(async move {
        let mut batches = 0_u64;
        loop {
            other.intercept(numbered(10, &[])).await.unwrap();
            batches += 1;
            if batches.is_multiple_of(16) {
                tokio::task::yield_now().await;
            }
            if batches > 1_000_000 {
                return;
            }
        }
    });
    work.await;
    let during = rig.count("calls_total", "");
    busy.abort();
    // Not a figure of speed: without a thread of its own the loop would have let nothing through.
    assert!(
        during > 100,
        "{during} batches of another plugin during {} deadlines",
        looping.count("faults_total", "")
    );
}

#[tokio::test]
async fn endless_allocation_meets_the_memory_limit() {
    let rig = Rig::new();
    let reason = "more than the 16777216 bytes of memory allowed";
    one_bad_event(&rig, &setup("allocates-forever"), 32, 31, "memory", reason).await;
}

#[tokio::test]
async fn endless_recursion_meets_the_end_of_the_stack() {
    let rig = Rig::new();
    one_bad_event(&rig, &setup("recurses-forever"), 32, 0, "stack", "stack is used up").await;
}

#[tokio::test]
async fn a_row_out_of_range_ends_the_call() {
    let rig = Rig::new();
    let output = rig.good(&setup("reads-out-of-range")).intercept(batch(&["a"])).await.unwrap();
    let rejection = rejection(&output.diverted()[0]);
    assert_eq!(detail(rejection, "fault"), "trap");
    assert_eq!(rejection.reason, "trap: row 1 is out of range, the batch has 1");
}

#[tokio::test]
async fn answers_that_break_a_rule_change_nothing() {
    for (kind, reason) in [
        ("kind \"out-of-range\"", "row 2 is out of range, the batch has 2"),
        ("kind \"descending\"", "row 0 comes after row 1"),
        ("kind \"duplicate\"", "row 0 comes after row 0"),
        ("kind \"gone\"", "row 0 was dropped, split or rejected by an earlier edit"),
        ("kind \"split\"", "2 bodies for 3 rows"),
        ("kind \"values\"", "3 values for 1 rows"),
        ("kind \"ends\"", "the ends of bodies do not ascend to the 2 bytes there are"),
    ] {
        let rig = Rig::new();
        let held = Setup { options: leak(format!("on-fault \"hold\"; {kind}")), ..setup("bad-rows") };
        let error = rig.good(&held).intercept(batch(&["a", "b"])).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(bodies(&error.batch), ["a", "b"]);
        assert_eq!(error.interceptor, "guest");
        assert_eq!(rig.count("faults_total", "kind=\"edits\""), 2);
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn a_few_events_that_all_break_it_become_dead_letters_one_by_one() {
    let rig = Rig::new();
    let output = rig.good(&setup("bad-utf8")).intercept(batch(&["a", "b", "c"])).await.unwrap();
    assert!(output.is_empty());
    let dead: Vec<_> = output.diverted().iter().map(|dead| dead.event.body.clone()).collect();
    assert_eq!(dead, ["a", "b", "c"]);
    assert!(rejection(&output.diverted()[0]).reason.contains("header \"k\" is not UTF-8"));
}

#[tokio::test]
async fn a_plugin_that_breaks_on_everything_holds_the_batch_instead_of_emptying_it() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("bad-utf8"));
    let error = interceptor.intercept(numbered(1000, &[])).await.unwrap_err();
    assert!(error.to_string().contains("breaks on every event"), "{error}");
    assert_eq!(bodies(&error.batch), bodies(&numbered(1000, &[])));
    assert!(error.batch.diverted().is_empty());
    assert!(rig.count("calls_total", "") < 40);
    assert_eq!(rig.count("dead_letters_total", ""), 0);

    let always = Setup { options: "on-fault \"dead-letter-always\"", ..setup("bad-utf8") };
    let output = rig.good(&always).intercept(numbered(100, &[])).await.unwrap();
    assert_eq!((output.len(), output.diverted().len()), (0, 100));
}

#[tokio::test]
async fn single_events_that_break_it_again_and_again_are_held_in_the_end() {
    let rig = Rig::new();
    let interceptor = rig.good(&setup("bad-utf8"));
    for _ in 0..64 {
        assert_eq!(interceptor.intercept(batch(&["a"])).await.unwrap().diverted().len(), 1);
    }
    let error = interceptor.intercept(batch(&["a"])).await.unwrap_err();
    assert_eq!(bodies(&error.batch), ["a"]);
}

#[tokio::test]
async fn retry_hands_the_batch_back_and_keeps_the_instance() {
    let rig = Rig::new();
    let retry = Setup { options: "kind \"retry\"; pause-ms 250; times 1", ..setup("fails") };
    let interceptor = rig.good(&retry);
    let error = interceptor.intercept(batch(&["a", "fail"])).await.unwrap_err();
    assert_eq!(error.after, Some(Duration::from_millis(250)));
    assert_eq!(error.batch.formed_at(), Some(1_000_000_000));
    let output = interceptor.intercept(*error.batch).await.unwrap();
    assert_eq!(bodies(&output), ["a", "fail"]);
    assert_eq!(rig.count("instances_started_total", ""), 1);
    assert_eq!(rig.count("faults_total", ""), 0);
}

#[tokio::test]
async fn reject_sends_the_whole_batch_to_the_dead_letters() {
    let rig = Rig::new();
    let interceptor = rig.good(&Setup { options: "kind \"reject\"", ..setup("fails") });
    let output = interceptor.intercept(batch(&["a", "fail"])).await.unwrap();
    assert!(output.is_empty());
    let reasons: Vec<_> = output.diverted().iter().map(|dead| rejection(dead).reason.clone()).collect();
    assert_eq!(reasons, ["asked to", "asked to"]);
}

#[tokio::test]
async fn fatal_gets_one_fresh_instance_and_then_holds_the_batch() {
    let rig = Rig::new();
    let interceptor = rig.good(&Setup { options: "kind \"fatal\"; times 1", ..setup("fails") });
    let error = interceptor.intercept(batch(&["fail"])).await.unwrap_err();
    assert!(error.to_string().contains("gave up twice: asked to"), "{error}");
    assert_eq!(rig.count("instances_started_total", ""), 2);
    assert_eq!(bodies(&interceptor.intercept(batch(&["fine"])).await.unwrap()), ["fine"]);
}

#[tokio::test]
async fn an_answer_out_of_all_proportion_is_a_fault() {
    let rig = Rig::new();
    let fine = rig.good(&Setup { options: "copies 3", ..setup("amplifies") });
    assert_eq!(bodies(&fine.intercept(batch(&["a", "b"])).await.unwrap()), ["a", "a", "a", "b", "b", "b"]);
    let much = Setup { options: "copies 200000", memory_bytes_max: 256 << 20, ..setup("amplifies") };
    let output = rig.good(&much).intercept(batch(&["a"])).await.unwrap();
    let rejection = rejection(&output.diverted()[0]);
    assert_eq!(rejection.reason, "edits: edit 0: more than 100000 events out of splits");
}

#[tokio::test]
async fn a_channel_that_is_not_granted_is_a_fault_that_names_the_grant() {
    let rig = Rig::new();
    let routes = Setup { options: "channel \"audit\"", grant: Some("channel \"other\""), ..setup("routes") };
    let output = rig.good(&routes).intercept(batch(&["a", "!b"])).await.unwrap();
    assert_eq!(bodies(&output), ["a"]);
    let reason = &rejection(&output.diverted()[0]).reason;
    assert!(reason.contains("grant { channel \"audit\" }"), "{reason}");
}

#[tokio::test]
async fn the_interceptor_can_be_shared() {
    fn shared<T: Send + Sync + ?Sized>(_: &T) {}
    let interceptor = Rig::new().good(&setup("keeps-all"));
    shared::<dyn Interceptor>(&*interceptor);
}
