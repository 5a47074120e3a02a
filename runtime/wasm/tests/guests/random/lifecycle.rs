//! `lifecycle`: issues that point nowhere, answers that make no sense, while the plugin calls everything it may.

use super::{Case, Recipe, cases};

#[test]
fn lifecycle() {
    cases("lifecycle", 60, |mut case: Case| async move {
        let recipe = Recipe {
            exports: vec!["interceptor", "handover"],
            imports: vec!["log", "metrics", "clock", "state"],
            texts: ["/a/0", "/~9", "no pointer"].map(str::to_owned).to_vec(),
            rows: 5,
            ..Recipe::default()
        };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        interceptor.close().await;
    });
}
