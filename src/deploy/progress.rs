//! How far a deployment has come: counted while it runs, so that it is known of one that was
//! stopped as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// Counters of one deployment, shared between who does it and who reports it.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    uploaded: Tally,
    reused: Tally,
    mounted: Tally,
    phases: Mutex<Phases>,
}

#[derive(Debug, Default)]
struct Tally {
    blobs: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Phases {
    ended: Vec<Phase>,
    current: Option<(&'static str, Instant)>,
}

/// How a blob came to be at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Its bytes were sent.
    Uploaded,
    /// It was there already.
    Reused,
    /// The registry took it over from another of its repositories.
    Mounted,
}

/// One phase of a deployment and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// What was done, such as `resolve`.
    pub name: &'static str,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What [`Progress`] counted up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes of blobs sent to the destination, as stored.
    pub bytes_uploaded: u64,
    /// Bytes of blobs that the destination had already.
    pub bytes_reused: u64,
    /// Bytes of blobs that the destination's registry mounted.
    pub bytes_mounted: u64,
    /// Blobs sent to the destination.
    pub blobs_uploaded: u64,
    /// Blobs that the destination had already.
    pub blobs_reused: u64,
    /// Blobs that the destination's registry mounted.
    pub blobs_mounted: u64,
    /// The phases in order, the last one up to now.
    pub phases: Vec<Phase>,
}

impl Progress {
    /// Counts bytes read from the source.
    pub fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts one blob of `bytes` that is at the destination now.
    pub fn blob(&self, moved: Moved, bytes: u64) {
        let tally = match moved {
            Moved::Uploaded => &self.uploaded,
            Moved::Reused => &self.reused,
            Moved::Mounted => &self.mounted,
        };
        tally.blobs.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the phase before, if there is one, and begins the phase `name`.
    pub fn phase(&self, name: &'static str) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((ended, since)) = phases.current.replace((name, Instant::now())) {
            phases.ended.push(Phase::new(ended, since.elapsed()));
        }
    }

    /// What was counted until now.
    pub fn summary(&self) -> Summary {
        let phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let current = phases
            .current
            .map(|(name, since)| Phase::new(name, since.elapsed()));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Summary {
            bytes_read: count(&self.read),
            bytes_uploaded: count(&self.uploaded.bytes),
            bytes_reused: count(&self.reused.bytes),
            bytes_mounted: count(&self.mounted.bytes),
            blobs_uploaded: count(&self.uploaded.blobs),
            blobs_reused: count(&self.reused.blobs),
            blobs_mounted: count(&self.mounted.blobs),
            phases: phases.ended.iter().copied().chain(current).collect(),
        }
    }
}

impl Phase {
    fn new(name: &'static str, took: Duration) -> Self {
        Self {
            name,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn counts_blobs_and_times_phases() {
        let progress = Progress::default();
        progress.phase("resolve");
        tokio::time::advance(Duration::from_millis(1500)).await;
        progress.phase("copy");
        progress.read(10);
        progress.blob(Moved::Uploaded, 7);
        progress.blob(Moved::Uploaded, 5);
        progress.blob(Moved::Mounted, 3);
        tokio::time::advance(Duration::from_secs(2)).await;

        let summary = progress.summary();
        assert_eq!((summary.blobs_uploaded, summary.bytes_uploaded), (2, 12));
        assert_eq!((summary.blobs_mounted, summary.bytes_mounted), (1, 3));
        assert_eq!((summary.blobs_reused, summary.bytes_read), (0, 10));
        let phases: Vec<_> = summary.phases.iter().map(|p| (p.name, p.seconds)).collect();
        assert_eq!(phases, [("resolve", 1.5), ("copy", 2.0)]);
    }
}
