//! So many of something a second.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts what came in the last second.
pub(super) struct Rate {
    limit: Option<usize>,
    recent: Mutex<VecDeque<Instant>>,
}

impl Rate {
    /// At most `limit` a second, or any number.
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            recent: Mutex::default(),
        }
    }

    /// Counts one more. False where the last second had as many as there may be.
    pub(super) fn take(&self) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|time| now.duration_since(*time) < WINDOW);
        if recent.len() >= limit {
            return false;
        }
        recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_so_many() {
        let rate = Rate::new(Some(2));
        assert_eq!([rate.take(), rate.take(), rate.take()], [true, true, false]);
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(!rate.take());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(rate.take());
        assert!(Rate::new(None).take());
    }
}
