//! Random batches, failures and crashes against the simplest model: what was delivered is in the files, once,
//! in order, and nothing else is.

use std::{collections::BTreeMap, time::Duration};

use millrace_core::Event;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{rig::Rig, roll::unpack};
use crate::serializers::parquet_bodies;

const OPERATIONS: [&str; 6] = ["write", "sync", "truncate", "rename", "remove", "create"];

const FORMS: [&str; 7] = [
    "roll count=7",
    "roll size=120; sync \"roll\"",
    "roll interval=\"5s\" size=200; sync \"none\"; max-open-files 2",
    "compression \"gzip\"; extension \"packed\"; roll count=9; max-open-files 3",
    "compression \"zstd\"; roll interval=\"3s\" idle=\"2s\"",
    "serializer \"parquet\"; extension \"parquet\"; roll count=40; max-open-files 3",
    "serializer \"parquet\"; extension \"parquet\"; roll size=\"2KiB\"; parquet max-row-groups=2; sync \"roll\"",
];

#[tokio::test]
async fn whatever_fails_each_delivered_event_is_in_the_files_once_and_in_order() {
    for seed in 0..150 {
        run(seed, Rig::in_place).await;
    }
}

#[tokio::test]
async fn the_same_holds_where_files_cannot_be_cut() {
    for seed in 0..300 {
        run(seed, Rig::append_only).await;
    }
}

async fn run(seed: u64, rig: impl Fn(&str, &str) -> Rig) {
    let mut random = StdRng::seed_from_u64(seed);
    let form = FORMS[random.random_range(0..FORMS.len())];
    let mut rig = rig("/%{host}", form);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut waiting: Vec<(String, String)> = Vec::new();
    let mut number = 0;
    for _ in 0..60 {
        if waiting.is_empty() {
            for _ in 0..random.random_range(1..25) {
                number += 1;
                waiting.push((format!("h{}", random.random_range(0..5)), format!("event-{number}")));
            }
        }
        if random.random_bool(0.4) {
            let operation = OPERATIONS[random.random_range(0..OPERATIONS.len())];
            rig.disk.faults.plan(operation, random.random_range(0..12), random.random_range(1..3));
        }
        let events = waiting.iter().map(|(host, body)| {
            let headers = [("host".into(), host.clone().into())].into_iter().collect();
            Event::with_headers(headers, body.clone())
        });
        if rig.try_deliver(events.collect()).await.is_ok() {
            for (host, body) in waiting.drain(..) {
                expected.entry(host).or_default().push(body);
            }
        }
        rig.clock.advance(Duration::from_millis(random.random_range(1..1500)));
        if random.random_bool(0.2) {
            let _outcome = rig.idle().await;
        }
        if random.random_bool(0.15) {
            rig.crash();
            rig.start();
        }
    }
    OPERATIONS.iter().for_each(|operation| rig.disk.faults.plan(operation, 0, 0));
    // What could not be completed at one start is completed at the next.
    rig.restart().await;
    rig.restart().await;
    for _ in 0..3 {
        // A store that cannot cut takes its time.
        rig.idle().await.unwrap_or_default();
    }
    rig.close().await;
    assert_eq!(contents(&rig, seed), expected, "seed {seed}: {form}");
    assert_eq!(rig.journals(), 0, "seed {seed}: {form}");
}

/// The lines of each host in the order of its files.
fn contents(rig: &Rig, seed: u64) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, bytes) in rig.files() {
        assert!(
            !name.ends_with(".tmp") && !name.ends_with(".cut") && !bytes.is_empty(),
            "seed {seed}: {name}"
        );
        let text = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some(extension @ ("gz" | "zst")) => unpack(extension, &bytes),
            Some("parquet") => parquet_bodies(&bytes).iter().map(|body| format!("{body}\n")).collect(),
            _ => String::from_utf8(bytes).unwrap(),
        };
        let (host, _) = name.split_once('/').unwrap();
        found.entry(host.to_owned()).or_default().extend(text.lines().map(str::to_owned));
    }
    found
}
