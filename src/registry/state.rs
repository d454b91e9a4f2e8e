//! The facts that a client learns about one registry.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::auth::Scheme;
use super::quota::Allowance;

/// After so many refusals in a row, a registry is taken not to mount blobs at all.
const MOUNT_REFUSALS: u32 = 3;
/// Size of the first chunks that are tried where a registry refuses whole blobs: more than the
/// 5 MiB that object stores demand of a part, and little enough to be held in memory.
const FIRST_CHUNK: u64 = 8 << 20;
/// The smallest chunks that are tried.
const SMALLEST_CHUNK: u64 = 1 << 20;

/// Everything learned about one registry, shared by all its repositories.
#[derive(Debug)]
pub(super) struct RegistryState {
    scheme: Mutex<Option<Scheme>>,
    mount_refusals: AtomicU32,
    /// Zero while blobs are sent whole.
    chunk: AtomicU64,
    manifest_pushes: Option<Pace>,
    requests: Mutex<Option<Arc<Pace>>>,
    allowance: Mutex<Option<Allowance>>,
}

impl RegistryState {
    pub(super) fn new(manifest_pushes_per_second: Option<NonZeroU32>) -> Self {
        Self {
            scheme: Mutex::default(),
            mount_refusals: AtomicU32::new(0),
            chunk: AtomicU64::new(0),
            manifest_pushes: manifest_pushes_per_second
                .map(|rate| Pace::new(Duration::from_secs(1) / rate.get())),
            requests: Mutex::default(),
            allowance: Mutex::default(),
        }
    }

    /// Spaces the requests that follow so far from each other.
    pub(super) fn space_requests(&self, interval: Duration) {
        let pace = Some(Arc::new(Pace::new(interval)));
        *lock(&self.requests) = pace;
    }

    /// Waits for this registry's turn to take a request.
    pub(super) async fn request_turn(&self) {
        let pace = lock(&self.requests).clone();
        if let Some(pace) = pace {
            pace.turn().await;
        }
    }

    /// The pulls that the registry still allows, as its last answer said.
    pub(super) fn allowance(&self) -> Option<Allowance> {
        *lock(&self.allowance)
    }

    /// Notes what an answer says of pulls that are left.
    pub(super) fn allows(&self, allowance: Option<Allowance>) {
        if allowance.is_some() {
            *lock(&self.allowance) = allowance;
        }
    }

    /// The way in which it wants to be told who asks, once it has said so.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        lock(&self.scheme).clone()
    }

    pub(super) fn set_scheme(&self, scheme: Scheme) {
        *lock(&self.scheme) = Some(scheme);
    }

    /// Returns true if it is worth asking this registry to mount a blob.
    pub(super) fn may_mount(&self) -> bool {
        self.mount_refusals.load(Ordering::Relaxed) < MOUNT_REFUSALS
    }

    pub(super) fn mount_answered(&self, mounted: bool) {
        if mounted {
            self.mount_refusals.store(0, Ordering::Relaxed);
        } else {
            self.mount_refusals.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The size of the chunks that blobs are sent in, if they are not sent whole.
    pub(super) fn chunk(&self) -> Option<u64> {
        Some(self.chunk.load(Ordering::Relaxed)).filter(|&chunk| chunk > 0)
    }

    /// A body of `refused` bytes, or one of a whole blob, was too large: chunks get smaller, but
    /// not below what the registry demands. Whether there is a smaller size to try.
    pub(super) fn shrink_chunks(&self, refused: Option<u64>, minimum: u64) -> bool {
        let smaller = refused.map_or(FIRST_CHUNK, |refused| refused / 2);
        let next = smaller.max(minimum).max(SMALLEST_CHUNK);
        if refused.is_some_and(|refused| next >= refused) {
            return false;
        }
        // Another upload may have learned more at the same time.
        let known = self.chunk().unwrap_or(u64::MAX);
        self.chunk.store(next.min(known), Ordering::Relaxed);
        true
    }

    /// Waits for this registry's turn to take a manifest.
    pub(super) async fn manifest_push_turn(&self) {
        if let Some(pace) = &self.manifest_pushes {
            pace.turn().await;
        }
    }
}

/// Spaces requests evenly.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(Instant::now()),
        }
    }

    async fn turn(&self) {
        let turn = {
            let mut next = lock(&self.next);
            let turn = (*next).max(Instant::now());
            *next = turn + self.interval;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn spaces_manifest_pushes() {
        let state = RegistryState::new(NonZeroU32::new(10));
        let started = Instant::now();
        for _ in 0..21 {
            state.manifest_push_turn().await;
        }
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn spaces_requests_once_it_is_told_to() {
        let state = RegistryState::new(None);
        let started = Instant::now();
        state.request_turn().await;
        state.request_turn().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        state.space_requests(Duration::from_millis(200));
        for _ in 0..6 {
            state.request_turn().await;
        }
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn shrinks_chunks_down_to_the_registrys_minimum() {
        let state = RegistryState::new(None);
        assert_eq!(state.chunk(), None);
        assert!(state.shrink_chunks(None, 5 << 20));
        assert_eq!(state.chunk(), Some(8 << 20));
        assert!(state.shrink_chunks(state.chunk(), 5 << 20));
        assert_eq!(state.chunk(), Some(5 << 20));
        assert!(!state.shrink_chunks(state.chunk(), 5 << 20));
        assert!(state.shrink_chunks(None, 0));
        assert_eq!(state.chunk(), Some(5 << 20));
    }

    #[test]
    fn stops_asking_for_mounts_after_refusals_in_a_row() {
        let state = RegistryState::new(None);
        for mounted in [false, false, true, false, false] {
            state.mount_answered(mounted);
        }
        assert!(state.may_mount());
        state.mount_answered(false);
        assert!(!state.may_mount());
    }
}
