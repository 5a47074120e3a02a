//! Guests that ask for too much, answer too much, or break a rule of their role: each is contained and named.

use millrace_core::{Batch, ByteString, Delivery, SinkError};

use crate::support::{Rig, Setup, batch, bodies, numbered, setup, shown};

const NOWHERE: &str = "http \"http://127.0.0.1:1\"";

fn delivery(batch: &Batch, id: &'static str, attempt: u32) -> Batch {
    batch.clone().with_delivery(Delivery { id: ByteString::from_static(id), attempt })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_breaks_on_one_event_delivers_the_others() {
    let rig = Rig::new();
    let mut sink = rig.sink(&Setup { grant: Some(NOWHERE), ..setup("sink-traps") });
    let result = sink.deliver(&delivery(&numbered(100, &[(37, "poison")]), "one", 1)).await;
    let Err(SinkError::Partial { refusals, again, .. }) = result else { panic!("{result:?}") };
    assert!(again.is_empty());
    let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(refusal.row, 37);
    assert!(refusal.reason.contains("row 0 is poison"), "{}", refusal.reason);
    assert_eq!(rig.count("dead_letters_total", ""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_refuses_a_row_that_is_not_there_breaks_a_rule() {
    let rig = Rig::new();
    let mut sink = rig.sink(&Setup { options: "kind \"out-of-range\"", ..setup("sink-breaks") });
    let result = sink.deliver(&delivery(&numbered(8, &[(3, "poison")]), "one", 1)).await;
    let Err(SinkError::Partial { refusals, .. }) = result else { panic!("{result:?}") };
    let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(refusal.row, 3);
    assert!(refusal.reason.contains("answer: row 1 is refused, the batch has 1"), "{}", refusal.reason);
    assert_eq!(rig.count("faults_total", ""), rig.count("faults_total", "kind=\"answer\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_breaks_while_it_stops_is_counted() {
    let rig = Rig::new();
    let interceptor = rig.good(&Setup { options: "in \"stop\"", ..setup("traps-everywhere") });
    assert_eq!(shown(&interceptor.intercept(batch(&["a"])).await.unwrap()), ["a [alive=yes]"]);
    interceptor.close().await;
    let sink = rig.sink(&Setup { options: "kind \"stop\"", ..setup("sink-breaks") });
    sink.close().await.unwrap();
    assert_eq!(rig.count("faults_total", "kind=\"trap\""), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_delivery_wrote_to_the_state_is_gone_and_what_a_good_one_wrote_stays() {
    let rig = Rig::new();
    let mut sink = rig.sink(&Setup { options: "fails 1", ..setup("sink-states") });
    let events = batch(&["a", "b"]);
    let first = sink.deliver(&delivery(&events, "one", 1)).await;
    assert!(matches!(first, Err(SinkError::Retryable { .. })), "{first:?}");
    // Had the first attempt left anything, this one would find its id.
    sink.deliver(&delivery(&events, "one", 2)).await.unwrap();
    sink.settled(true);
    let again = sink.deliver(&delivery(&events, "one", 3)).await;
    let Err(SinkError::Rejected { reason }) = again else { panic!("{again:?}") };
    assert_eq!(reason, "delivered/one is there already, from attempt 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_were_not_granted_are_denied() {
    let rig = Rig::new();
    for url in ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:9/", "http://other.example/"] {
        let options: &'static str = Box::leak(format!("url {url:?}").into_boxed_str());
        let setup = Setup { options, grant: Some(NOWHERE), ..setup("http-denied") };
        let out = rig.good(&setup).intercept(batch(&["a"])).await.unwrap();
        assert_eq!(shown(&out), ["a [outcome=denied]"], "{url}");
    }
    assert_eq!(rig.count("refused_total", ""), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_far_too_large_is_a_fault_of_the_plugin() {
    let rig = Rig::new();
    for options in ["edits 2000000", "body-bytes 200000000"] {
        let setup = Setup { options, ..setup("huge-return") };
        let out = rig.good(&setup).intercept(batch(&["a"])).await.unwrap();
        assert_eq!((bodies(&out).len(), out.diverted().len()), (0, 1), "{options}");
    }
    assert_eq!(rig.count("dead_letters_total", ""), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_name_a_row_again_count_in_their_order() {
    let rig = Rig::new();
    let out = rig.good(&setup("duplicate-edits")).intercept(batch(&["one", "two"])).await.unwrap();
    assert_eq!(shown(&out), ["last [a=last b=last c=last]", "last [a=last b=last c=last]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_the_first_version_runs_beside_those_of_today() {
    let rig = Rig::new();
    let old = rig.good(&setup("v0-1-0"));
    let new = rig.good(&setup("keeps-all"));
    let out = old.intercept(new.intercept(batch(&["a", "", "b"])).await.unwrap()).await.unwrap();
    assert_eq!(shown(&out), ["a [interface=0.1.0]", "b [interface=0.1.0]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn components_of_two_versions_run_in_one_chain_and_each_gets_the_shapes_of_its_own() {
    crate::support::log_everywhere();
    let rig = Rig::new();
    let first = rig.good(&setup("v0-1-0"));
    let second = rig.good(&setup("v0-2-0"));
    let version = env!("CARGO_PKG_VERSION");
    for seen in [150, 300] {
        // Of the lines of a second, 100 are written.
        let out = second.intercept(first.intercept(numbered(150, &[])).await.unwrap()).await.unwrap();
        let headers = format!("[interface=0.2.0 agent={version} logged=100 seen={seen} later=true]");
        if seen == 150 {
            assert_eq!(shown(&out)[149], format!("149 {headers}"));
        }
        assert_eq!(out.len(), 150);
        assert!(shown(&out)[0].contains(&format!("seen={seen}")), "{}", shown(&out)[0]);
        out.states().iter().for_each(|writes| writes.committed(None));
    }
    // The other way round.
    let out = first.intercept(second.intercept(batch(&["a", ""])).await.unwrap()).await.unwrap();
    assert_eq!(bodies(&out), ["a"]);
    assert!(shown(&out)[0].contains("interface=0.1.0"), "{}", shown(&out)[0]);
}
