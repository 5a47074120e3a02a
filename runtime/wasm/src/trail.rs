//! The positions that a source has left behind: what tells a position that goes back from one that goes on.
//!
//! A position that comes again means that events would come twice. So checksums of the last positions are kept with the
//! position itself, in the same commit: a source that is started again, by its supervisor, by a reload or with the
//! agent, is still held to what it committed before.
//!
//! Layout, beside the position: the position that was left as the n-th is the key `behind/` and n modulo
//! [`REMEMBERED`], its value n and the checksum, both as eight bytes with the big end first. An entry of another form
//! is no entry.

use std::collections::VecDeque;

use bytes::Bytes;
use millrace_core::Positions;
use sha2::{Digest, Sha256};

/// Positions that are remembered.
const REMEMBERED: usize = 256;

const PREFIX: &str = "behind/";

/// The last positions before the one where the source stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    /// Their checksums, the oldest first; at most [`REMEMBERED`].
    left: VecDeque<u64>,
    /// The number of the next one to be left.
    next: u64,
}

impl Trail {
    /// What was committed with the position `at`.
    pub(crate) fn read(positions: &Positions, at: Option<&[u8]>) -> Self {
        let mut entries: Vec<(u64, u64)> = positions
            .iter()
            .filter(|(key, _)| key.starts_with(PREFIX.as_bytes()))
            .filter_map(|(_, value)| {
                let (number, checksum) = value.split_first_chunk::<8>()?;
                Some((u64::from_be_bytes(*number), u64::from_be_bytes(checksum.try_into().ok()?)))
            })
            .collect();
        entries.sort_unstable();
        // Positions that moved from channel to channel may be older than what else is there: nothing that follows the
        // place where the source stands is behind it.
        if let Some(own) = at.map(checksum)
            && let Some(ahead) = entries.iter().position(|(_, checksum)| *checksum == own)
        {
            entries.truncate(ahead);
        }
        let older = entries.len().saturating_sub(REMEMBERED);
        let next = entries.last().map_or(0, |(number, _)| number.wrapping_add(1));
        Self { left: entries.into_iter().skip(older).map(|(_, checksum)| checksum).collect(), next }
    }

    /// How many answers ago a position was left; None: it was not.
    pub(crate) fn answers_ago(&self, position: &[u8]) -> Option<usize> {
        let checksum = checksum(position);
        self.left.iter().rev().position(|left| *left == checksum).map(|ago| ago + 1)
    }

    /// The entry to be committed with the position that follows this one.
    pub(crate) fn entry(&self, position: &[u8]) -> (Bytes, Bytes) {
        let key = format!("{PREFIX}{}", self.next % REMEMBERED as u64);
        let value = [self.next.to_be_bytes(), checksum(position).to_be_bytes()].concat();
        (key.into(), value.into())
    }

    /// The entry of this position is committed.
    pub(crate) fn leave(&mut self, position: &[u8]) {
        self.left.push_back(checksum(position));
        if self.left.len() > REMEMBERED {
            self.left.pop_front();
        }
        self.next = self.next.wrapping_add(1);
    }
}

/// The same in every version of the agent, since it is stored.
fn checksum(position: &[u8]) -> u64 {
    let digest = Sha256::digest(position);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millrace_core::{PositionUpdate, Positions};

    use super::{REMEMBERED, Trail};

    fn walk(positions: &mut Positions, trail: &mut Trail, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let place = number.to_string();
            let (key, value) = trail.entry(place.as_bytes());
            PositionUpdate::set("s".into(), key, value).apply_to(positions);
            trail.leave(place.as_bytes());
        }
    }

    #[test]
    fn what_was_left_is_known_again_after_it_was_stored() {
        let (mut positions, mut trail) = (Positions::default(), Trail::default());
        assert_eq!(Trail::read(&positions, None), trail);
        walk(&mut positions, &mut trail, 0..5);
        assert_eq!((trail.answers_ago(b"4"), trail.answers_ago(b"0")), (Some(1), Some(5)));
        assert_eq!(trail.answers_ago(b"5"), None);
        let mut again = Trail::read(&positions, Some(b"5"));
        assert_eq!(again, trail);
        // It goes on where it was, not over it.
        walk(&mut positions, &mut again, 5..600);
        assert_eq!(positions.len(), REMEMBERED);
        let last = Trail::read(&positions, Some(b"600"));
        assert_eq!(last, again);
        assert_eq!((last.answers_ago(b"344"), last.answers_ago(b"343")), (Some(256), None));
    }

    #[test]
    fn what_is_ahead_of_the_position_is_not_behind_it() {
        let (mut positions, mut trail) = (Positions::default(), Trail::default());
        walk(&mut positions, &mut trail, 0..9);
        let older = Trail::read(&positions, Some(b"4"));
        assert_eq!((older.answers_ago(b"3"), older.answers_ago(b"5")), (Some(1), None));
        assert_eq!(older.entry(b"4"), trail_of(0..4).entry(b"4"));
    }

    fn trail_of(numbers: std::ops::Range<u32>) -> Trail {
        let mut trail = Trail::default();
        walk(&mut Positions::default(), &mut trail, numbers);
        trail
    }

    #[test]
    fn entries_of_another_form_are_none() {
        let mut positions = Positions::default();
        for (key, value) in
            [("position", "0123456789abcdef"), ("behind/0", ""), ("behind/1", "0123456789abcde")]
        {
            positions.insert(Bytes::from(key), Bytes::from(value));
        }
        assert_eq!(Trail::read(&positions, None), Trail::default());
    }
}
