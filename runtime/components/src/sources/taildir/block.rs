//! Blocks of memory that files are read into and events are slices of. A block goes back when its last event
//! is gone, so a steady flow allocates nothing.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// How much is read at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// Room for the bytes read again for comparison.
const BLOCK_CAPACITY: usize = BLOCK_BYTES + 512;
const BLOCKS_KEPT_MAX: usize = 16;

/// Where blocks come from.
#[derive(Clone, Default)]
pub(super) struct BlockPool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl BlockPool {
    /// An empty block for at least this many bytes; small and very large ones are not kept.
    pub(super) fn take(&self, capacity: usize) -> Vec<u8> {
        if !is_kept(capacity) {
            return Vec::with_capacity(capacity);
        }
        let free = self.free.lock().pop();
        free.unwrap_or_else(|| Vec::with_capacity(BLOCK_CAPACITY))
    }

    /// The filled block, to be sliced.
    pub(super) fn share(&self, block: Vec<u8>) -> Bytes {
        if block.capacity() != BLOCK_CAPACITY {
            return block.into();
        }
        Bytes::from_owner(SharedBlock { block, pool: self.clone() })
    }
}

fn is_kept(capacity: usize) -> bool {
    capacity > BLOCK_BYTES / 2 && capacity <= BLOCK_CAPACITY
}

struct SharedBlock {
    block: Vec<u8>,
    pool: BlockPool,
}

impl AsRef<[u8]> for SharedBlock {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let mut free = self.pool.free.lock();
        if free.len() < BLOCKS_KEPT_MAX {
            free.push(block);
        }
    }
}
