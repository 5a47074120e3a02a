//! Guests that ask for too much of what they may have.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{Rig, Setup, batch, bodies, setup};

/// What a subscriber writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// On the runtime of many threads a guest runs on the thread that calls, which is the one with the subscriber.
#[tokio::test(flavor = "multi_thread")]
async fn log_lines_over_the_quota_are_counted_and_not_written() {
    let rig = Rig::new();
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    crate::support::log_everywhere();
    let _guard = tracing::subscriber::set_default(subscriber);
    let flood = rig.good(&Setup { options: "lines 5000", ..setup("log-flood") });
    assert_eq!(bodies(&flood.intercept(batch(&["a"])).await.unwrap()), ["a"]);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().filter(|line| line.contains("line=")).count() as u64;
    // 100 lines a second; the flood may reach into further seconds on a busy machine.
    assert!(lines >= 100 && lines.is_multiple_of(100), "{lines}");
    assert_eq!(rig.count("log_lines_suppressed_total", ""), 5000 - lines);
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[31m\\n"), "{}", &text[..400]);
    assert!(text.contains("component=\"guest\" generation=7 lane=0"), "{}", &text[..400]);
}

#[tokio::test]
async fn metrics_over_the_bounds_are_counted_and_not_kept() {
    let rig = Rig::new();
    let flood = rig.good(&Setup { options: "names 0; values 1000", ..setup("metric-flood") });
    assert_eq!(bodies(&flood.intercept(batch(&["a"])).await.unwrap()), ["a"]);
    let kept = rig
        .metrics
        .encode()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("millrace_plugin_counter_total{"))
        .count();
    assert_eq!(kept, 200);
    assert_eq!(rig.count("metrics_refused_total", ""), 800);
    assert_eq!(rig.count("metrics_undeclared_total", ""), 0);
    assert!(
        rig.metrics.encode().unwrap().contains("{component=\"guest\",name=\"declared\",value=\"7\"} 1\n")
    );
}

#[tokio::test]
async fn metrics_that_no_manifest_declares_are_counted_and_not_kept() {
    let rig = Rig::new();
    let flood = rig.good(&Setup { options: "names 1000", ..setup("metric-flood") });
    assert_eq!(bodies(&flood.intercept(batch(&["a"])).await.unwrap()), ["a"]);
    assert_eq!(rig.count("metrics_undeclared_total", ""), 3000);
    assert!(!rig.metrics.encode().unwrap().contains("name=\"undeclared_"));
}

#[tokio::test]
async fn a_slow_guest_within_its_time_is_left_alone() {
    let rig = Rig::new();
    let slow = rig.good(&Setup { options: "turns 50000000", ..setup("slow") });
    assert_eq!(bodies(&slow.intercept(batch(&["a"])).await.unwrap()), ["a"]);
    assert_eq!(rig.count("faults_total", ""), 0);
    assert!(rig.count("nanos_total", "") > 1_000_000);
}

#[tokio::test]
async fn the_deadline_is_that_of_each_call_not_of_the_instance() {
    let rig = Rig::new();
    let time = Setup { call_time_max: Duration::from_secs(1), options: "turns 20000000", ..setup("slow") };
    let slow = rig.good(&time);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        slow.intercept(batch(&["a"])).await.unwrap();
    }
    assert_eq!(rig.count("faults_total", ""), 0);
}
