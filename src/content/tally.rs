//! Requests that did not succeed at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts them. Shared by all that make requests for one run.
#[derive(Debug, Default)]
pub struct Tally {
    retries: AtomicU64,
    throttles: AtomicU64,
}

impl Tally {
    /// Counts a request that is made again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that asks for fewer requests.
    pub fn throttled(&self) {
        self.throttles.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were made again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Answers that asked for fewer requests.
    pub fn throttles(&self) -> u64 {
        self.throttles.load(Ordering::Relaxed)
    }
}
