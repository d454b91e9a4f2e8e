//! The copy of an image whose content can be read in any order: manifests are looked up, and blobs
//! are looked for and sent, side by side.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::blob::Item;
use super::lanes::Lanes;
use super::plan::{Found, Plan, look_up};
use super::target::Wanted;
use super::walk::CONCURRENCY;
use super::{Result, Run};
use crate::content::Source;
use crate::oci::Descriptor;

/// The work that is under way for one image.
pub(super) struct Flow<'a> {
    run: &'a Run,
    source: &'a dyn Source,
    look_ups: FuturesOrdered<BoxFuture<'a, Found>>,
    searches: FuturesUnordered<BoxFuture<'a, Result<Wanted<Descriptor>>>>,
    /// Blobs that targets lack.
    lacking: Vec<Wanted<Descriptor>>,
    transfers: FuturesUnordered<BoxFuture<'a, Result<()>>>,
    lanes: Lanes,
    measurements: Interval,
}

impl<'a> Flow<'a> {
    pub(super) fn new(run: &'a Run, source: &'a dyn Source) -> Self {
        let mut measurements = interval(Lanes::INTERVAL);
        measurements.reset();
        measurements.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            run,
            source,
            look_ups: FuturesOrdered::new(),
            searches: FuturesUnordered::new(),
            lacking: Vec::new(),
            transfers: FuturesUnordered::new(),
            lanes: Lanes::new(
                run.options.concurrency,
                run.meter.uploaded(),
                run.meter.tally().throttles(),
            ),
            measurements,
        }
    }

    /// Looks up all manifests. Blobs that are known already flow meanwhile.
    pub(super) async fn look_up_all(&mut self, plan: &mut Plan) -> Result<()> {
        while !(plan.entries.is_empty() && self.look_ups.is_empty()) {
            self.step(plan).await?;
        }
        plan.complete()
    }

    /// Copies all blobs.
    pub(super) async fn copy_all(&mut self, plan: &mut Plan) -> Result<()> {
        self.begin(plan);
        while !(self.searches.is_empty() && self.transfers.is_empty()) {
            self.step(plan).await?;
            self.begin(plan);
        }
        Ok(())
    }

    async fn step(&mut self, plan: &mut Plan) -> Result<()> {
        self.begin(plan);
        tokio::select! {
            Some(found) = self.look_ups.next() => plan.take(self.source, found),
            Some(blob) = self.searches.next() => {
                let blob = blob?;
                self.run.meter.expect(blob.what.size * blob.at.len() as u64);
                if !blob.at.is_empty() {
                    self.lacking.push(blob);
                }
                Ok(())
            }
            Some(transferred) = self.transfers.next() => transferred,
            _ = self.measurements.tick() => {
                self.measure();
                Ok(())
            }
        }
    }

    /// Begins as much as may be under way.
    fn begin(&mut self, plan: &mut Plan) {
        let free = CONCURRENCY - self.look_ups.len();
        for entry in plan.entries.drain(..free.min(plan.entries.len())) {
            self.look_ups
                .push_back(look_up(self.run, self.source, entry));
        }
        while self.searches.len() < CONCURRENCY
            && let Some(largest) = position_of_largest(&plan.blobs)
        {
            let blob = plan.blobs.swap_remove(largest);
            self.searches.push(search(self.run, blob));
        }
        while let Some(largest) = position_of_largest(&self.lacking) {
            let size = self.lacking[largest].what.size;
            if !self.lanes.have_room(self.transfers.len(), size) {
                break;
            }
            let blob = self.lacking.swap_remove(largest);
            self.transfers.push(transfer(self.run, self.source, blob));
        }
    }

    fn measure(&mut self) {
        let meter = &self.run.meter;
        let (moved, throttles) = (meter.uploaded(), meter.tally().throttles());
        self.lanes.measure(moved, throttles, self.transfers.len());
    }
}

/// Leaves those targets that lack a blob.
fn search(run: &Run, blob: Wanted<Descriptor>) -> BoxFuture<'_, Result<Wanted<Descriptor>>> {
    async move {
        let at = run.lacking_blob(&blob.what, &blob.at).await?;
        Ok(Wanted { at, ..blob })
    }
    .boxed()
}

fn transfer<'a>(
    run: &'a Run,
    source: &'a dyn Source,
    blob: Wanted<Descriptor>,
) -> BoxFuture<'a, Result<()>> {
    async move { run.send_blob(&Item::of(source, &blob.what), &blob.at).await }.boxed()
}

/// The largest blob goes first, so that no large one is left for the end.
fn position_of_largest(blobs: &[Wanted<Descriptor>]) -> Option<usize> {
    (0..blobs.len()).max_by_key(|&position| blobs[position].what.size)
}
