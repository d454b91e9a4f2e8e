//! The memory of decoders, which an outsider's content asks for, within what the process has.
//!
//! A zstd frame may ask for 128 MiB, and any number of layers are under way at once. Decoders of
//! layers take turns within [`budget`]. The decoder of an archive that is compressed as a whole does
//! not wait for them, since it feeds them; what it uses is not theirs. It waits for that of another
//! pass or archive.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The variable in which Lambda says how many MiB the function has.
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// MiB of a process that is no Lambda.
const USUAL: u32 = 2048;
const MEBIBYTE: u64 = 1 << 20;

static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(budget() as usize));
static OF_ARCHIVES: Archives = Archives::new();

/// MiB that decoders of archives use.
struct Archives {
    used: Mutex<u32>,
    ended: Condvar,
}

impl Archives {
    const fn new() -> Self {
        Self {
            used: Mutex::new(0),
            ended: Condvar::new(),
        }
    }

    fn used(&self) -> MutexGuard<'_, u32> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until there are as many, of `all`.
    fn take(&self, needed: u32, all: u32) {
        let waited = self
            .ended
            .wait_while(self.used(), |used| *used + needed > all);
        *waited.unwrap_or_else(PoisonError::into_inner) += needed;
    }

    fn give_back(&self, taken: u32) {
        *self.used() -= taken;
        self.ended.notify_all();
    }
}

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
        let available = budget().saturating_sub(*OF_ARCHIVES.used());
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
    /// Blocks until a decoder may use so many bytes: that of the pass before may not have noticed
    /// yet that nobody reads on.
    pub(crate) fn take(bytes: u64) -> Result<Self, TooMuchMemory> {
        let (needed, available) = (mebibytes(bytes), budget());
        if needed > available {
            return Err(TooMuchMemory { needed, available });
        }
        OF_ARCHIVES.take(needed, available);
        Ok(Self(needed))
    }
}

impl Drop for ArchiveMemory {
    fn drop(&mut self) {
        OF_ARCHIVES.give_back(self.0);
    }
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_decoder_of_the_next_pass_waits_for_the_one_before() {
        let archives = Archives::new();
        archives.take(96, 128);
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| {
                begun.wait();
                archives.take(96, 128);
                *archives.used()
            });
            begun.wait();
            // Time in which one that does not wait comes to its end.
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!next.is_finished());
            archives.give_back(96);
            assert_eq!(next.join().unwrap(), 96);
        });
        assert_eq!(*archives.used(), 96);
    }

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
