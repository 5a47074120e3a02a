//! One version of an interceptor follows another: what is handed over, compared, and rolled back.

use std::{sync::Arc, time::Duration};

use millrace_core::{Batch, Interceptor, SwapState, SwapStatus};
use millrace_testkit::eventually;

use crate::{
    states::{commit, counted},
    support::{Rig, Setup, batch, bodies, numbered, setup, shown},
};

type Version = Arc<dyn Interceptor>;

/// Lets one version follow another; what there is to tell about it.
async fn follow(before: &Version, after: &Version) -> Vec<String> {
    let ready = after.take_over(&**before).await.unwrap_or_else(|error| panic!("refused: {error}"));
    ready.unwrap().complete()
}

async fn refusal(before: &Version, after: &Version) -> String {
    match after.take_over(&**before).await {
        Ok(_) => panic!("not refused"),
        Err(error) => error.to_string(),
    }
}

fn status(version: &Version) -> SwapStatus {
    version.swap_status().unwrap()
}

async fn pass(version: &Version, batch: Batch) -> Batch {
    let batch = version.intercept(batch).await.unwrap();
    commit(&batch);
    batch
}

fn version(rig: &Rig, guest: &str, options: &'static str) -> Version {
    rig.good(&Setup { options, ..setup(guest) })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_in_memory_goes_from_generation_to_generation() {
    let rig = Rig::new();
    let mut current = version(&rig, "counting-handover", r#"label "a""#);
    let mut seen = 0;
    for label in [r#"label "b""#, r#"label "c""#, r#"label "d""#] {
        assert_eq!(counted(&pass(&current, numbered(3, &[])).await), [seen + 1, seen + 2, seen + 3]);
        let next = version(&rig, "counting-handover", label);
        follow(&current, &next).await;
        // Who still has the old version in hand gets to the new one.
        let late = pass(&current, numbered(1, &[])).await;
        assert_eq!(counted(&late), [seen + 4]);
        assert!(
            shown(&late)[0].contains(&label.replace("label ", "label=").replace('"', "")),
            "{:?}",
            shown(&late)
        );
        seen += 4;
        current.close().await;
        current = next;
    }
    assert_eq!(counted(&pass(&current, numbered(1, &[])).await), [13]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_take_over_is_refused_and_the_old_one_counts_on() {
    let rig = Rig::new();
    let old = version(&rig, "counting-handover", "");
    pass(&old, numbered(5, &[])).await;
    for (guest, options, reason) in [
        ("restore-refuses", "", "`count` version 1 is not known here"),
        ("traps-everywhere", r#"in "restore""#, "asked to panic in Restore"),
        ("traps-everywhere", "swap \"canary\"", "canary"),
    ] {
        let new = version(&rig, guest, options);
        let refused = refusal(&old, &new).await;
        assert!(refused.contains(reason), "{refused}");
        new.close().await;
    }
    // Prepared and then given up, because something else in the reload failed.
    let new = version(&rig, "counting-handover", "");
    drop(new.take_over(&*old).await.unwrap());
    assert_eq!(counted(&pass(&old, numbered(2, &[])).await), [6, 7]);
    assert!(old.swap_status().is_none());
    // One that cannot save keeps its place, too.
    let stuck = version(&rig, "traps-everywhere", r#"in "save""#);
    pass(&stuck, numbered(1, &[])).await;
    let refused = refusal(&stuck, &version(&rig, "counting-handover", "")).await;
    assert!(refused.contains("asked to panic in Save"), "{refused}");
    assert_eq!(pass(&stuck, numbered(1, &[])).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_breaks_in_its_first_call_gives_way_and_no_event_is_lost() {
    let rig = Rig::new();
    let old = version(&rig, "counting-handover", "");
    pass(&old, numbered(5, &[])).await;
    let new = version(&rig, "traps-everywhere", r#"in "intercept""#);
    follow(&old, &new).await;
    assert_eq!(status(&new).state, SwapState::Trial);
    assert_eq!(counted(&pass(&new, numbered(2, &[])).await), [6, 7]);
    let after = status(&new);
    assert_eq!((after.state, after.faults), (SwapState::RolledBack, 1));
    assert!(after.reason.unwrap().contains("asked to panic in Intercept"));
    assert_eq!(counted(&pass(&old, numbered(1, &[])).await), [8]);
    // The next one follows the one that is in force.
    let next = version(&rig, "counting-handover", "");
    follow(&new, &next).await;
    assert_eq!(counted(&pass(&next, numbered(1, &[])).await), [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_in_front_of_a_state_is_rolled_back_after_three_faults_and_the_count_is_exact() {
    let rig = Rig::new();
    let old = version(&rig, "counting-state", "");
    let mut numbers = counted(&pass(&old, numbered(4, &[])).await);
    let new = version(&rig, "traps-everywhere", r#"in "intercept""#);
    follow(&old, &new).await;
    for round in 1..=3 {
        assert_eq!(status(&new).state, SwapState::Trial, "round {round}");
        numbers.extend(counted(&pass(&new, numbered(4, &[])).await));
        assert_eq!(status(&new).faults, round);
    }
    assert_eq!(status(&new).state, SwapState::RolledBack);
    assert_eq!(status(&new).reason.unwrap().split(',').next().unwrap(), "3 faults within 60s");
    assert_eq!(rig.count("swaps_rolled_back_total", ""), 1);
    numbers.extend(counted(&pass(&new, numbered(4, &[])).await));
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(rig.count("dead_letters_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_breaks_both_versions_is_not_held_against_the_new_one() {
    let rig = Rig::new();
    let old = version(&rig, "traps-on-poison", "");
    let new = version(&rig, "traps-on-poison", "roll-back faults=1");
    follow(&old, &new).await;
    let passed = pass(&new, numbered(50, &[(20, "poison")])).await;
    assert_eq!((passed.len(), passed.diverted().len()), (49, 1));
    assert_eq!((status(&new).faults, status(&new).state), (0, SwapState::Trial));
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_finds_exactly_the_events_that_differ_and_changes_nothing() {
    let rig = Rig::new();
    let old = version(&rig, "searches", r#"needle "drop-me""#);
    let new = version(&rig, "searches", "needle \"drop-m\"\nswap \"shadow\" batches=10");
    // Three of these 1,000 events contain the shorter needle only.
    let events = |round: usize| {
        let different = [(round * 7, "drop-my a"), (round * 7 + 31, "drop-my b"), (99, "drop-my c")];
        let mut rows: Vec<_> = if round == 3 { different.to_vec() } else { Vec::new() };
        rows.push((50, "drop-me"));
        numbered(100, &rows)
    };
    assert!(follow(&old, &new).await.iter().any(|note| note.contains("on trial (shadow)")));
    for round in 0..10 {
        assert_eq!(status(&new).state, SwapState::Trial);
        let expected: Vec<_> = bodies(&events(round)).into_iter().filter(|body| body != "drop-me").collect();
        assert_eq!(bodies(&pass(&new, events(round)).await), expected);
    }
    let after = status(&new);
    assert_eq!((after.events_compared, after.events_differing, after.faults), (1000, 3, 0));
    let found: Vec<_> = after.differences.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(found, [r#""drop-my a""#, r#""drop-my b""#, r#""drop-my c""#]);
    assert!(
        after.differences[0].contains("the old version passes on")
            && after.differences[0].contains("drops it")
    );
    assert_eq!((rig.count("events_compared_total", ""), rig.count("events_differing_total", "")), (1000, 3));
    // The trial is over: the new version is in force.
    assert_eq!((after.state, after.batches), (SwapState::Promoted, 10));
    assert_eq!(bodies(&pass(&new, batch(&["a", "drop-my d"])).await), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_of_a_counter_compares_the_same_numbers_and_hands_over_in_the_end() {
    let rig = Rig::new();
    for guest in ["counting-handover", "counting-state"] {
        let old = version(&rig, guest, "");
        let mut numbers = counted(&pass(&old, numbered(3, &[])).await);
        let new = version(&rig, guest, "swap \"shadow\" batches=5");
        follow(&old, &new).await;
        for _ in 0..8 {
            numbers.extend(counted(&pass(&new, numbered(3, &[])).await));
        }
        let after = status(&new);
        assert_eq!(
            (after.state, after.events_compared, after.events_differing),
            (SwapState::Promoted, 15, 0),
            "{guest}"
        );
        assert_eq!(numbers, (1..=27).collect::<Vec<_>>(), "{guest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_gives_up_a_version_that_breaks_and_the_output_is_that_of_the_old_one() {
    let rig = Rig::new();
    let old = version(&rig, "keeps-all", "");
    let new = version(&rig, "traps-on-poison", "swap \"shadow\"\nroll-back faults=2");
    follow(&old, &new).await;
    for round in 0..5 {
        let passed = pass(&new, numbered(10, &[(round, "poison")])).await;
        assert_eq!((passed.len(), passed.diverted().len()), (10, 0));
    }
    let after = status(&new);
    assert_eq!(
        (after.state, after.faults, after.batches, after.events_differing),
        (SwapState::RolledBack, 2, 2, 20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_gets_its_share_in_order_and_is_promoted() {
    let rig = Rig::new();
    let old = version(&rig, "keeps-all", "");
    let new = version(&rig, "sets-header", "swap \"canary\" percent=30 batches=5");
    follow(&old, &new).await;
    let mut by_new = 0;
    for _ in 0..5 {
        let passed = pass(&new, numbered(1000, &[])).await;
        assert_eq!(bodies(&passed), bodies(&numbered(1000, &[])));
        let here = passed.iter().filter(|event| event.header("seen").is_some()).count();
        assert!(by_new == 0 || by_new % here == 0, "other events than before");
        by_new += here;
    }
    assert!((1250..=1750).contains(&by_new), "{by_new} of 5000 at 30 percent");
    let after = status(&new);
    assert_eq!((after.state, after.events), (SwapState::Promoted, by_new as u64));
    assert!(pass(&new, numbered(10, &[])).await.iter().all(|event| event.header("seen").is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_breaks_is_taken_back_and_its_events_go_through_the_old_version() {
    let rig = Rig::new();
    let old = version(&rig, "keeps-all", "");
    let new = version(&rig, "traps-everywhere", "in \"intercept\"\nswap \"canary\" percent=50");
    follow(&old, &new).await;
    for _ in 0..4 {
        assert_eq!(bodies(&pass(&new, numbered(100, &[])).await), bodies(&numbered(100, &[])));
    }
    assert_eq!((status(&new).state, status(&new).faults), (SwapState::RolledBack, 3));
    assert_eq!(rig.count("dead_letters_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_batches_are_replayed_before_the_switch_and_leave_no_trace() {
    let rig = Rig::new();
    let old = version(&rig, "searches", r#"needle "drop-me""#);
    for round in 0..4 {
        pass(&old, numbered(10, &[(round, "drop-my hat")])).await;
    }
    let new = version(&rig, "searches", r#"needle "drop-m""#);
    let notes = follow(&old, &new).await;
    assert!(notes[0].contains("differs on 4 of 40 replayed events"), "{notes:?}");
    assert!(notes[1].contains("drop-my hat"), "{notes:?}");
    assert_eq!((status(&new).events_replayed, status(&new).events_replayed_differing), (40, 4));
    // A counter counts nothing twice by it.
    let old = version(&rig, "counting-state", "");
    pass(&old, numbered(5, &[])).await;
    let new = version(&rig, "counting-state", "");
    follow(&old, &new).await;
    assert_eq!((status(&new).events_replayed, status(&new).events_replayed_differing), (5, 0));
    assert_eq!(counted(&pass(&new, numbered(1, &[])).await), [6]);
    // Switched off, it keeps nothing.
    let old = version(&rig, "keeps-all", "replay batches=0");
    pass(&old, numbered(5, &[])).await;
    let new = version(&rig, "keeps-all", "");
    follow(&old, &new).await;
    assert_eq!(status(&new).events_replayed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_ends_in_time_even_if_no_batch_comes() {
    let rig = Rig::new();
    let old = version(&rig, "keeps-all", "");
    pass(&old, numbered(1, &[])).await;
    let new = version(&rig, "keeps-all", "swap \"shadow\" for=\"50ms\"");
    follow(&old, &new).await;
    eventually("the trial ends", || status(&new).state == SwapState::Promoted).await;
    assert_eq!(status(&new).batches, 0);
    eventually("the old instance is gone", || rig.count("instances", "") == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_follows_during_a_trial_follows_the_one_whose_results_count() {
    let rig = Rig::new();
    let old = version(&rig, "counting-handover", "");
    pass(&old, numbered(2, &[])).await;
    let shadow = version(&rig, "counting-handover", "swap \"shadow\"");
    follow(&old, &shadow).await;
    pass(&shadow, numbered(2, &[])).await;
    let next = version(&rig, "counting-handover", r#"label "next""#);
    follow(&shadow, &next).await;
    assert_eq!(counted(&pass(&next, numbered(1, &[])).await), [5]);
    old.close().await;
    shadow.close().await;
    next.close().await;
    eventually("all instances are gone", || rig.count("instances", "") == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_swapped_a_hundred_times_under_load_is_exact() {
    let rig = Rig::new();
    for guest in ["counting-handover", "counting-state"] {
        let first = version(&rig, guest, "");
        let current = Arc::new(parking_lot::Mutex::new(Arc::clone(&first)));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let load = tokio::spawn({
            let (current, stop) = (Arc::clone(&current), Arc::clone(&stop));
            async move {
                let mut numbers = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let version = Arc::clone(&current.lock());
                    numbers.extend(counted(&pass(&version, numbered(20, &[])).await));
                    tokio::task::yield_now().await;
                }
                numbers
            }
        });
        let (mut refused, mut rolled_back) = (0, 0);
        for round in 0..100 {
            let before = Arc::clone(&current.lock());
            match round % 20 {
                7 if guest == "counting-handover" => {
                    refusal(&before, &version(&rig, "restore-refuses", "")).await;
                    refused += 1;
                    continue;
                }
                7 | 17 => {
                    let bad = version(&rig, "traps-everywhere", r#"in "intercept""#);
                    follow(&before, &bad).await;
                    *current.lock() = Arc::clone(&bad);
                    eventually("it is rolled back", || status(&bad).state == SwapState::RolledBack).await;
                    rolled_back += 1;
                    continue;
                }
                _ => {}
            }
            let next = version(&rig, guest, "");
            follow(&before, &next).await;
            *current.lock() = next;
            before.close().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let numbers = load.await.unwrap();
        assert!(numbers.len() > 2_000, "{guest}: {} events", numbers.len());
        assert!(numbers == (1..=numbers.len() as u64).collect::<Vec<_>>(), "{guest}: the count is not exact");
        assert_eq!(refused + rolled_back, 10);
    }
}

#[test]
fn ways_to_swap_that_make_no_sense_are_named() {
    let rig = Rig::new();
    let bad = |options| rig.bad(&Setup { options, ..setup("keeps-all") });
    let found = bad(r#"swap "blue-green""#);
    assert_eq!(found[0].0, "config::invalid-value");
    assert!(found[0].1.contains("blue-green"), "{found:?}");
    assert_eq!(bad("swap \"shadow\"\nswap \"canary\"")[0].0, "config::repeated-option");
}
