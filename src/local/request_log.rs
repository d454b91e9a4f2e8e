//! The requests that a stand-in got.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;

/// Requests that are remembered; older ones are forgotten.
const CAPACITY: usize = 100_000;

/// One request as a stand-in saw it. No query and no header's secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The method, such as `GET`.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The repository that it is about; for a bucket, the bucket.
    pub repository: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// The status of the answer, 0 while there is none.
    pub status: u16,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were sent.
    pub bytes_out: u64,
    /// True if the request had an `Authorization` header.
    pub had_authorization: bool,
}

/// The requests of one stand-in, in the order in which they began.
#[derive(Clone, Default)]
pub(super) struct RequestLog(Arc<Mutex<VecDeque<Arc<Entry>>>>);

/// The facts about a request when it begins.
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) repository: Option<String>,
    pub(super) range: Option<String>,
    pub(super) had_authorization: bool,
}

/// A request under way.
pub(super) struct Entry {
    seen: Seen,
    status: AtomicU16,
    bytes_in: Arc<AtomicU64>,
    bytes_out: Arc<AtomicU64>,
}

impl RequestLog {
    pub(super) fn begin(&self, seen: Seen) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            seen,
            status: AtomicU16::new(0),
            bytes_in: Arc::default(),
            bytes_out: Arc::default(),
        });
        let mut entries = self.lock();
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back(Arc::clone(&entry));
        entry
    }

    pub(super) fn records(&self) -> Vec<RequestRecord> {
        self.lock().iter().map(|entry| entry.record()).collect()
    }

    pub(super) fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn bytes_in(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_in)
    }

    pub(super) fn bytes_out(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_out)
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    fn record(&self) -> RequestRecord {
        RequestRecord {
            method: self.seen.method.clone(),
            path: self.seen.path.clone(),
            repository: self.seen.repository.clone(),
            range: self.seen.range.clone(),
            status: self.status.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            had_authorization: self.seen.had_authorization,
        }
    }
}
