//! What is noted about one delivery.

use bytes::Bytes;
use millrace_core::{Batch, Delivery, DeliveryToken, Taken};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What is noted about a delivery. The latest note about the same rows counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    id: String,
    /// Of the last attempt.
    attempt: u32,
    /// The rows of the batch; None: its channel does not number them, so there is no resuming.
    taken: Option<Taken>,
    /// Which of these rows are delivered under this id, where others were delivered before. None: all.
    pub(crate) rows: Option<Vec<u32>>,
    /// What is prepared and not yet committed at the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "in_hex")]
    tokens: Vec<DeliveryToken>,
    /// Nothing is left to be delivered: only the take is to be committed. With the checksum of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<u32>,
    /// Goes up from one note to the next, over all runners of the sink.
    #[serde(default)]
    pub(super) serial: u64,
}

impl Note {
    /// A new name for all rows, or for some of them.
    pub(crate) fn new(taken: Option<Taken>, rows: Option<Vec<u32>>) -> Self {
        let id = Uuid::new_v4().to_string();
        Self { id, attempt: 0, taken, rows, tokens: Vec::new(), done: None, serial: 0 }
    }

    /// The next name, for the rows that are left.
    pub(crate) fn renamed(&self, rows: Vec<u32>) -> Self {
        Self { tokens: self.tokens.clone(), ..Self::new(self.taken, Some(rows)) }
    }

    /// The part of the batch that is to be delivered, with its name and the number of this attempt.
    pub(crate) fn named(&mut self, batch: &Batch) -> Batch {
        self.attempt = self.attempt.saturating_add(1);
        let part = match &self.rows {
            None => batch.clone(),
            Some(rows) => {
                let events = rows.iter().filter_map(|row| batch.events().get(*row as usize).cloned());
                Batch::new(events.collect())
            }
        };
        part.with_delivery(Delivery { id: self.id.as_str().into(), attempt: self.attempt })
    }

    pub(super) fn taken(&self) -> Option<Taken> {
        self.taken
    }

    /// Whether its rows can be told from others when they come again.
    pub(crate) fn is_numbered(&self) -> bool {
        self.taken.is_some()
    }

    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        if self.taken.is_some() { self.taken == other.taken } else { self.id == other.id }
    }

    pub(crate) fn tokens(&self) -> &[DeliveryToken] {
        &self.tokens
    }

    /// Adds what was prepared.
    pub(crate) fn prepared(&mut self, tokens: Vec<DeliveryToken>) {
        self.tokens.extend(tokens);
    }

    /// What was prepared is settled.
    pub(crate) fn settled(&mut self) {
        self.tokens.clear();
    }

    /// Nothing of the batch is left to be delivered.
    pub(crate) fn delivered(&mut self, batch: &Batch) {
        self.done = Some(checksum(batch));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Whether this can be the batch that it speaks of. Places alone are not enough to throw events away: another channel,
    /// or one that began anew, has the same ones.
    pub(super) fn fits(&self, batch: &Batch) -> bool {
        self.done.is_none_or(|sum| sum == checksum(batch))
    }
}

fn checksum(batch: &Batch) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for event in batch.events() {
        for (name, value) in event.headers.iter() {
            for text in [name.as_bytes(), value.as_bytes()] {
                digest.update(&text.len().to_le_bytes());
                digest.update(text);
            }
        }
        digest.update(&event.body.len().to_le_bytes());
        digest.update(&event.body);
    }
    u32::try_from(digest.finalize()).unwrap_or(u32::MAX)
}

/// Tokens are any bytes.
mod in_hex {
    use serde::de::Error;

    use super::{Bytes, Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(tokens: &[Bytes], to: S) -> Result<S::Ok, S::Error> {
        tokens.iter().map(hex::encode).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<Bytes>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| hex::decode(text).map(Bytes::from).map_err(D::Error::custom)).collect()
    }
}
