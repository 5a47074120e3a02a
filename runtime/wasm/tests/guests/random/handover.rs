//! `handover`: one random version follows another. Refused or not, events go on afterwards.

use super::{Case, Recipe, cases};

#[test]
fn handover() {
    cases("handover", 40, |mut case: Case| async move {
        let recipe = || Recipe {
            exports: vec!["interceptor", "handover"],
            imports: vec!["log"],
            rows: 5,
            ..Recipe::default()
        };
        let Some(old) = case.interceptor(&recipe(), None) else { return };
        case.seed = case.seed.wrapping_add(1 << 60);
        let Some(new) = case.interceptor(&recipe(), None) else { return };
        case.pass(&*old, 5).await;
        let current = match new.take_over(&*old).await {
            Ok(ready) => {
                ready.map(|ready| ready.complete());
                new.clone()
            }
            Err(_) => old.clone(),
        };
        case.pass(&*current, 5).await;
        old.close().await;
        new.close().await;
    });
}
