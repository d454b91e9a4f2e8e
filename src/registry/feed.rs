//! Large request bodies: sent as their source yields them, and watched while they are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::content::{self, ByteStream, Wait};

/// The state of a body while it is sent.
#[derive(Debug)]
pub(super) struct Feed(Mutex<Progress>);

#[derive(Debug)]
struct Progress {
    sent: u64,
    /// Since when the network, not the body's source, is waited for.
    idle_since: Option<Instant>,
    failure: Option<content::Error>,
    wait: Wait,
}

/// Why a body broke off; its source's own error is in the [`Feed`].
#[derive(Debug, thiserror::Error)]
#[error("the source of the body failed")]
struct SourceFailed;

impl Feed {
    /// A body that yields `stream`, and the view on it.
    /// `what` names the request whose body it is.
    pub(super) fn new(
        mut stream: ByteStream,
        what: impl FnOnce() -> String,
    ) -> (Arc<Self>, reqwest::Body) {
        let feed = Arc::new(Self(Mutex::new(Progress {
            sent: 0,
            idle_since: Some(Instant::now()),
            failure: None,
            wait: Wait::begin(what),
        })));
        let observer = Arc::clone(&feed);
        let body = stream::poll_fn(move |context| {
            let polled = stream.poll_next_unpin(context);
            observer.observe(polled)
        });
        (feed, reqwest::Body::wrap_stream(body))
    }

    fn observe(
        &self,
        polled: Poll<Option<content::Result<bytes::Bytes>>>,
    ) -> Poll<Option<Result<bytes::Bytes, SourceFailed>>> {
        let mut progress = self.lock();
        progress.idle_since = polled.is_ready().then(Instant::now);
        progress.wait.set(polled.is_ready());
        polled.map(|piece| match piece? {
            Ok(piece) => {
                progress.sent += piece.len() as u64;
                Some(Ok(piece))
            }
            Err(error) => {
                progress.failure = Some(error);
                Some(Err(SourceFailed))
            }
        })
    }

    /// Bytes that were taken to be sent.
    pub(super) fn sent(&self) -> u64 {
        self.lock().sent
    }

    /// The source's error, if that is why the body broke off.
    pub(super) fn take_failure(&self) -> Option<content::Error> {
        self.lock().failure.take()
    }

    /// Ends when the network took nothing, and the registry answered nothing, for `limit`.
    /// Time in which the source is waited for does not count: it has bounds of its own.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let idle_since = self.lock().idle_since;
            let deadline = idle_since.unwrap_or_else(Instant::now) + limit;
            if idle_since.is_some() && deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_source_is_no_stall() {
        let (feed, _body) = Feed::new(stream::pending().boxed(), String::new);
        assert!(feed.observe(Poll::Pending).is_pending());
        let stalled = tokio::time::timeout(10 * LIMIT, feed.stalled(LIMIT)).await;
        assert!(stalled.is_err());
        let piece = Poll::Ready(Some(Ok(bytes::Bytes::from_static(b"abc"))));
        assert!(feed.observe(piece).is_ready());
        let started = Instant::now();
        feed.stalled(LIMIT).await;
        assert_eq!(started.elapsed(), LIMIT);
        assert_eq!(feed.sent(), 3);
    }
}
