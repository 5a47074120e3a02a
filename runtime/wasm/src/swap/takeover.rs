//! The switch from one version to the next.
//!
//! Where both export `handover`, the old one comes to the end of its batch, says what it keeps, and the new one takes
//! it in; batches that come meanwhile wait at the old one's door and go to the new one, or, when that refuses, in.

use std::{sync::Arc, time::Duration};

use millrace_core::{BoxError, Takeover};
use tokio::sync::OwnedSemaphorePermit;

use super::{Mode, Tally, replay::replay};
use crate::{generation::Generation, interceptor::Node};

/// How long the old version may take to the end of its batch, besides the time of one call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a version cannot take over.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "swap \"canary\" is not for a plugin that hands over what it keeps in memory: it would be in two places; use \"shadow\" or \"immediate\", or keep it in `state`"
    )]
    Canary,
    #[error("the version in force does not come to the end of its batch within {0:?}")]
    Busy(Duration),
    #[error("the version in force is being stopped")]
    Stopped,
    #[error("the version in force does not hand over what it keeps: {0}")]
    Save(String),
    #[error("the new version does not take over what the one in force keeps: {0}")]
    Restore(String),
}

/// A version that is ready.
struct Ready {
    before: Arc<Node>,
    after: Arc<Node>,
    tally: Tally,
    hands_over: bool,
    /// Keeps batches out of the old version.
    door: Option<OwnedSemaphorePermit>,
}

/// Does everything that can fail.
pub(crate) async fn prepare(before: &Arc<Node>, after: &Arc<Node>) -> Result<Box<dyn Takeover>, BoxError> {
    let new = after.own();
    let first = before.stable().ok_or(Refused::Stopped)?;
    let hands_over = first.hands_over() && new.hands_over();
    if hands_over && matches!(after.settings().mode, Mode::Canary { .. }) {
        return Err(Refused::Canary.into());
    }
    let tally = replay(&first, new, before.recent.batches()).await;
    let door = if hands_over { Some(hand_over(before, new).await?) } else { None };
    Ok(Box::new(Ready { before: Arc::clone(before), after: Arc::clone(after), tally, hands_over, door }))
}

async fn hand_over(before: &Arc<Node>, new: &Arc<Generation>) -> Result<OwnedSemaphorePermit, Refused> {
    loop {
        let old = before.stable().ok_or(Refused::Stopped)?;
        let patience = old.template.call_time_max + PATIENCE;
        let door = tokio::time::timeout(patience, old.lanes.acquire_all()).await;
        let door = door.map_err(|_| Refused::Busy(patience))?;
        // A trial may have ended meanwhile.
        let Some(door) = door.filter(|_| before.stable().is_some_and(|now| Arc::ptr_eq(&now, &old))) else {
            continue;
        };
        match old.save().await {
            // Nothing has come yet, so nothing is kept.
            None => {}
            Some(Ok(snapshot)) => {
                new.take_in(snapshot, false).await.map_err(Refused::Restore)?;
            }
            Some(Err(why)) => return Err(Refused::Save(why)),
        }
        return Ok(door);
    }
}

impl Takeover for Ready {
    fn complete(self: Box<Self>) -> Vec<String> {
        let Self { before, after, tally, hands_over, door } = *self;
        let notes = after.succeed(&before, tally, hands_over);
        // Only now: who waits there looks again where to go.
        drop(door);
        notes
    }
}
