//! `metrics`: names and labels that are declared and others, amounts of any size, more series than are allowed.

use super::{Case, Recipe, cases};

const MANIFEST: &str = r#"plugin "random" version="1.0.0" {
    metrics {
        counter "events"
        counter "by_key" label="key"
        gauge "level" label="component"
        histogram "times"
    }
}"#;
/// Series of one component, and those lines of a histogram that each of its series has.
const LINES_MAX: usize = 200 * 24;

#[test]
fn metrics() {
    cases("metrics", 50, |mut case: Case| async move {
        let recipe = Recipe {
            exports: vec!["interceptor"],
            imports: vec!["metrics"],
            texts: ["events", "by_key", "level", "times", "\"} 1\nforged 2"].map(str::to_owned).to_vec(),
            manifest: Some(MANIFEST),
            rows: 5,
        };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        interceptor.close().await;
        let text = case.rig.metrics.encode().unwrap();
        let own = ["counter", "gauge", "histogram"].map(|kind| format!("millrace_plugin_{kind}"));
        let is_own = |line: &&str| own.iter().any(|own| line.starts_with(own));
        assert!(text.lines().filter(is_own).count() <= LINES_MAX);
        assert!(text.lines().all(|line| !line.starts_with("forged")), "a label value broke out of its line");
    });
}
