//! Finds the events of taken parts: in memory if they are still there, otherwise in their segments.

use std::sync::Arc;

use millrace_core::Batch;

use super::{
    error::FileError,
    payload::decode_events,
    quarantine::Quarantine,
    queue::Part,
    scan::Gap,
    segment::{FileKind, Found},
    shared::Shared,
};

/// The whole batch of a part's frame; None when it is damaged, which has been reported. Blocks.
pub(super) fn read_batch(shared: &Arc<Shared>, part: &Part) -> Result<Option<Batch>, FileError> {
    let Some(segment) = shared.segment(part.segment) else {
        let mut quarantine = quarantine(shared);
        quarantine.missing(&FileKind::Segment.file_name(part.segment));
        shared.count_damaged(quarantine.count);
        return Ok(None);
    };
    let found = segment.read(part.offset, part.frame_bytes as usize).map_err(|error| {
        FileError::io(format!("{}: read at {}", segment.path.display(), part.offset), error)
    })?;
    let events = match found {
        Found::Whole(stamp, payload) if stamp.sequence == part.sequence => decode_events(&payload).ok(),
        _ => None,
    };
    if let Some(events) = events.filter(|events| part.end as usize <= events.len()) {
        return Ok(Some(Batch::new(events)));
    }
    let mut quarantine = quarantine(shared);
    let gap = Gap { offset: part.offset, bytes: u64::from(part.frame_bytes) };
    quarantine.place(&segment.path, segment.file.as_ref(), gap);
    shared.count_damaged(quarantine.count);
    Ok(None)
}

fn quarantine(shared: &Arc<Shared>) -> Quarantine<'_> {
    Quarantine { disk: shared.disk.as_ref(), channel: &shared.name, count: 0 }
}
