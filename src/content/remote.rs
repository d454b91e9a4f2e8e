//! Objects that are reached by requests for ranges.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt, stream};

use super::{ByteStream, Error, RangeRead, Result, resuming, waiting};

/// The longest wait for more of the first bytes.
const STALL: Duration = Duration::from_secs(10);

/// Asks for a range, which is not empty, of an object as it was when it was opened, and gives its
/// bytes as they come.
pub type GetRange = Arc<dyn Fn(Range<u64>) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// An object that is read by requests, and whose first bytes are at hand.
pub struct RemoteObject {
    name: String,
    size: u64,
    head: Bytes,
    get: GetRange,
}

impl RemoteObject {
    /// Bytes that the request which opens an object asks for, so that it brings its size and them.
    pub const HEAD: u64 = 256 << 10;

    /// An object of `size` bytes. `first` is the answer to the request that opened it, from which
    /// the first [`RemoteObject::HEAD`] bytes are kept; what does not come of them is read again
    /// when it is needed.
    pub async fn open(name: String, size: u64, first: ByteStream, get: GetRange) -> Self {
        let first = waiting(first, || format!("bytes of {name}"));
        let head = head(first, size.min(Self::HEAD)).await;
        Self {
            name,
            size,
            head,
            get,
        }
    }

    /// An object without a byte, for which nothing is ever asked.
    pub fn empty(name: String) -> Self {
        Self {
            name,
            size: 0,
            head: Bytes::new(),
            get: Arc::new(|_| ready(Ok(stream::empty().boxed())).boxed()),
        }
    }

    fn stream(&self, range: Range<u64>) -> Result<ByteStream> {
        if range.start > range.end || range.end > self.size {
            return Err(Error::Size {
                expected: range.end,
                actual: self.size,
            });
        }
        let from_head = range.end.min(self.head.len() as u64);
        if range.start >= from_head {
            return Ok(self.remote(range));
        }
        let rest = self.remote(from_head..range.end);
        let bounds = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(from_head).ok());
        let first = bounds.map(|(start, end)| self.head.slice(start..end));
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    fn remote(&self, range: Range<u64>) -> ByteStream {
        let (get, end) = (Arc::clone(&self.get), range.end);
        let stream = resuming(range.start, end, Arc::new(move |offset| get(offset..end)));
        waiting(stream, || format!("bytes of {}", self.name))
    }
}

impl RangeRead for RemoteObject {
    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>> {
        ready(self.stream(range)).boxed()
    }
}

/// Up to `limit` bytes of a body.
async fn head(mut body: ByteStream, limit: u64) -> Bytes {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut head = BytesMut::with_capacity(limit);
    while head.len() < limit {
        let Ok(Some(Ok(piece))) = tokio::time::timeout(STALL, body.next()).await else {
            break;
        };
        let wanted = piece.len().min(limit - head.len());
        head.extend_from_slice(&piece[..wanted]);
    }
    head.freeze()
}
