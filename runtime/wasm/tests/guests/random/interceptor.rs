//! `interceptor`: answers of any kind, right and wrong, small and huge. The rules of edits themselves have a model in
//! `edits/model_tests.rs`; here they come from a guest's memory.

use super::{Case, Recipe, cases};

#[test]
fn interceptor() {
    cases("interceptor", 120, |mut case: Case| async move {
        let recipe = Recipe {
            exports: vec!["interceptor"],
            texts: ["audit", "k", "new", "reason"].map(str::to_owned).to_vec(),
            rows: 8,
            ..Recipe::default()
        };
        let Some(interceptor) = case.interceptor(&recipe, Some("channel \"audit\"")) else { return };
        for rows in [1, 8] {
            case.pass(&*interceptor, rows).await;
        }
        interceptor.close().await;
    });
}
