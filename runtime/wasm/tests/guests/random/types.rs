//! `types`: everything that can be asked about a batch, in any order, with any argument, also after it was given back.

use super::{Case, Recipe, cases};

#[test]
fn types() {
    cases("types", 60, |mut case: Case| async move {
        let recipe = Recipe { exports: vec!["interceptor"], rows: 5, ..Recipe::default() };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        interceptor.close().await;
    });
}
