//! What a run has done so far: counted while it goes, for progress bars and the closing report.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use super::Checkpoint;
use crate::content::{self, ByteStream, Destination, Opener, Order, RangeRead, Source, Tally};
use crate::oci::{Descriptor, Digest, RawManifest, Tag};

/// Counts what a run does. Shared by everything that works for the run.
#[derive(Debug, Default)]
pub struct Meter {
    read: AtomicU64,
    uploaded: AtomicU64,
    expected: AtomicU64,
    tally: Arc<Tally>,
    state: Mutex<State>,
    /// What counts the same for several runs.
    all: Option<Arc<Self>>,
}

#[derive(Debug, Default)]
struct State {
    report: Report,
    active: Vec<Arc<BlobProgress>>,
    checkpoint: Checkpoint,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Bytes read from the source, those of retries among them.
    pub bytes_read: u64,
    /// Bytes of blobs sent to the destinations, those of retries among them.
    pub bytes_uploaded: u64,
    /// Bytes of blobs that the destination already had.
    pub bytes_reused: u64,
    /// Bytes of blobs that the destination took from another of its repositories.
    pub bytes_mounted: u64,
    /// Blobs sent to the destination.
    pub blobs_uploaded: u64,
    /// Blobs that the destination already had.
    pub blobs_reused: u64,
    /// Blobs that the destination took from another of its repositories.
    pub blobs_mounted: u64,
    /// Manifests and indexes sent to the destination.
    pub manifests_pushed: u64,
    /// Manifests and indexes that the destination already had.
    pub manifests_reused: u64,
    /// Tags that were written.
    pub tags_written: u64,
    /// Requests that were made again.
    pub retries: u64,
    /// Answers that asked for fewer requests.
    pub throttles: u64,
    /// Manifests about the image that the destination does not take.
    pub referrers_refused: u64,
    /// Seconds a phase, in order.
    pub phases: Vec<(Phase, f64)>,
}

impl Report {
    /// The seconds that a phase took, of which there may be none.
    pub fn seconds(&self, phase: Phase) -> f64 {
        let of_phase = self.phases.iter().filter(|(known, _)| *known == phase);
        of_phase.map(|(_, seconds)| seconds).sum()
    }
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Finding out what the image is: reading an archive's headers, resolving a tag.
    Resolve,
    /// Finding out what the destination lacks.
    Plan,
    /// Moving blobs.
    Blobs,
    /// Pushing manifests.
    Manifests,
    /// Writing tags.
    Tags,
}

/// A blob that is being pushed.
#[derive(Debug)]
pub struct BlobProgress {
    /// What it is: the start of its digest or diff ID.
    pub label: String,
    /// Its size, if it is known before the end.
    pub size: Option<u64>,
    sent: AtomicU64,
}

impl BlobProgress {
    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Something that is sent and is no blob of a run: shown until it is dropped.
#[derive(Debug)]
pub struct Transfer {
    meter: Arc<Meter>,
    progress: Arc<BlobProgress>,
}

impl Transfer {
    /// Counts bytes that have arrived.
    pub fn sent(&self, bytes: u64) {
        self.meter.add_uploaded(bytes);
        self.progress.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.meter.blob_done(&self.progress);
    }
}

impl Meter {
    /// Counts one run of several, all of which `all` counts together.
    pub fn one_of(all: &Arc<Self>) -> Self {
        Self {
            tally: Arc::clone(&all.tally),
            all: Some(Arc::clone(all)),
            ..Self::default()
        }
    }

