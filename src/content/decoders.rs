//! The memory of decoders, which an outsider's content asks for, within what the process has.
//!
//! A zstd frame may ask for 128 MiB, and any number of layers are under way at once. Decoders of
//! layers take turns within [`budget`]. The decoder of an archive that is compressed as a whole does
//! not wait, since it feeds the others; what it uses is not theirs.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The variable in which Lambda says how many MiB the function has.
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// MiB of a process that is no Lambda.
const USUAL: u32 = 2048;
const MEBIBYTE: u64 = 1 << 20;

static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(budget() as usize));
static OF_ARCHIVES: AtomicU32 = AtomicU32::new(0);

/// MiB that the process may use.
pub fn process_memory() -> u32 {
    static OF_PROCESS: LazyLock<u32> = LazyLock::new(|| {
        let told = std::env::var(MEMORY).ok();
        told.and_then(|text| text.parse().ok()).unwrap_or(USUAL)
    });
    *OF_PROCESS
}

/// MiB that decoders may use together: half of the process's.
fn budget() -> u32 {
    process_memory() / 2
}

/// Content that takes more memory to decompress than there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it takes {needed} MiB to decompress, and there are {available}: give the function more memory, \
     or compress it with a smaller window"
)]
pub struct TooMuchMemory {
    needed: u32,
    available: u32,
}

/// The memory of a layer's decoder, until this is dropped.
pub(crate) struct DecoderMemory {
    _turn: SemaphorePermit<'static>,
}

impl DecoderMemory {
    /// Waits until a decoder may use so many bytes.
    pub(crate) async fn take(bytes: u64) -> Result<Self, TooMuchMemory> {
        let needed = mebibytes(bytes);
        let available = budget().saturating_sub(OF_ARCHIVES.load(Ordering::Relaxed));
        let too_much = TooMuchMemory { needed, available };
        // What never fits would wait forever.
        if needed > available {
            return Err(too_much);
        }
        // The semaphore is never closed.
        let turn = TURNS.acquire_many(needed).await.map_err(|_| too_much)?;
        Ok(Self { _turn: turn })
    }
}

/// The memory of the decoder of a whole archive, until this is dropped.
pub(crate) struct ArchiveMemory(u32);

impl ArchiveMemory {
    pub(crate) fn take(bytes: u64) -> Result<Self, TooMuchMemory> {
        let (needed, available) = (mebibytes(bytes), budget());
        if needed > available {
            return Err(TooMuchMemory { needed, available });
        }
        OF_ARCHIVES.fetch_add(needed, Ordering::Relaxed);
        Ok(Self(needed))
    }
}

impl Drop for ArchiveMemory {
    fn drop(&mut self) {
        OF_ARCHIVES.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn decoders_take_turns_and_what_never_fits_is_told() {
        let all = u64::from(budget()) * MEBIBYTE;
        let first = DecoderMemory::take(all).await.unwrap();
        let waiting = tokio::spawn(async move { DecoderMemory::take(all).await.is_ok() });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap());
        let error = DecoderMemory::take(all + 1).await.err().unwrap();
        assert!(error.to_string().contains("more memory"), "{error}");
        let error = ArchiveMemory::take(all + 1).err().unwrap();
        assert!(error.to_string().contains("more memory"), "{error}");
    }
}
