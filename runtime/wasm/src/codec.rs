//! A plugin as a codec: cuts streams into frames, decodes frames, encodes batches, many at a time.
//!
//! A fault costs the instance; the call is repeated once on a fresh one and then in parts, to find the frames or events
//! that break the plugin. They are refused alone. To the search a frame is an event, its bytes the body.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Batch, Clock, Codec, CodecError, Decoded, Encoded, Event, Refusal};
use wasmtime::component::Resource;

use crate::{
    bindings::{
        Cut, DecodeParams, DecodeResults, Decoded as DecodedFrames, EncodeParams, EncodeResults, Failure,
        FrameParams, FrameRefusal, FrameResults, Packed,
    },
    edits::{REASON_BYTES_MAX, events_of},
    error::{Fault, FaultKind},
    host::escaped,
    instance::Template,
    lanes::{Lane, Lanes, Recycling},
    origin::Origin,
    plugin_host::Prepared,
    rescue::{Next, Search},
    role::CodecExports,
};

/// A codec that runs in a guest.
pub(crate) struct WasmCodec {
    template: Arc<Template>,
    lanes: Lanes,
    origin: Origin,
    clock: Arc<dyn Clock>,
    exports: CodecExports,
}

/// What a call came to, when it did not break.
enum Done<T> {
    Good(T),
    Later {
        reason: String,
        after: Option<Duration>,
    },
    /// All of it is refused.
    Never(String),
}

impl WasmCodec {
    pub(crate) fn new(prepared: Prepared, exports: CodecExports, clock: Arc<dyn Clock>) -> Self {
        let Prepared { template, first, origin, memory_bytes_max, .. } = prepared;
        let lanes = Lanes::new(Arc::clone(&template), first, Recycling::new(memory_bytes_max));
        Self { template, lanes, origin, clock, exports }
    }

    fn later(&self, reason: String, after: Option<Duration>) -> CodecError {
        CodecError::Later { codec: self.origin.plugin.to_string(), source: reason.into(), after }
    }

    /// What an answer means; an instance that broke is thrown away.
    fn outcome<T>(
        &self,
        lane: &mut Lane,
        answer: Result<Result<T, Failure>, Fault>,
    ) -> Result<Done<T>, Fault> {
        match answer {
            Ok(Ok(answer)) => Ok(Done::Good(answer)),
            Ok(Err(Failure::Retry(pause))) => Ok(Done::Later {
                reason: "the plugin asks to try again later".into(),
                after: pause.map(|ms| Duration::from_millis(ms.into())),
            }),
            Ok(Err(Failure::Reject(reason))) => Ok(Done::Never(escaped(&reason, REASON_BYTES_MAX))),
            Ok(Err(Failure::Fatal(reason))) => {
                lane.discard();
                let reason = format!("the plugin gave up: {}", escaped(&reason, REASON_BYTES_MAX));
                Ok(Done::Later { reason, after: None })
            }
            Err(fault) => Err(self.broke(lane, fault)),
        }
    }

    /// Counts a fault and throws the instance away.
    fn broke(&self, lane: &mut Lane, fault: Fault) -> Fault {
        lane.discard();
        self.template.metrics.fault(fault.kind).inc();
        tracing::warn!(target: "plugin", component = %self.origin.component, plugin = %self.origin.plugin, %fault, "plugin broke");
        fault
    }

    async fn frame_once(&self, lane: &mut Lane, bytes: Bytes, at_end: bool) -> Result<Done<Cut>, Fault> {
        let answer = match lane.instance(&self.template).await {
            Ok(instance) => match instance.function::<FrameParams, FrameResults>(self.exports.frame) {
                Ok(frame) => instance.call(frame, (bytes, at_end)).await,
                Err(fault) => Err(fault),
            },
            Err(error) => return Ok(Done::Later { reason: error.to_string(), after: None }),
        };
        self.outcome(lane, answer)
    }

    async fn decode_once(&self, lane: &mut Lane, frames: &Batch) -> Result<Done<DecodedPart>, Fault> {
        let answer = match lane.instance(&self.template).await {
            Ok(instance) => match instance.function::<DecodeParams, DecodeResults>(self.exports.decode) {
                Ok(decode) => instance.call(decode, (packed(frames),)).await,
                Err(fault) => Err(fault),
            },
            Err(error) => return Ok(Done::Later { reason: error.to_string(), after: None }),
        };
        let done = self.outcome(lane, answer)?;
        done.checked(|decoded| checked(frames.len(), decoded)).map_err(|fault| self.broke(lane, fault))
    }

    async fn encode_once(&self, lane: &mut Lane, batch: &Batch) -> Result<Done<Vec<Bytes>>, Fault> {
        let mut lent = batch.part(0..batch.len());
        lent.note_formed_at(|| self.clock.unix_nanos());
        let answer = match lane.instance(&self.template).await {
            Ok(instance) => match instance.function::<EncodeParams, EncodeResults>(self.exports.encode) {
                Ok(encode) => instance.lend(encode, (Resource::new_borrow(0),), lent).await.1,
                Err(fault) => Err(fault),
            },
            Err(error) => return Ok(Done::Later { reason: error.to_string(), after: None }),
        };
        let done = self.outcome(lane, answer)?;
        done.checked(|packed| slices(batch.len(), packed)).map_err(|fault| self.broke(lane, fault))
    }
}

