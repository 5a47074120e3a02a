//! `sink` and `two-phase`: any outcome of a delivery. Each row is delivered, refused, or comes again, and nothing else.

use millrace_core::{Delivery, SinkError};

use super::{Case, Recipe, cases};

const ROWS: u32 = 6;

#[test]
fn sink() {
    cases("sink", 60, |mut case: Case| async move {
        let mut exports = vec!["sink"];
        if case.seed.is_multiple_of(2) {
            exports.push("two-phase");
        }
        let recipe = Recipe {
            exports,
            imports: vec!["log", "metrics", "clock", "state"],
            rows: ROWS,
            ..Recipe::default()
        };
        let setup = case.setup(&recipe);
        let Some(mut sink) = case.taken(case.rig.try_sink(&setup)) else { return };
        for attempt in 1..4 {
            let batch = case.batch(ROWS).with_delivery(Delivery { id: "one".into(), attempt });
            let result = sink.deliver(&batch).await;
            case.came_to(matches!(result, Ok(()) | Err(SinkError::Partial { .. })));
            match result {
                Ok(()) if sink.is_two_phase() => match sink.prepare().await {
                    Ok(tokens) => {
                        assert!(tokens.iter().all(|token| token.len() <= 4096));
                        sink.settled(true);
                        drop(sink.commit(&tokens).await);
                        drop(sink.abort(&tokens).await);
                        drop(sink.recover(&tokens).await);
                    }
                    Err(_) => sink.settled(false),
                },
                Ok(()) => sink.settled(true),
                Err(SinkError::Partial { refusals, again, .. }) => {
                    let mut rows: Vec<usize> =
                        refusals.iter().map(|refusal| refusal.row).chain(again).collect();
                    let count = rows.len();
                    rows.sort_unstable();
                    rows.dedup();
                    assert!(count > 0 && rows.len() == count, "a row has two outcomes: {rows:?}");
                    assert!(rows.iter().all(|row| *row < ROWS as usize), "{rows:?}");
                    sink.settled(true);
                }
                Err(_) => sink.settled(false),
            }
        }
        drop(sink.close().await);
    });
}
