//! What a request is waiting for, so that one which runs out of time can say it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{ByteStream, Result};

tokio::task_local! {
    static CURRENT: Arc<Waits>;
}

/// What the work of one request is waiting for: the peers that were asked and have not answered.
#[derive(Debug, Default)]
pub struct Waits(Mutex<Vec<Weak<State>>>);

#[derive(Debug)]
struct State {
    what: String,
    /// `None`: the peer is not waited for at the moment.
    since: Mutex<Option<Instant>>,
}

/// One peer that is waited for, until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Wait(Option<Arc<State>>);

impl Waits {
    /// Notes here whatever `work` waits for.
    pub async fn watch<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        CURRENT.scope(Arc::clone(self), work).await
    }

    /// What is waited for the longest, and for how long.
    pub fn longest(&self) -> Option<(String, Duration)> {
        let waits = lock(&self.0);
        let waits = waits.iter().filter_map(Weak::upgrade);
        let waits = waits.filter_map(|wait| Some((wait.what.clone(), (*lock(&wait.since))?)));
        let (what, since) = waits.min_by_key(|(_, since)| *since)?;
        Some((what, since.elapsed()))
    }

    fn add(&self, what: String) -> Wait {
        let state = Arc::new(State {
            what,
            since: Mutex::new(Some(Instant::now())),
        });
        let mut waits = lock(&self.0);
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&state));
        Wait(Some(state))
    }
}

impl Wait {
    /// Begins to wait for `what`, on behalf of the request whose work this is.
    pub(crate) fn begin(what: impl FnOnce() -> String) -> Self {
        CURRENT
            .try_with(|waits| waits.add(what()))
            .unwrap_or_default()
    }

    /// Tells whether the peer is waited for, rather than something else that it needs.
    pub(crate) fn set(&self, is_waiting: bool) {
        let Some(state) = &self.0 else {
            return;
        };
        *lock(&state.since) = is_waiting.then(Instant::now);
    }
}

/// Work that waits on behalf of the same request when another task does it.
pub(super) fn carried<T>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let current = CURRENT.try_with(Arc::clone).ok();
    async move {
        match current {
            Some(current) => CURRENT.scope(current, work).await,
            None => work.await,
        }
    }
}

/// `stream`, whose every piece is waited for as `what`.
pub(crate) fn waiting(mut stream: ByteStream, what: impl FnOnce() -> String) -> ByteStream {
    let wait = Wait::begin(what);
    wait.set(false);
    let mut is_waiting = false;
    stream::poll_fn(move |context| {
        let polled: Poll<Option<Result<Bytes>>> = stream.poll_next_unpin(context);
        if polled.is_pending() != is_waiting {
            is_waiting = polled.is_pending();
            wait.set(is_waiting);
        }
        polled
    })
    .boxed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_is_told_also_of_another_task() {
        let waits = Arc::new(Waits::default());
        let second = Duration::from_secs(1);
        waits
            .watch(async {
                let first = Wait::begin(|| "first".to_owned());
                tokio::time::sleep(second).await;
                let work = carried(async {
                    let _other = Wait::begin(|| "other".to_owned());
                    std::future::pending::<()>().await;
                });
                let other = tokio::spawn(work);
                tokio::time::sleep(second).await;
                assert_eq!(waits.longest(), Some(("first".to_owned(), 2 * second)));
                drop(first);
                assert_eq!(waits.longest(), Some(("other".to_owned(), second)));
                other.abort();
                let _ = other.await;
                assert_eq!(waits.longest(), None);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_waits_only_while_it_has_nothing() {
        let waits = Arc::new(Waits::default());
        waits
            .watch(async {
                let pieces = stream::iter([Ok(Bytes::from_static(b"a"))]);
                let pieces = pieces.chain(stream::pending()).boxed();
                let mut stream = waiting(pieces, || "the stream".to_owned());
                assert_eq!(waits.longest(), None);
                stream.next().await.unwrap().unwrap();
                assert_eq!(waits.longest(), None);
                let second = Duration::from_secs(1);
                let ended = tokio::time::timeout(second, stream.next()).await;
                assert!(ended.is_err());
                assert_eq!(waits.longest(), Some(("the stream".to_owned(), second)));
            })
            .await;
    }
}