impl<T> Done<T> {
    /// What is good has to keep the rules, too.
    fn checked<U>(self, check: impl FnOnce(T) -> Result<U, Fault>) -> Result<Done<U>, Fault> {
        Ok(match self {
            Self::Good(answer) => Done::Good(check(answer)?),
            Self::Later { reason, after } => Done::Later { reason, after },
            Self::Never(reason) => Done::Never(reason),
        })
    }
}

/// Events of some frames, and which of them made none.
type DecodedPart = (Vec<Event>, Vec<(usize, String)>);

#[async_trait]
impl Codec for WasmCodec {
    async fn frame(&self, bytes: Bytes, at_end: bool) -> Result<Vec<usize>, CodecError> {
        let _permit = self.lanes.acquire().await;
        let mut lane = self.lanes.take().ok_or_else(|| self.later("it is being stopped".into(), None))?;
        let length = bytes.len();
        let mut last = String::new();
        for _ in 0..2 {
            let done = self.frame_once(&mut lane, bytes.clone(), at_end).await;
            let stream = |reason| Err(CodecError::Stream { codec: self.origin.plugin.to_string(), reason });
            match done {
                Ok(Done::Good(cut)) => match ends(length, cut) {
                    Ok(ends) => return Ok(ends),
                    Err(fault) => last = self.broke(&mut lane, fault).to_string(),
                },
                Ok(Done::Later { reason, after }) => return Err(self.later(reason, after)),
                Ok(Done::Never(reason)) => return stream(reason),
                Err(fault) => last = fault.to_string(),
            }
        }
        // There is no telling which byte breaks it: the stream is what is given up.
        Err(CodecError::Stream { codec: self.origin.plugin.to_string(), reason: last })
    }

    async fn decode(&self, frames: Vec<Bytes>) -> Result<Decoded, CodecError> {
        let _permit = self.lanes.acquire().await;
        let mut lane = self.lanes.take().ok_or_else(|| self.later("it is being stopped".into(), None))?;
        let frames = Batch::new(frames.into_iter().map(Event::new).collect());
        let mut decoded = Decoded::default();
        let mut refused: Vec<(usize, String)> = Vec::new();
        let mut done = self.decode_once(&mut lane, &frames).await;
        if done.is_err() {
            done = self.decode_once(&mut lane, &frames).await;
        }
        match done {
            Ok(Done::Good((events, rows))) => (decoded.events, refused) = (events, rows),
            Ok(Done::Later { reason, after }) => return Err(self.later(reason, after)),
            Ok(Done::Never(reason)) => refused = (0..frames.len()).map(|row| (row, reason.clone())).collect(),
            Err(fault) => {
                let mut search = Search::new(&frames, fault, true);
                let bad = loop {
                    let (rows, part) = match search.next() {
                        Next::Try { rows, part } => (rows, part),
                        Next::Done(rescued) => break rescued.bad,
                        Next::Systematic(fault) => {
                            return Err(
                                self.later(format!("it breaks on every frame, last with {fault}"), None)
                            );
                        }
                    };
                    match self.decode_once(&mut lane, &part).await {
                        Ok(Done::Good((events, bad))) => {
                            refused.extend(bad.into_iter().map(|(row, why)| (rows.start + row, why)));
                            decoded.events.extend(events);
                            search.passed(Batch::default());
                        }
                        Ok(Done::Never(reason)) => {
                            refused.extend(rows.map(|row| (row, reason.clone())));
                            search.passed(Batch::default());
                        }
                        Ok(Done::Later { reason, after }) => return Err(self.later(reason, after)),
                        Err(fault) => search.broke(fault),
                    }
                };
                self.template.metrics.dead_letters.inc_by(bad.len() as u64);
                refused.extend(bad.into_iter().map(|(row, fault)| (row, fault.to_string())));
                refused.sort_by_key(|(row, _)| *row);
            }
        }
        self.template.metrics.events_out.inc_by(decoded.events.len() as u64);
        let frame = |(row, reason): (usize, String)| {
            let frame = frames.events().get(row)?.body.clone();
            Some((frame, self.origin.rejection(ByteString::from(reason))))
        };
        decoded.refused = refused.into_iter().filter_map(frame).collect();
        Ok(decoded)
    }

