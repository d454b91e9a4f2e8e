//! Going on where a broken stream stopped.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};

use super::{ByteStream, Error, Result};

/// Reopens content at an absolute offset.
pub type Reopen = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// The number of times that a stream is reopened without [`PROGRESS`].
const ATTEMPTS_WITHOUT_PROGRESS: u32 = 4;
/// Bytes that are worth another attempt. Without such a bound, a server that breaks off each answer
/// after a few bytes is asked again for as long as there is time.
const PROGRESS: u64 = 64 << 10;
/// The longest time in which an open stream may yield nothing.
const STALL: Duration = Duration::from_secs(30);

/// A stream over the bytes from `start` to `end` that goes on by itself where one of the streams
/// behind it breaks, stalls or ends early. Gives up when several in a row brought next
/// to nothing.
pub fn resuming(start: u64, end: u64, reopen: Reopen) -> ByteStream {
    let state = Resume {
        offset: start,
        end,
        reopen,
        stream: None,
        failures: 0,
        gained: 0,
    };
    stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(state))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Resume {
    offset: u64,
    end: u64,
    reopen: Reopen,
    stream: Option<ByteStream>,
    failures: u32,
    /// Bytes since the first of these failures.
    gained: u64,
}

impl Resume {
    async fn next(&mut self) -> Result<Option<bytes::Bytes>> {
        while self.offset < self.end {
            match self.attempt().await {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    self.advance(piece.len() as u64);
                    return Ok(Some(piece));
                }
                Err(error) => self.recover(error).await?,
            }
        }
        Ok(None)
    }

    fn advance(&mut self, bytes: u64) {
        self.offset += bytes;
        self.gained += bytes;
        if self.gained >= PROGRESS {
            self.failures = 0;
        }
    }

    async fn attempt(&mut self) -> Result<bytes::Bytes> {
        if self.stream.is_none() {
            self.stream = Some((self.reopen)(self.offset).await?);
        }
        let Some(stream) = self.stream.as_mut() else {
            return Ok(bytes::Bytes::new());
        };
        let piece = match tokio::time::timeout(STALL, stream.next()).await {
            Ok(Some(piece)) => piece?,
            Ok(None) => return Err(self.ended_early()),
            Err(_) => return Err(Error::Stalled { after: STALL }),
        };
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        Ok(piece.slice(..piece.len().min(left)))
    }

    fn ended_early(&self) -> Error {
        Error::Size {
            expected: self.end,
            actual: self.offset,
        }
    }

    async fn recover(&mut self, error: Error) -> Result<()> {
        self.stream = None;
        if self.failures == 0 {
            self.gained = 0;
        }
        self.failures += 1;
        if !error.is_retryable() || self.failures >= ATTEMPTS_WITHOUT_PROGRESS {
            return Err(error);
        }
        let base = 100 * 2_u64.pow(self.failures);
        tokio::time::sleep(Duration::from_millis(base + fastrand::u64(0..base))).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::collect;
    use bytes::Bytes;
    use std::sync::atomic::{AtomicU32, Ordering};

    const TEXT: &[u8] = b"0123456789";

    /// Yields so many bytes of `text` from wherever it is opened, then breaks off.
    fn a_few_at_a_time(text: Bytes, few: usize, opened: Arc<AtomicU32>) -> Reopen {
        Arc::new(move |offset| {
            opened.fetch_add(1, Ordering::Relaxed);
            let rest = text.slice(usize::try_from(offset).unwrap()..);
            let piece = rest.slice(..rest.len().min(few));
            Box::pin(async move { Ok(stream::iter([Ok(piece)]).boxed()) })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_where_it_broke() {
        let opened = Arc::default();
        let reopen = a_few_at_a_time(Bytes::from_static(TEXT), 3, Arc::clone(&opened));
        let stream = resuming(1, 10, reopen);
        assert_eq!(collect(stream, 100).await.unwrap(), TEXT[1..]);
        assert_eq!(opened.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_for_as_long_as_much_comes() {
        let text = Bytes::from(vec![7; 1_000_000]);
        let opened = Arc::default();
        let reopen = a_few_at_a_time(text.clone(), 40_000, Arc::clone(&opened));
        let stream = resuming(0, 1_000_000, reopen);
        assert_eq!(collect(stream, 1_000_000).await.unwrap(), text);
        assert_eq!(opened.load(Ordering::Relaxed), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_next_to_nothing_comes() {
        let opened = Arc::default();
        let text = Bytes::from(vec![7; 1_000_000]);
        let reopen = a_few_at_a_time(text, 9, Arc::clone(&opened));
        let error = collect(resuming(0, 1_000_000, reopen), 1_000_000).await;
        assert!(error.unwrap_err().is_retryable());
        assert_eq!(opened.load(Ordering::Relaxed), ATTEMPTS_WITHOUT_PROGRESS);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_nothing_comes() {
        let opened: Arc<AtomicU32> = Arc::default();
        let counter = Arc::clone(&opened);
        let reopen: Reopen = Arc::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(stream::pending().boxed()) })
        });
        let error = collect(resuming(0, 10, reopen), 100).await.unwrap_err();
        assert!(matches!(error, Error::Stalled { .. }), "{error}");
        assert_eq!(opened.load(Ordering::Relaxed), ATTEMPTS_WITHOUT_PROGRESS);
    }
}
