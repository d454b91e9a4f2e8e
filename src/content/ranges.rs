//! Reading a long range as several at once, in order, within a bounded window.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{ByteStream, RangeRead, collect_exactly};

/// How a long range is read: in parts, some of them at once.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Bytes of one request.
    pub part: u64,
    /// Requests under way or waiting to be consumed. Memory is at most `part` times this.
    pub ahead: usize,
}

impl Windows {
    /// Measured on one layer over loopback and chosen for memory: see docs/performance.md.
    pub const DEFAULT: Self = Self {
        part: 2 << 20,
        ahead: 3,
    };
}

/// The bytes of `range` of `object`, by parallel reads of bounded memory, in order.
pub fn stream_ranges(
    object: Arc<dyn RangeRead>,
    range: Range<u64>,
    windows: Windows,
) -> ByteStream {
    stream::iter(parts(range, windows.part))
        .map(move |part| {
            let object = Arc::clone(&object);
            async move {
                let length = part.end - part.start;
                collect_exactly(object.read(part).await?, length).await
            }
        })
        .buffered(windows.ahead)
        .try_filter(|piece| std::future::ready(!piece.is_empty()))
        .boxed()
}

fn parts(range: Range<u64>, part: u64) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    std::iter::successors(Some(range.start), move |start| start.checked_add(part))
        .take_while(move |start| *start < end)
        .map(move |start| start..end.min(start + part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{MemoryObject, collect};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn yields_the_range_in_order(start in 0_u64..300, len in 0_u64..300, part in 1_u64..64, ahead in 1_usize..5) {
            let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
            let range = start..start + len;
            let expected = bytes[usize::try_from(start).unwrap()..usize::try_from(start + len).unwrap()].to_vec();
            let object = Arc::new(MemoryObject::new("test", bytes));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(collect(stream_ranges(object, range, Windows { part, ahead }), 600));
            prop_assert_eq!(read.unwrap().to_vec(), expected);
        }
    }
}
