//! The handshake of Avro RPC: each side says which protocol it speaks, by digest, by text when asked for.

use bytes::BytesMut;
use bytestring::ByteString;

use super::{
    error::AvroError,
    protocol::{Hash, MD5, TEXT},
    wire::{Reader, put_bytes, put_long},
};

use bytes::BufMut;

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandshakeRequest {
    /// The digest of the client's protocol.
    pub(crate) client_hash: Hash,
    /// Its text; only once the server asked for it.
    pub(crate) client_protocol: Option<ByteString>,
    /// What the client believes the server's digest to be.
    pub(crate) server_hash: Hash,
}

/// How a server takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// Both know both: the call was made.
    Both,
    /// The client has to learn the server's protocol; the call was made.
    Client,
    /// The server has to learn the client's protocol: say it all again with the text.
    None,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandshakeResponse {
    /// How it takes the request.
    pub(crate) result: Match,
    /// The text of the server's protocol, unless the client knows it.
    pub(crate) server_protocol: Option<ByteString>,
    /// Its digest, unless the client knows it.
    pub(crate) server_hash: Option<Hash>,
}

impl HandshakeRequest {
    /// Reads one.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, AvroError> {
        let client_hash = reader.fixed("client hash")?;
        let client_protocol = optional_text(reader, "client protocol")?;
        let server_hash = reader.fixed("server hash")?;
        skip_optional_metadata(reader)?;
        Ok(Self { client_hash, client_protocol, server_hash })
    }

    /// Writes it.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        out.put_slice(&self.client_hash);
        put_optional(out, self.client_protocol.as_deref().map(str::as_bytes), put_bytes);
        out.put_slice(&self.server_hash);
        put_long(out, 0);
    }
}

impl HandshakeResponse {
    /// The answer to a client whose protocol is known or not.
    pub(crate) fn to(request: &HandshakeRequest, client_is_known: bool) -> Self {
        let result = match (client_is_known, request.server_hash == MD5) {
            (false, _) => Match::None,
            (true, true) => Match::Both,
            (true, false) => Match::Client,
        };
        let tell = result != Match::Both;
        Self {
            result,
            server_protocol: tell.then(|| ByteString::from_static(TEXT)),
            server_hash: tell.then_some(MD5),
        }
    }

    /// Reads one.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, AvroError> {
        let result = match reader.branch("handshake match", 3)? {
            0 => Match::Both,
            1 => Match::Client,
            _ => Match::None,
        };
        let server_protocol = optional_text(reader, "server protocol")?;
        let server_hash = match reader.branch("server hash", 2)? {
            0 => None,
            _ => Some(reader.fixed("server hash")?),
        };
        skip_optional_metadata(reader)?;
        Ok(Self { result, server_protocol, server_hash })
    }

    /// Writes it.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_long(
            out,
            match self.result {
                Match::Both => 0,
                Match::Client => 1,
                Match::None => 2,
            },
        );
        put_optional(out, self.server_protocol.as_deref().map(str::as_bytes), put_bytes);
        put_optional(out, self.server_hash.as_ref().map(Hash::as_slice), |out, hash| out.put_slice(hash));
        put_long(out, 0);
    }
}

fn optional_text(reader: &mut Reader, what: &'static str) -> Result<Option<ByteString>, AvroError> {
    match reader.branch(what, 2)? {
        0 => Ok(None),
        _ => reader.text(what).map(Some),
    }
}

fn skip_optional_metadata(reader: &mut Reader) -> Result<(), AvroError> {
    match reader.branch("metadata", 2)? {
        0 => Ok(()),
        _ => reader.skip_metadata(),
    }
}

fn put_optional(out: &mut BytesMut, value: Option<&[u8]>, put: impl Fn(&mut BytesMut, &[u8])) {
    match value {
        None => put_long(out, 0),
        Some(value) => {
            put_long(out, 1);
            put(out, value);
        }
    }
}
