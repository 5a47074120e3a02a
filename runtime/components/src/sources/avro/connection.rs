//! One connection: reads requests, hands their events on, answers by serial.
//!
//! Several requests may be in flight; their answers go out as they are ready. A request that was begun is
//! finished even when its client has gone: dropping it would leave its commit in doubt.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{StreamExt, stream::FuturesUnordered};
use millrace_core::{Batch, ChannelProcessor, Clock, Event, Health, HealthState, SourceMetrics};
use tokio::{
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    budget::{Budget, Share},
    known_clients::KnownClients,
};
use crate::avro_rpc::{
    AvroError, Call, Frame, FrameReader, FrameWriter, HandshakeRequest, HandshakeResponse, Match, Reader,
    Status, StreamError, begin_frame, encode_error, encode_ping_answer, encode_status, finish_frame,
    read_call,
};

/// What a connection has, besides its socket.
pub(super) struct Connection {
    pub(super) settings: Arc<Settings>,
    pub(super) budget: Budget,
    pub(super) known_clients: Arc<KnownClients>,
    pub(super) processor: ChannelProcessor,
    pub(super) metrics: SourceMetrics,
    pub(super) name: ByteString,
    pub(super) peer: SocketAddr,
    pub(super) health: Health,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the last request of any connection was not accepted.
    pub(super) is_failing: Arc<AtomicBool>,
    pub(super) shutdown: CancellationToken,
}

/// Why a connection was closed by this side.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Avro(#[from] AvroError),
    #[error("nothing received for {0:?}")]
    Idle(std::time::Duration),
    #[error("a request took longer than {0:?} to arrive, or an answer to be sent")]
    Slow(std::time::Duration),
}

/// What to do with a frame. An answer is a frame that was begun.
enum Reply {
    /// Send this now.
    Now(BytesMut),
    /// Send this now and close, for this reason.
    Last(BytesMut, AvroError),
    /// Hand these events on first; the answer starts like this.
    After(Vec<Event>, BytesMut),
}

/// A frame with the part of the budget that its bytes hold.
struct Received {
    frame: Frame,
    share: Share,
}

/// The reading side and what it knows.
struct Inbound {
    reader: FrameReader<OwnedReadHalf>,
    share: Share,
    /// From when the time for the frame in hand, or for the next one, counts.
    since: Instant,
    is_shaken: bool,
}

/// The writing side.
struct Outbound {
    writer: FrameWriter<OwnedWriteHalf>,
    is_broken: bool,
}

impl Connection {
    /// Serves a client until it leaves, misbehaves, or the source stops.
    pub(super) async fn serve(self, stream: TcpStream) {
        tracing::debug!(source = %self.name, peer = %self.peer, "connected");
        match self.exchange(stream).await {
            Ok(()) => tracing::debug!(source = %self.name, peer = %self.peer, "disconnected"),
            // A client that vanishes is not its operator's mistake.
            Err(Closed::Stream(StreamError::Io(error))) => {
                tracing::debug!(source = %self.name, peer = %self.peer, %error, "connection lost");
            }
            Err(reason @ Closed::Idle(_)) => {
                tracing::info!(source = %self.name, peer = %self.peer, %reason, "connection closed");
            }
            Err(reason) => {
                self.metrics.read_failures.inc();
                tracing::warn!(source = %self.name, peer = %self.peer, %reason, "connection closed");
            }
        }
    }

    async fn exchange(&self, stream: TcpStream) -> Result<(), Closed> {
        let (read, write) = stream.into_split();
        let compression = self.settings.compression;
        let mut inbound = Inbound {
            reader: FrameReader::new(read, compression, self.settings.frame_limits),
            share: Share::default(),
            since: Instant::now(),
            is_shaken: false,
        };
        let mut outbound = Outbound { writer: FrameWriter::new(write, compression), is_broken: false };
        let mut in_flight = FuturesUnordered::new();
        // Set once nothing more is read; then only what was begun is finished.
        let mut end = None;
        loop {
            if end.is_some() && in_flight.is_empty() {
                break;
            }
            let is_alone = in_flight.is_empty();
            let reading = end.is_none() && in_flight.len() < self.settings.requests_in_flight_max;
            let received = tokio::select! {
                biased;
                Some(answer) = in_flight.next(), if !in_flight.is_empty() => {
                    inbound.since = Instant::now();
                    if let Err(reason) = self.send(&mut outbound, answer).await {
                        end.get_or_insert(Err(reason));
                    }
                    continue;
                }
                () = self.shutdown.cancelled(), if end.is_none() => {
                    end = Some(Ok(()));
                    continue;
                }
                received = self.receive(&mut inbound, is_alone), if reading => received,
            };
            let outcome = match received {
                Ok(Some(Received { frame, share })) => match self.reply(&mut inbound, &frame) {
                    Ok(Reply::After(events, answer)) => {
                        in_flight.push(self.append(events, answer, share));
                        continue;
                    }
                    Ok(Reply::Now(answer)) => match self.send(&mut outbound, answer).await {
                        Ok(()) => continue,
                        Err(reason) => Err(reason),
                    },
                    Ok(Reply::Last(answer, reason)) => {
                        self.send(&mut outbound, answer).await.and(Err(reason.into()))
                    }
                    Err(reason) => Err(reason.into()),
                },
                Ok(None) => Ok(()),
                Err(reason) => Err(reason),
            };
            end = Some(outcome);
        }
        if !outbound.is_broken {
            let _ = timeout(self.settings.frame_timeout, outbound.writer.shutdown()).await;
        }
        end.unwrap_or(Ok(()))
    }

