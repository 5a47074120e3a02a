//! `state`: keys and values of any size, times to live, numbers, lists; what is kept never exceeds the share.

use super::{Case, Recipe, cases};

/// The share of a component in these tests.
const STATE_BYTES_MAX: usize = 16 << 20;

#[test]
fn state() {
    cases("state", 50, |mut case: Case| async move {
        let recipe = Recipe {
            exports: vec!["interceptor"],
            imports: vec!["state", "clock"],
            texts: vec![
                "number".into(),
                "x".repeat(1024),
                "y".repeat(1025),
                "z".repeat(1 << 20),
                "../../etc".into(),
            ],
            rows: 5,
            ..Recipe::default()
        };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        if let Some(store) = interceptor.state() {
            let (bytes, keys) = store.size();
            assert!(bytes as usize <= STATE_BYTES_MAX, "{bytes} bytes in {keys} keys");
        }
        interceptor.close().await;
    });
}
