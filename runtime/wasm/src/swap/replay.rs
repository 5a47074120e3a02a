//! The last batches once more, through both versions, before the new one is let at anything.
//!
//! Both work on instances of their own that are thrown away afterwards, and what they write to their state is too.
//! Plugins that may wait for the world outside are left out: asking it twice could have effects there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_core::Batch;

use super::compare::Tally;
use crate::{
    generation::{Generation, State},
    instance::Instance,
    lanes::Lane,
};

/// After so long the rest is left out.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How long to wait for the state, which the batches of the source have in turn.
const TURN_MAX: Duration = Duration::from_millis(200);

/// Compares two versions on these batches.
pub(super) async fn replay(old: &Arc<Generation>, new: &Arc<Generation>, batches: Vec<Batch>) -> Tally {
    if batches.is_empty() || old.waits() || new.waits() {
        return Tally::default();
    }
    let old = Arc::clone(old);
    new.run(move |new| async move {
        let (Some(mut old_lane), Some(mut new_lane)) = (fresh(&old).await, fresh(&new).await) else {
            return Tally::default();
        };
        let begun = Instant::now();
        let mut tally = Tally::default();
        for batch in batches {
            if begun.elapsed() > TIME_MAX {
                break;
            }
            let Ok((mut old_state, mut new_state)) = tokio::time::timeout(TURN_MAX, states(&old, &new)).await
            else {
                // A batch waits for its commit, perhaps for long. A reload does not wait for that.
                break;
            };
            let Ok(before) = old.rows_on(&mut old_lane, batch.clone(), &mut old_state).await else {
                // Nothing to compare with.
                continue;
            };
            match new.rows_on(&mut new_lane, batch.clone(), &mut new_state).await {
                Ok(after) => tally.compare(&batch, &before, &after),
                Err(why) => tally.broke(&batch, &why),
            }
        }
        for mut lane in [old_lane, new_lane] {
            if let Some(instance) = lane.take() {
                instance.retire();
            }
        }
        tally
    })
    .await
}

async fn fresh(generation: &Generation) -> Option<Lane> {
    Instance::start(&generation.template, 0).await.ok().map(|first| Lane::with(first, 0))
}

/// The same view for both. The turn is held for these two calls only, so that the source hardly waits.
async fn states(old: &Generation, new: &Generation) -> (State, State) {
    let Some(store) = new.template.state.as_ref().or(old.template.state.as_ref()) else {
        return (None, None);
    };
    let transaction = store.begin(&mut Batch::default()).await;
    (Some(transaction.fork()), Some(transaction))
}
