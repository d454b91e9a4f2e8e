//! The messages that a stand-in was sent, for a test that waits for them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Things in the order in which they came.
pub(super) struct Mailbox<T> {
    contents: Mutex<Contents<T>>,
    came: Notify,
}

struct Contents<T> {
    all: Vec<T>,
    /// How many of them [`Mailbox::next`] has given.
    given: usize,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        let contents = Contents {
            all: Vec::new(),
            given: 0,
        };
        Self {
            contents: Mutex::new(contents),
            came: Notify::new(),
        }
    }
}

impl<T: Clone> Mailbox<T> {
    pub(super) fn put(&self, item: T) {
        self.lock().all.push(item);
        self.came.notify_waiters();
    }

    /// All that came so far.
    pub(super) fn all(&self) -> Vec<T> {
        self.lock().all.clone()
    }

    /// The next that this has not given yet, or `None` when none came within `limit`.
    pub(super) async fn next(&self, limit: Duration) -> Option<T> {
        let deadline = Instant::now() + limit;
        loop {
            // Before the look, so that what comes after it is not missed.
            let came = self.came.notified();
            if let Some(item) = self.lock().take() {
                return Some(item);
            }
            timeout_at(deadline, came).await.ok()?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents<T>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Contents<T> {
    fn take(&mut self) -> Option<T> {
        let item = self.all.get(self.given).cloned()?;
        self.given += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_each_once_and_waits_for_the_next() {
        let mailbox = Mailbox::default();
        mailbox.put(1);
        let second = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            mailbox.put(2);
        };
        let limit = Duration::from_secs(10);
        assert_eq!(mailbox.next(limit).await, Some(1));
        let (next, ()) = tokio::join!(mailbox.next(limit), second);
        assert_eq!(next, Some(2));
        assert_eq!(mailbox.next(limit).await, None);
        assert_eq!(mailbox.all(), [1, 2]);
    }
}
