//! Calls sources, sinks and codecs as the agent does, and holds them to the rules of the interface.

use super::{apply::unpack, batch, configure_with, fake};
use crate::bindings::codec::exports::millrace::plugin::codec as raw;
use crate::codec::decode_all;
use crate::{
    Codec, Delivery, Event, Failure, Handover, Issue, Limits, Outcome, Pace, Packed, Polled, Sink, Source,
};

/// How large a position may be: 64 KiB.
const POSITION_BYTES_MAX: usize = 64 << 10;

/// Makes a source from options in JSON. It is not open yet.
pub fn configure_source<T: Source>(json: &str) -> Result<T, Vec<Issue>> {
    configure_with(json, T::configure)
}

/// Makes a sink from options in JSON.
pub fn configure_sink<T: Sink>(json: &str) -> Result<T, Vec<Issue>> {
    configure_with(json, T::configure)
}

/// Makes a codec from options in JSON.
pub fn configure_codec<T: Codec>(json: &str) -> Result<T, Vec<Issue>> {
    configure_with(json, T::configure)
}

/// What a source has given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The last position.
    pub position: Option<Vec<u8>>,
    /// What the last answer said about the next one.
    pub pace: Pace,
}

/// Asks a source once. An answer over the limits is [`Failure::Fatal`], with the limit.
pub fn poll<T: Source>(source: &mut T, limits: Limits) -> Result<Read, Failure> {
    let polled: Polled = fake::calling(|| source.poll(limits))?;
    if polled.events.len() > limits.events_max as usize {
        let (count, max) = (polled.events.len(), limits.events_max);
        return Err(Failure::Fatal(format!("{count} events, asked for at most {max}")));
    }
    let bytes = polled.position.as_ref().map_or(0, Vec::len);
    if bytes > POSITION_BYTES_MAX {
        return Err(Failure::Fatal(format!("a position of {bytes} bytes; {POSITION_BYTES_MAX} are allowed")));
    }
    let count = polled.events.len();
    let events = unpack(polled.events.into(), count).map_err(Failure::Fatal)?;
    Ok(Read { events, position: polled.position, pace: polled.pace })
}

/// Opens a source behind a position, asks as long as it says that there is more at once, and tells it of every
/// position as committed. Gives all events and the last position.
pub fn read<T: Source>(source: &mut T, position: Option<&[u8]>, limits: Limits) -> Result<Read, Failure> {
    fake::calling(|| source.open(position))?;
    let mut all = Read { position: position.map(<[u8]>::to_vec), ..Read::default() };
    loop {
        let one = poll(source, limits)?;
        all.events.extend(one.events);
        if let Some(position) = one.position {
            fake::calling(|| source.committed(&position))?;
            all.position = Some(position);
        }
        all.pace = one.pace;
        if one.pace != Pace::Now {
            return Ok(all);
        }
    }
}

/// Passes events to a sink, as the first attempt of this id. An outcome that names a row that is not
/// there, or refuses one as fatal, is [`Failure::Fatal`].
pub fn deliver<T: Sink>(sink: &mut T, id: &str, events: Vec<Event>) -> Result<Outcome, Failure> {
    deliver_again(sink, &Delivery { id: id.into(), attempt: 1 }, events)
}

/// Passes events to a sink, as any attempt.
pub fn deliver_again<T: Sink>(
    sink: &mut T,
    delivery: &Delivery,
    events: Vec<Event>,
) -> Result<Outcome, Failure> {
    let batch = batch(events);
    fake::calling(|| {
        let outcome = sink.deliver(&batch, delivery)?;
        for (row, failure) in outcome.refused() {
            if row >= batch.count() {
                return Err(Failure::Fatal(format!("row {row} is out of range")));
            }
            if let Failure::Fatal(reason) = failure {
                return Err(Failure::Fatal(format!("row {row} was refused as fatal: {reason}")));
            }
        }
        Ok(outcome)
    })
}

/// Decodes whole frames. Gives the events of each, or the reason for which it was refused.
pub fn decode<T: Codec>(codec: &mut T, frames: &Packed) -> Result<Vec<Result<Vec<Event>, String>>, Failure> {
    let decoded = decode_all(codec, frames);
    let mut events = unpack(decoded.events, decoded.counts.iter().sum::<u32>() as usize)
        .map_err(Failure::Fatal)?
        .into_iter();
    let mut refused = decoded.refused.into_iter().peekable();
    let frames = decoded.counts.into_iter().enumerate();
    Ok(frames
        .map(|(frame, count)| match refused.next_if(|refusal| refusal.frame as usize == frame) {
            Some(raw::Refusal { failure, .. }) => Err(reason(failure)),
            None => Ok(events.by_ref().take(count as usize).collect()),
        })
        .collect())
}

/// Gives a codec a stream in pieces of so many bytes, as a connection brings it, and decodes the frames
/// that it finds. Bytes that are left at the end are [`Failure::Reject`].
pub fn decode_stream<T: Codec>(
    codec: &mut T,
    stream: &[u8],
    piece_bytes: usize,
) -> Result<Vec<Result<Vec<Event>, String>>, Failure> {
    let mut frames = Packed::new();
    let mut start = 0;
    let mut end = 0_usize;
    loop {
        end = stream.len().min(end.saturating_add(piece_bytes.max(1)));
        let cut = codec.frame(&stream[start..end], end == stream.len())?;
        let piece = start;
        for frame_end in cut.ends() {
            let frame_end = piece + *frame_end as usize;
            if frame_end > end {
                return Err(Failure::Fatal(format!("a frame ends at {frame_end}, behind {end}")));
            }
            frames.push(&stream[start..frame_end]);
            start = frame_end;
        }
        if end == stream.len() {
            break;
        }
    }
    if start < stream.len() {
        return Err(Failure::Reject(format!("{} bytes are no frame", stream.len() - start)));
    }
    decode(codec, &frames)
}

/// Encodes a batch. Another number of byte strings than of events is [`Failure::Fatal`].
pub fn encode<T: Codec>(codec: &mut T, events: Vec<Event>) -> Result<Packed, Failure> {
    let batch = batch(events);
    let mut frames = Packed::new();
    codec.encode(&batch, &mut frames)?;
    if frames.len() != batch.count() as usize {
        return Err(Failure::Fatal(format!("{} events, {} byte strings", batch.count(), frames.len())));
    }
    Ok(frames)
}

/// Hands what one instance keeps over to the next one.
pub fn hand_over<A: Handover, B: Handover>(from: &mut A, to: &mut B) -> Result<(), String> {
    let snapshot = fake::calling(|| from.save())?;
    fake::calling(|| to.restore(snapshot))
}

fn reason(failure: crate::bindings::millrace::plugin::types::Failure) -> String {
    use crate::bindings::millrace::plugin::types::Failure as Raw;
    match failure {
        Raw::Reject(reason) | Raw::Fatal(reason) => reason,
        Raw::Retry(_) => "retry".to_owned(),
    }
}

#[cfg(test)]
mod tests;
