//! Flume's Avro RPC: what the `avro` source and the `avro` sink share.
//!
//! Avro IPC over the "Netty" framing: one TCP connection, many frames, each a serial number and a list of
//! chunks that together are one request or one response. The first request carries a handshake, with or
//! without a call behind it. No crate offers this protocol, and two calls are all there is to it.
//!
//! | module | holds |
//! |---|---|
//! | `wire` | Avro's primitive types |
//! | `event` | `AvroFlumeEvent` to [`millrace_core::Event`] and back |
//! | `frame` | the framing |
//! | `protocol`, `handshake` | which protocol the other side speaks |
//! | `call` | requests and responses of `append` and `appendBatch` |
//! | `deflate` | the zlib stream around a direction |
//! | `stream` | the only part that touches a socket: bytes to frames and back |
//!
//! Invariants: everything but `stream` is pure; hostile bytes are an error, never a panic, and never make us
//! allocate more than the limits say; bodies and headers are slices of the frame they came in.

mod call;
mod deflate;
mod error;
mod event;
mod frame;
mod handshake;
mod protocol;
mod stream;
mod wire;

pub(crate) use call::{
    Call, Response, Status, encode_append_batch, encode_error, encode_ping_answer, encode_status, read_call,
    read_response,
};
pub(crate) use error::{AvroError, StreamError};
pub(crate) use event::{Decoder, EventLimits, put_event};
pub(crate) use frame::{Frame, FrameLimits, begin_frame, finish_frame};
pub(crate) use handshake::{HandshakeRequest, HandshakeResponse, Match};
pub(crate) use protocol::{Hash, MD5, TEXT, is_compatible, md5};
pub(crate) use stream::{Compression, FrameReader, FrameWriter};
pub(crate) use wire::Reader;

#[cfg(test)]
mod tests;
