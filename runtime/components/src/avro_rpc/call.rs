//! Requests and responses behind the handshake: metadata, the name of the call, its parameter, its answer.

use bytes::{BufMut, BytesMut};
use bytestring::ByteString;
use millrace_core::Event;

use super::{
    error::AvroError,
    event::{Decoder, EventLimits, put_events},
    wire::{Reader, put_bytes, put_long},
};

/// Flume's answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// All events are where they shall be.
    Ok,
    /// They are not; the client tries again.
    Failed,
    /// The server cannot tell.
    Unknown,
}

/// What a client asks for.
#[derive(Debug)]
pub(crate) enum Call {
    /// Nothing: the request carries a handshake only.
    Ping,
    /// `append` or `appendBatch`: take these events.
    Append(Vec<Event>),
    /// Something this protocol does not have.
    Unknown(ByteString),
}

/// A response without its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    /// The call was made.
    Status(Status),
    /// The call could not be made; what the server says.
    Error(ByteString),
}

/// Reads a call.
pub(crate) fn read_call(reader: &mut Reader, limits: EventLimits) -> Result<Call, AvroError> {
    reader.skip_metadata()?;
    let name = reader.text("name of the call")?;
    Ok(match &*name {
        "" => Call::Ping,
        "append" => Call::Append(vec![Decoder::new(limits).event(reader)?]),
        "appendBatch" => Call::Append(Decoder::new(limits).events(reader)?),
        _ => Call::Unknown(name),
    })
}

/// Writes a call of `appendBatch`.
pub(crate) fn encode_append_batch(out: &mut BytesMut, events: &[Event]) {
    out.reserve(super::event::encoded_size_hint(events));
    put_long(out, 0);
    put_bytes(out, b"appendBatch");
    put_events(out, events);
}

/// Reads the answer to `append` or `appendBatch`.
pub(crate) fn read_response(reader: &mut Reader) -> Result<Response, AvroError> {
    reader.skip_metadata()?;
    if reader.boolean("error flag")? {
        // The only error these calls declare is the one every call has: a string.
        reader.branch("kind of error", 1)?;
        return Ok(Response::Error(reader.text("error")?));
    }
    Ok(Response::Status(match reader.branch("status", 3)? {
        0 => Status::Ok,
        1 => Status::Failed,
        _ => Status::Unknown,
    }))
}

/// Writes the answer to a call that was made.
pub(crate) fn encode_status(out: &mut BytesMut, status: Status) {
    out.put_slice(&[0, 0]);
    put_long(
        out,
        match status {
            Status::Ok => 0,
            Status::Failed => 1,
            Status::Unknown => 2,
        },
    );
}

/// Writes the answer to a call that could not be made.
pub(crate) fn encode_error(out: &mut BytesMut, reason: &str) {
    out.put_slice(&[0, 1]);
    put_long(out, 0);
    put_bytes(out, reason.as_bytes());
}

/// Writes the answer to a handshake without a call.
pub(crate) fn encode_ping_answer(out: &mut BytesMut) {
    out.put_slice(&[0, 0]);
}