    async fn encode(&self, batch: &Batch) -> Result<Encoded, CodecError> {
        let _permit = self.lanes.acquire().await;
        let mut lane = self.lanes.take().ok_or_else(|| self.later("it is being stopped".into(), None))?;
        let mut done = self.encode_once(&mut lane, batch).await;
        if done.is_err() {
            done = self.encode_once(&mut lane, batch).await;
        }
        let all = |reason: &str| -> Vec<Refusal> {
            (0..batch.len()).map(|row| Refusal { row, reason: reason.to_owned() }).collect()
        };
        match done {
            Ok(Done::Good(bodies)) => Ok(Encoded { batch: with_bodies(batch, bodies), refusals: Vec::new() }),
            Ok(Done::Later { reason, after }) => Err(self.later(reason, after)),
            Ok(Done::Never(reason)) => Ok(Encoded { batch: Batch::default(), refusals: all(&reason) }),
            Err(fault) => {
                let mut search = Search::new(batch, fault, true);
                let (mut events, mut refusals) = (Vec::new(), Vec::new());
                let bad = loop {
                    let (rows, part) = match search.next() {
                        Next::Try { rows, part } => (rows, part),
                        Next::Done(rescued) => break rescued.bad,
                        Next::Systematic(fault) => {
                            return Err(
                                self.later(format!("it breaks on every event, last with {fault}"), None)
                            );
                        }
                    };
                    match self.encode_once(&mut lane, &part).await {
                        Ok(Done::Good(bodies)) => {
                            events.extend(with_bodies(&part, bodies).into_events());
                            search.passed(Batch::default());
                        }
                        Ok(Done::Never(reason)) => {
                            refusals.extend(rows.map(|row| Refusal { row, reason: reason.clone() }));
                            search.passed(Batch::default());
                        }
                        Ok(Done::Later { reason, after }) => return Err(self.later(reason, after)),
                        Err(fault) => search.broke(fault),
                    }
                };
                self.template.metrics.dead_letters.inc_by(bad.len() as u64);
                refusals
                    .extend(bad.into_iter().map(|(row, fault)| Refusal { row, reason: fault.to_string() }));
                refusals.sort_by_key(|refusal| refusal.row);
                Ok(Encoded { batch: Batch::new(events), refusals })
            }
        }
    }

    async fn close(&self) {
        for instance in self.lanes.close().await {
            instance.stop().await;
        }
    }
}

fn wrong(reason: String) -> Fault {
    Fault { kind: FaultKind::Answer, reason, backtrace: String::new() }
}

/// All bodies back to back.
fn packed(frames: &Batch) -> Packed {
    let mut bytes = Vec::with_capacity(frames.iter().map(|frame| frame.body.len()).sum());
    let mut ends = Vec::with_capacity(frames.len());
    for frame in frames {
        bytes.extend_from_slice(&frame.body);
        ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    Packed { bytes: bytes.into(), ends }
}

/// The byte strings of an answer; there must be so many.
fn slices(count: usize, packed: Packed) -> Result<Vec<Bytes>, Fault> {
    let Packed { bytes, ends } = packed;
    if ends.len() != count {
        return Err(wrong(format!("{} byte strings for {count} events", ends.len())));
    }
    if !ends.is_sorted() || ends.last().map_or(0, |last| *last as usize) != bytes.len() {
        return Err(wrong(format!("the ends do not ascend to the {} bytes there are", bytes.len())));
    }
    let mut start = 0;
    Ok(ends
        .into_iter()
        .map(|end| {
            let part = bytes.slice(start..end as usize);
            start = end as usize;
            part
        })
        .collect())
}

fn with_bodies(batch: &Batch, bodies: Vec<Bytes>) -> Batch {
    let events = batch.iter().zip(bodies);
    Batch::new(events.map(|(event, body)| Event::with_headers(event.headers.clone(), body)).collect())
}

/// Counts add up, refused frames ascend, exist and made no event.
fn checked(count: usize, decoded: DecodedFrames) -> Result<DecodedPart, Fault> {
    let DecodedFrames { events, counts, refused } = decoded;
    let events = events_of(events).map_err(wrong)?;
    if counts.len() != count {
        return Err(wrong(format!("{} counts for {count} frames", counts.len())));
    }
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    if sum != events.len() as u64 {
        return Err(wrong(format!("the counts make {sum} events, there are {}", events.len())));
    }
    let mut rows = Vec::with_capacity(refused.len());
    let mut last = None;
    for FrameRefusal { frame, failure } in refused {
        match counts.get(frame as usize) {
            None => return Err(wrong(format!("frame {frame} is refused, there are {count}"))),
            Some(0) => {}
            Some(made) => return Err(wrong(format!("frame {frame} is refused and made {made} events"))),
        }
        if last.is_some_and(|last| frame <= last) {
            return Err(wrong(format!("frame {frame} is refused out of order; frames must ascend")));
        }
        last = Some(frame);
        let reason = match failure {
            Failure::Reject(reason) | Failure::Fatal(reason) => escaped(&reason, REASON_BYTES_MAX),
            Failure::Retry(_) => "the plugin asks to try again, which a frame cannot".into(),
        };
        rows.push((frame as usize, reason));
    }
    Ok((events, rows))
}

/// Ends ascend strictly within the bytes.
fn ends(length: usize, cut: Cut) -> Result<Vec<usize>, Fault> {
    let mut before = 0;
    let mut ends = Vec::with_capacity(cut.ends.len());
    for end in cut.ends {
        let end = end as usize;
        if end <= before || end > length {
            return Err(wrong(format!("a frame ends at {end}, after one at {before}, of {length} bytes")));
        }
        before = end;
        ends.push(end);
    }
    Ok(ends)
}
