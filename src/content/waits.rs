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

/// Bytes of a body that end a wait for it: fewer are a trickle.
const PROGRESS: usize = 64 << 10;

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
        self.set_since(is_waiting.then(Instant::now));
    }

    fn set_since(&self, since: Option<Instant>) {
        if let Some(state) = &self.0 {
            *lock(&state.since) = since;
        }
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

/// `stream`, which is waited for as `what`.
pub(crate) fn waiting(mut stream: ByteStream, what: impl FnOnce() -> String) -> ByteStream {
    let mut trickle = Trickle::new(Wait::begin(what));
    stream::poll_fn(move |context| {
        let polled = stream.poll_next_unpin(context);
        trickle.observe(&polled);
        polled
    })
    .boxed()
}

/// The wait for a body, which a few bytes do not end.
struct Trickle {
    wait: Wait,
    pending_since: Option<Instant>,
    /// The time that the body was waited for since it last made progress.
    waited: Duration,
    /// What came of it since then.
    bytes: usize,
}

impl Trickle {
    fn new(wait: Wait) -> Self {
        wait.set(false);
        Self {
            wait,
            pending_since: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    fn observe(&mut self, polled: &Poll<Option<Result<Bytes>>>) {
        let Poll::Ready(piece) = polled else {
            if self.pending_since.is_none() {
                let now = Instant::now();
                self.pending_since = Some(now);
                self.wait.set_since(now.checked_sub(self.waited));
            }
            return;
        };
        if let Some(since) = self.pending_since.take() {
            self.waited += since.elapsed();
            self.wait.set(false);
        }
        self.bytes += piece.iter().flatten().map(Bytes::len).sum::<usize>();
        if self.bytes >= PROGRESS {
            (self.bytes, self.waited) = (0, Duration::ZERO);
        }
    }
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

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_waited_for_as_if_nothing_came() {
        let waits = Arc::new(Waits::default());
        waits
            .watch(async {
                let second = Duration::from_secs(1);
                let pieces = stream::iter([1, 1, PROGRESS, 1]).then(move |bytes| async move {
                    tokio::time::sleep(second).await;
                    Ok(Bytes::from(vec![0; bytes]))
                });
                let mut stream = waiting(pieces.boxed(), || "the stream".to_owned());
                for halves in [1, 3, 5, 1] {
                    let piece = stream.next();
                    tokio::pin!(piece);
                    let early = tokio::time::timeout(second / 2, piece.as_mut()).await;
                    assert!(early.is_err());
                    let (_, longest) = waits.longest().unwrap();
                    assert_eq!(longest, halves * second / 2);
                    piece.await.unwrap().unwrap();
                }
            })
            .await;
    }
}
