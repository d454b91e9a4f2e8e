//! Reading a long range as several at once, in order, within a bounded window.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::task::Task;
use super::{Buffer, ByteStream, Error, RangeRead, Result};

/// How long ranges are read: in parts, some of them at once.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Bytes of one request.
    pub part: u64,
    /// Requests under way or waiting to be consumed, over all ranges that are read at the same
    /// time, among whom they are shared out; each has one at least. Memory is at most `part` times
    /// this, and one part more for each range.
    pub ahead: usize,
}

impl Windows {
    /// Measured over loopback, and behind the latency of S3: see docs/performance.md.
    pub const DEFAULT: Self = Self {
        part: 2 << 20,
        ahead: 8,
    };
}

/// Requests that a range begins with, where its share is no smaller.
const FIRST: usize = 2;

/// The bytes of `range` of `object`, by parallel reads of bounded memory, in order.
pub fn stream_ranges(
    object: Arc<dyn RangeRead>,
    range: Range<u64>,
    windows: Windows,
) -> ByteStream {
    let parts = Parts {
        object,
        rest: range,
        windows,
        under_way: FuturesOrdered::new(),
        allowed: FIRST,
        _reader: Reader::new(),
    };
    stream::try_unfold(parts, Parts::next)
        .map_ok(|blocks| stream::iter(blocks.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// The parts of a range.
struct Parts {
    object: Arc<dyn RangeRead>,
    /// What no request was made for yet.
    rest: Range<u64>,
    windows: Windows,
    under_way: FuturesOrdered<Task<Result<Vec<Bytes>>>>,
    /// Requests that may be under way as far as this range goes: one more with each part that came,
    /// so that ranges that begin at the same time do not all begin as if they were alone.
    allowed: usize,
    _reader: Reader,
}

impl Parts {
    async fn next(mut self) -> Result<Option<(Vec<Bytes>, Self)>> {
        let allowed = self.allowed.min(Reader::share(self.windows.ahead));
        while !self.rest.is_empty() && self.under_way.len() < allowed.max(1) {
            self.request();
        }
        let blocks = self.under_way.try_next().await?;
        self.allowed = allowed + 1;
        Ok(blocks.map(|blocks| (blocks, self)))
    }

    fn request(&mut self) {
        let object = Arc::clone(&self.object);
        let end = self.rest.start.saturating_add(self.windows.part);
        let part = self.rest.start..end.min(self.rest.end);
        self.rest.start = part.end;
        let read = async move {
            let length = part.end - part.start;
            in_blocks(object.read(part).await?, length).await
        };
        self.under_way.push_back(Task::spawn(read));
    }
}

/// One of those who read ranges at the same time.
struct Reader(());

/// How many there are.
static READERS: AtomicUsize = AtomicUsize::new(0);

impl Reader {
    fn new() -> Self {
        READERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// What each of them has of `all`.
    fn share(all: usize) -> usize {
        all / READERS.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads a stream of exactly `length` bytes into buffers.
async fn in_blocks(mut stream: ByteStream, length: u64) -> Result<Vec<Bytes>> {
    let wrong = |actual| Error::Size {
        expected: length,
        actual,
    };
    let mut blocks = Vec::new();
    let mut block = Buffer::take();
    let mut actual = 0;
    while let Some(mut piece) = stream.next().await.transpose()? {
        actual += piece.len() as u64;
        if actual > length {
            return Err(wrong(actual));
        }
        while !piece.is_empty() {
            let room = Buffer::BLOCK - block.len();
            block.extend(&piece.split_to(piece.len().min(room)));
            if block.len() == Buffer::BLOCK {
                blocks.push(mem::replace(&mut block, Buffer::take()).freeze());
            }
        }
    }
    if actual < length {
        return Err(wrong(actual));
    }
    if !block.is_empty() {
        blocks.push(block.freeze());
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, ready};
    use proptest::prelude::*;

    use super::*;
    use crate::content::{MemoryObject, collect};

    fn bytes(length: usize) -> Vec<u8> {
        (0..=255).cycle().take(length).collect()
    }

    proptest! {
        #[test]
        fn yields_the_range_in_order(start in 0_usize..300, len in 0_usize..300, part in 1_u64..64, ahead in 0_usize..5) {
            let bytes = bytes(600);
            let object = Arc::new(MemoryObject::new("test", bytes.clone()));
            let range = start as u64..(start + len) as u64;
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(async {
                collect(stream_ranges(object, range, Windows { part, ahead }), 600).await
            });
            prop_assert_eq!(&read.unwrap()[..], &bytes[start..start + len]);
        }
    }

    #[tokio::test]
    async fn parts_longer_than_a_buffer_are_whole() {
        let bytes = bytes(5 * Buffer::BLOCK / 2);
        let object = Arc::new(MemoryObject::new("test", bytes.clone()));
        let windows = Windows {
            part: 1 << 40,
            ahead: 3,
        };
        let read = stream_ranges(object, 1..bytes.len() as u64, windows);
        assert!(collect(read, 1 << 30).await.unwrap() == bytes[1..]);
    }

    /// Notes what is asked for, and answers with `short` bytes less.
    struct Asked {
        ranges: Mutex<Vec<Range<u64>>>,
        short: u64,
    }

    impl RangeRead for Asked {
        fn size(&self) -> u64 {
            1000
        }

        fn name(&self) -> &'static str {
            "test"
        }

        fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>> {
            self.ranges.lock().unwrap().push(range.clone());
            let length = usize::try_from(range.end - range.start - self.short).unwrap();
            let bytes = Bytes::from(vec![0; length]);
            ready(Ok(stream::iter([Ok(bytes)]).boxed())).boxed()
        }
    }

    fn asked(short: u64) -> Arc<Asked> {
        let ranges = Mutex::default();
        Arc::new(Asked { ranges, short })
    }

    #[tokio::test]
    async fn no_more_than_its_share_is_asked_for_before_it_is_consumed() {
        let windows = Windows { part: 10, ahead: 5 };
        let object = asked(0);
        let mut stream = stream_ranges(object.clone(), 0..1000, windows);
        for consumed in 1..=20 {
            stream.next().await.unwrap().unwrap();
            tokio::task::yield_now().await;
            let asked = object.ranges.lock().unwrap().len();
            assert!(asked < consumed + windows.ahead, "{asked} after {consumed}");
        }
        drop(stream);
        tokio::task::yield_now().await;
        assert!(object.ranges.lock().unwrap().len() < 20 + windows.ahead);
    }

    #[tokio::test]
    async fn a_part_that_is_too_short_is_an_error() {
        let windows = Windows { part: 10, ahead: 1 };
        let read = collect(stream_ranges(asked(3), 0..100, windows), 100).await;
        let error = read.unwrap_err();
        assert_eq!(error.to_string(), "size mismatch: expected 10 bytes, got 7");
    }
}
