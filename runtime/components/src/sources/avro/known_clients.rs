//! The digests of protocols that clients have shown to mean the same as ours, so that their next connection need
//! not send the text again.

use parking_lot::Mutex;

use crate::avro_rpc::{AvroError, HandshakeRequest, Hash, MD5, is_compatible, md5};

/// Protocols differ by library and version, not by client: a few are enough. The oldest is forgotten.
const KNOWN_MAX: usize = 64;

/// Shared by all connections of a source.
#[derive(Debug, Default)]
pub(super) struct KnownClients {
    hashes: Mutex<Vec<Hash>>,
}

impl KnownClients {
    /// Whether the client's protocol is known, now or from before.
    pub(super) fn knows(&self, request: &HandshakeRequest) -> Result<bool, AvroError> {
        if request.client_hash == MD5 || self.hashes.lock().contains(&request.client_hash) {
            return Ok(true);
        }
        let Some(text) = &request.client_protocol else { return Ok(false) };
        is_compatible(text)?;
        // Kept only when it is true: a digest that stands for another text would fool later clients.
        if md5(text) == request.client_hash {
            let mut hashes = self.hashes.lock();
            if hashes.len() >= KNOWN_MAX {
                hashes.remove(0);
            }
            hashes.push(request.client_hash);
        }
        Ok(true)
    }
}
