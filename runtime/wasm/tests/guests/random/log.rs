//! `log`: lines of any level, length and content, in floods.

use super::{Case, Recipe, cases};

#[test]
fn log() {
    cases("log", 50, |mut case: Case| async move {
        let recipe = Recipe {
            exports: vec!["interceptor"],
            imports: vec!["log"],
            texts: ["\u{1b}]0;title\u{7}", "backtrace", "%s%n", "two\nlines"].map(str::to_owned).to_vec(),
            rows: 5,
            ..Recipe::default()
        };
        let Some(interceptor) = case.interceptor(&recipe, None) else { return };
        case.pass(&*interceptor, 5).await;
        interceptor.close().await;
    });
}