    /// This meter, and that of all runs.
    fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |meter| meter.all.as_deref())
    }

    fn add_read(&self, bytes: u64) {
        for meter in self.each() {
            meter.read.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn add_uploaded(&self, bytes: u64) {
        for meter in self.each() {
            meter.uploaded.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Announces bytes of blobs that are going to be sent.
    pub(super) fn expect(&self, bytes: u64) {
        for meter in self.each() {
            meter.expected.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes of blobs that are known to be missing at the destinations, those that were sent since
    /// among them. 0 for layers that are compressed on their way, as their sizes are not known.
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    fn blob_begun(&self, progress: &Arc<BlobProgress>) {
        for meter in self.each() {
            meter.state().active.push(Arc::clone(progress));
        }
    }

    /// Announces `size` bytes that are sent by other means than a run's.
    pub fn transfer(self: &Arc<Self>, label: String, size: u64) -> Transfer {
        let progress = Arc::new(BlobProgress {
            label,
            size: Some(size),
            sent: AtomicU64::new(0),
        });
        self.blob_begun(&progress);
        Transfer {
            meter: Arc::clone(self),
            progress,
        }
    }

    /// What was done so far.
    pub fn report(&self) -> Report {
        Report {
            bytes_read: self.read.load(Ordering::Relaxed),
            bytes_uploaded: self.uploaded(),
            retries: self.tally.retries(),
            throttles: self.tally.throttles(),
            ..self.state().report.clone()
        }
    }

    /// Bytes of blobs sent so far, those of retries among them.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// The place where requests are counted that have to be made again.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// What a run that takes this one up need not find out again.
    pub fn checkpoint(&self) -> Checkpoint {
        self.state().checkpoint.clone()
    }

    /// Notes what the source's tag names.
    pub fn resolved(&self, root: &Digest) {
        self.state().checkpoint.root = Some(root.clone());
    }

    /// Notes a layer that the destination has.
    pub(crate) fn stored(&self, diff_id: &Digest, blob: &Descriptor) {
        self.state().checkpoint.stored(diff_id, blob);
    }

    /// The blobs that are being pushed right now.
    pub fn active(&self) -> Vec<Arc<BlobProgress>> {
        self.state().active.clone()
    }

    /// Counts the time until `work` is done, or is dropped, to a phase.
    pub async fn time<T>(&self, phase: Phase, work: impl Future<Output = T>) -> T {
        let _timer = Timer {
            meter: self,
            phase,
            started: Instant::now(),
        };
        work.await
    }

    fn spent(&self, phase: Phase, time: Duration) {
        self.count(|report| {
            let mut phases = report.phases.iter_mut();
            match phases.find(|(known, _)| *known == phase) {
                Some((_, seconds)) => *seconds += time.as_secs_f64(),
                None => report.phases.push((phase, time.as_secs_f64())),
            }
        });
    }

    pub(crate) fn count(&self, count: impl Fn(&mut Report)) {
        for meter in self.each() {
            count(&mut meter.state().report);
        }
    }

    /// Announces a blob; its bytes are counted while the returned opener's streams flow.
    pub(super) fn blob(
        self: &Arc<Self>,
        label: String,
        opener: Arc<dyn Opener>,
    ) -> (Arc<BlobProgress>, MeteredOpener) {
        let progress = Arc::new(BlobProgress {
            label,
            size: opener.descriptor().map(|descriptor| descriptor.size),
            sent: AtomicU64::new(0),
        });
        self.blob_begun(&progress);
        let (meter, counted) = (Arc::clone(self), Arc::clone(&progress));
        let metered = MeteredOpener {
            inner: opener,
            count: Arc::new(move |offset, bytes| {
                meter.add_uploaded(bytes);
                counted.sent.store(offset + bytes, Ordering::Relaxed);
            }),
        };
        (progress, metered)
    }

    pub(super) fn blob_done(&self, progress: &Arc<BlobProgress>) {
        for meter in self.each() {
            let active = &mut meter.state().active;
            active.retain(|active| !Arc::ptr_eq(active, progress));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the time until it is dropped.
struct Timer<'a> {
    meter: &'a Meter,
    phase: Phase,
    started: Instant,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.meter.spent(self.phase, self.started.elapsed());
    }
}

/// Told the offset and the length of every piece that flows.
type Count = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// An opener whose streams are counted.
pub(super) struct MeteredOpener {
    inner: Arc<dyn Opener>,
    count: Count,
}

impl Opener for MeteredOpener {
    fn descriptor(&self) -> Option<Descriptor> {
        self.inner.descriptor()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let stream = self.inner.open(offset).await?;
            Ok(counted(stream, offset, Arc::clone(&self.count)))
        }
        .boxed()
    }
}

/// An object whose reads are counted.
pub struct MeteredObject {
    inner: Arc<dyn RangeRead>,
    meter: Arc<Meter>,
}

impl MeteredObject {
    /// Counts the reads of `inner`.
    pub fn new(inner: Arc<dyn RangeRead>, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl RangeRead for MeteredObject {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let stream = self.inner.read(range).await?;
            Ok(counted(stream, 0, read_count(&self.meter)))
        }
        .boxed()
    }
}

/// A source whose reads are counted.
pub struct MeteredSource {
    inner: Arc<dyn Source>,
    meter: Arc<Meter>,
}

impl MeteredSource {
    /// Counts the reads of `inner`.
    pub fn new(inner: Arc<dyn Source>, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl Source for MeteredSource {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<RawManifest>> {
        async move {
            let manifest = self.inner.manifest(descriptor).await?;
            let bytes = manifest.bytes().len() as u64;
            self.meter.add_read(bytes);
            Ok(manifest)
        }
        .boxed()
    }

    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        async move {
            let manifest = self.inner.listed(descriptor).await?;
            let bytes = manifest.as_ref().map_or(0, |found| found.bytes().len());
            self.meter.add_read(bytes as u64);
            Ok(manifest)
        }
        .boxed()
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        Arc::new(MeteredOpener {
            inner: self.inner.blob(descriptor),
            count: read_count(&self.meter),
        })
    }

    fn order(&self) -> Option<Arc<dyn Order>> {
        self.inner.order()
    }

    fn referrers<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, content::Result<Vec<Descriptor>>> {
        self.inner.referrers(digest)
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        self.inner.tagged(tag)
    }

    fn mountable_from(&self, destination: &dyn Destination) -> Option<String> {
        self.inner.mountable_from(destination)
    }
}

fn read_count(meter: &Arc<Meter>) -> Count {
    let meter = Arc::clone(meter);
    Arc::new(move |_, bytes| {
        meter.add_read(bytes);
    })
}

fn counted(stream: ByteStream, start: u64, count: Count) -> ByteStream {
    let mut offset = start;
    stream
        .inspect(move |piece: &content::Result<Bytes>| {
            if let Ok(piece) = piece {
                count(offset, piece.len() as u64);
                offset += piece.len() as u64;
            }
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_phases_that_are_stopped_as_well() {
        let meter = Meter::default();
        let second = || tokio::time::sleep(Duration::from_secs(1));
        meter.time(Phase::Plan, second()).await;
        let stopped = meter.time(Phase::Blobs, std::future::pending::<()>());
        assert!(
            tokio::time::timeout(Duration::from_secs(2), stopped)
                .await
                .is_err()
        );
        meter.time(Phase::Plan, second()).await;
        let phases = meter.report().phases;
        assert_eq!(phases, [(Phase::Plan, 2.0), (Phase::Blobs, 2.0)]);
    }
}
