//! Keys that are known to be in the state, so that it is not asked for them again.
//!
//! Only what the state has answered is put here, never what was just written: a batch whose commit fails comes
//! again, and its events would be dropped as duplicates of themselves.

use std::collections::{HashMap, VecDeque};

use crate::key::Key;

const ENTRY_BYTES: usize = size_of::<Key>() + size_of::<u64>();

/// A limited number of keys, each with the moment at which its time is over, in nanoseconds since 1970.
pub struct Cache {
    ends: HashMap<Key, u64>,
    /// The order in which they came: the oldest makes room.
    order: VecDeque<Key>,
    keys_max: usize,
}

impl Cache {
    pub fn new(keys_max: usize) -> Self {
        Self { ends: HashMap::new(), order: VecDeque::new(), keys_max }
    }

    /// Gives the moment at which the time of a key is over.
    pub fn ends(&self, key: &Key) -> Option<u64> {
        self.ends.get(key).copied()
    }

    /// Adds a key, or notes that its time is over later.
    pub fn insert(&mut self, key: Key, ends: u64) {
        if self.keys_max == 0 {
            return;
        }
        if self.ends.insert(key, ends).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.keys_max {
            if let Some(oldest) = self.order.pop_front() {
                self.ends.remove(&oldest);
            }
        }
    }

    /// Writes all keys, the oldest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.order.len() * ENTRY_BYTES);
        for key in &self.order {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&self.ends.get(key).copied().unwrap_or(0).to_le_bytes());
        }
        bytes
    }

    /// Reads what another generation wrote. One with a smaller limit keeps the newest.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(format!("{} bytes are not a number of entries", bytes.len()));
        }
        for entry in entries {
            let (Some(key), Some(ends)) = (entry.first_chunk(), entry.last_chunk()) else { continue };
            self.insert(*key, u64::from_le_bytes(*ends));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_key_makes_room() {
        let mut cache = Cache::new(2);
        cache.insert([1; 16], 10);
        cache.insert([2; 16], 20);
        cache.insert([1; 16], 11);
        cache.insert([3; 16], 30);
        assert_eq!([1, 2, 3].map(|key| cache.ends(&[key; 16])), [None, Some(20), Some(30)]);
    }

    #[test]
    fn what_was_written_can_be_read_by_one_with_less_room() {
        let mut cache = Cache::new(3);
        for key in 1..=3 {
            cache.insert([key; 16], key.into());
        }
        let bytes = cache.to_bytes();
        let mut smaller = Cache::new(2);
        smaller.read(&bytes).unwrap();
        assert_eq!([1, 2, 3].map(|key| smaller.ends(&[key; 16])), [None, Some(2), Some(3)]);
        assert_eq!(smaller.read(&bytes[1..]).unwrap_err(), "71 bytes are not a number of entries");
        let mut none = Cache::new(0);
        none.read(&bytes).unwrap();
        assert_eq!(none.to_bytes(), b"");
    }
}
