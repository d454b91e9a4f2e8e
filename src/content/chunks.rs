//! The memory of chunks, which registries that refuse whole blobs ask for: each is held until the
//! registry has it, for every blob under way and every destination.

use std::sync::LazyLock;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::decoders::process_memory;

const MEBIBYTE: u64 = 1 << 20;
/// The least that there is, in MiB: enough for any one chunk.
const LEAST: u32 = 16;
/// What one chunk gets of what is left, so that many are under way with little memory.
const PART: usize = 8;

static LEFT: LazyLock<Semaphore> = LazyLock::new(|| {
    let all = (process_memory() / 4).max(LEAST);
    Semaphore::new(all as usize)
});

/// The memory of one chunk, until this is dropped.
pub(crate) struct ChunkMemory {
    turn: SemaphorePermit<'static>,
}

impl ChunkMemory {
    /// Waits until there is memory for a chunk of `least` bytes, and takes more where much is left,
    /// up to `most`.
    pub(crate) async fn take(least: u64, most: u64) -> Self {
        let most = mebibytes(most).clamp(1, LEAST);
        let least = mebibytes(least).clamp(1, most);
        let fair = u32::try_from(LEFT.available_permits() / PART).unwrap_or(most);
        let turn = LEFT.acquire_many(fair.clamp(least, most)).await;
        Self {
            turn: turn.expect("it is never closed"),
        }
    }

    /// How many bytes the chunk may have.
    pub(crate) fn bytes(&self) -> u64 {
        self.turn.num_permits() as u64 * MEBIBYTE
    }
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_get_smaller_and_then_wait() {
        let mut held = Vec::new();
        while LEFT.available_permits() > 0 {
            held.push(ChunkMemory::take(0, 8 << 20).await);
        }
        assert_eq!(held[0].bytes(), 8 << 20);
        assert_eq!(held.last().unwrap().bytes(), 1 << 20);
        let waiting = tokio::spawn(ChunkMemory::take(16 << 20, 16 << 20));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        held.clear();
        let waited = waiting.await.unwrap();
        assert_eq!(waited.bytes(), 16 << 20);
    }
}
