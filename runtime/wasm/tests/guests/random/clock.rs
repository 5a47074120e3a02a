//! `clock`: asked in loops and among other calls.

use super::{Case, Recipe, cases};

#[test]
fn clock() {
    cases("clock", 30, |mut case: Case| async move {
        let recipe =
            Recipe { exports: vec!["interceptor"], imports: vec!["clock"], rows: 5, ..Recipe::default() };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        interceptor.close().await;
    });
}