    async fn send(&self, outbound: &mut Outbound, mut answer: BytesMut) -> Result<(), Closed> {
        if outbound.is_broken {
            return Ok(());
        }
        finish_frame(&mut answer, 0)?;
        // Pessimistic: a send that fails or is dropped leaves half a frame behind.
        outbound.is_broken = true;
        match timeout(self.settings.frame_timeout, outbound.writer.send(&answer)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(Closed::Slow(self.settings.frame_timeout)),
        }
        outbound.is_broken = false;
        Ok(())
    }

    /// The next frame; None when the client has closed. May be dropped and called again.
    async fn receive(&self, inbound: &mut Inbound, may_idle: bool) -> Result<Option<Received>, Closed> {
        loop {
            if let Some(frame) = inbound.reader.decode().map_err(Closed::Stream)? {
                // What is left in the reader belongs to the next frame; it is counted when that one grows.
                let share = std::mem::take(&mut inbound.share);
                inbound.since = Instant::now();
                return Ok(Some(Received { frame, share }));
            }
            let is_inside = inbound.reader.is_inside_frame();
            let limit = if is_inside {
                Some(self.settings.frame_timeout)
            } else {
                self.settings.idle_timeout.filter(|_| may_idle)
            };
            let more = async {
                self.budget.cover(&mut inbound.share, inbound.reader.needed_bytes()).await;
                inbound.reader.fill().await
            };
            let is_open = match limit {
                None => more.await?,
                Some(limit) => tokio::select! {
                    more = more => more?,
                    () = sleep_until(inbound.since + limit) => {
                        return Err(if is_inside { Closed::Slow(limit) } else { Closed::Idle(limit) });
                    }
                },
            };
            if !is_open {
                return if is_inside { Err(StreamError::Cut.into()) } else { Ok(None) };
            }
            if !is_inside {
                inbound.since = Instant::now();
            }
        }
    }

    /// Understands a request. An error is one that cannot be answered.
    fn reply(&self, inbound: &mut Inbound, frame: &Frame) -> Result<Reply, AvroError> {
        let mut reader = Reader::new(Bytes::clone(&frame.content));
        let mut answer = BytesMut::new();
        begin_frame(&mut answer, frame.serial);
        if !inbound.is_shaken {
            let request = HandshakeRequest::read(&mut reader)?;
            let known = self.known_clients.knows(&request);
            let response = HandshakeResponse::to(&request, known == Ok(true));
            response.put(&mut answer);
            match known {
                Ok(_) if response.result == Match::None => return Ok(Reply::Now(answer)),
                Ok(_) => inbound.is_shaken = true,
                Err(reason) => return Ok(Reply::Last(answer, reason)),
            }
        }
        match read_call(&mut reader, self.settings.event_limits) {
            Ok(Call::Append(events)) => Ok(Reply::After(events, answer)),
            Ok(Call::Ping) => {
                encode_ping_answer(&mut answer);
                Ok(Reply::Now(answer))
            }
            Ok(Call::Unknown(name)) => {
                let name: String = name.chars().take(64).collect();
                self.metrics.read_failures.inc();
                tracing::warn!(source = %self.name, peer = %self.peer, name, "unknown call refused");
                encode_error(&mut answer, &format!("no call {name:?}, only append and appendBatch"));
                Ok(Reply::Now(answer))
            }
            Err(reason) => {
                encode_error(&mut answer, &reason.to_string());
                Ok(Reply::Last(answer, reason))
            }
        }
    }

    /// Hands events on and makes the answer. The share goes back when the channels have the events.
    async fn append(&self, events: Vec<Event>, mut answer: BytesMut, _share: Share) -> BytesMut {
        let result = match events.is_empty() {
            true => Ok(()),
            false => self.processor.process(Batch::new(events)).await,
        };
        let status = match result {
            Ok(()) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    self.health.set(HealthState::Running);
                }
                Status::Ok
            }
            Err(error) => {
                // A full channel refuses every request of every client: one line tells it.
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(source = %self.name, peer = %self.peer, %error, "events not accepted");
                }
                self.health.failed(self.clock.now(), &error);
                Status::Failed
            }
        };
        encode_status(&mut answer, status);
        answer
    }
}
