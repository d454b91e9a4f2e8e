//! A run: everything that is done for one image at one destination.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::blob::Item;
use super::error::{at, manifest_of};
use super::plan::Plan;
use super::{Meter, Operation, Phase, Result, Side};
use crate::content::{Destination, Source};
use crate::oci::RawManifest;

/// Manifests pushed at once.
const MANIFESTS: usize = 4;

/// How a run works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blobs under way at once. Memory grows with it, speed up to a point.
    pub concurrency: usize,
    /// Other repositories of the destination's registry that may have blobs of the image.
    pub mount_from: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 4,
            mount_from: Vec::new(),
        }
    }
}

/// Everything that is done for one image at one destination, and the count of it.
pub struct Run {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) options: Options,
    pub(super) meter: Arc<Meter>,
}

impl Run {
    /// A run that has done nothing yet.
    pub fn new(destination: Arc<dyn Destination>, options: Options, meter: Arc<Meter>) -> Self {
        Self {
            destination,
            options,
            meter,
        }
    }

    /// Copies the image of `root`, exactly, to the destination. No tag is written.
    pub async fn copy(&self, source: &dyn Source, root: &RawManifest) -> Result<()> {
        let destination = &*self.destination;
        let planning = Plan::make(source, destination, root);
        let mut plan = self.meter.time(Phase::Plan, planning).await?;
        plan.blobs.sort_by_key(|blob| source.position(blob));
        self.meter
            .count(|report| report.manifests_reused += plan.present);
        let mut mount_from = self.options.mount_from.clone();
        mount_from.extend(source.mountable_from(destination));
        let items = plan.blobs.iter().map(|descriptor| Item {
            label: descriptor.digest.hex().chars().take(12).collect(),
            opener: source.blob(descriptor),
        });
        let blobs = self.push_blobs(items.collect(), &mount_from, self.options.concurrency);
        self.meter.time(Phase::Blobs, blobs).await?;
        let manifests = self.push_steps(&plan.steps);
        self.meter.time(Phase::Manifests, manifests).await
    }

    /// Counts an image that is there as it is: its manifest and `blobs` blobs.
    pub fn count_present(&self, blobs: u64) {
        self.meter.count(|report| {
            report.manifests_reused += 1;
            report.blobs_reused += blobs;
        });
    }

    /// Pushes blobs, some at once, in their order.
    pub(super) async fn push_blobs(
        &self,
        items: Vec<Item>,
        mount_from: &[String],
        concurrency: usize,
    ) -> Result<()> {
        stream::iter(items)
            .map(|item| async move { self.push_blob(&item, mount_from).await.map(drop) }.boxed())
            .buffer_unordered(concurrency.max(1))
            .try_collect()
            .await
    }

    /// Pushes manifests, children before parents.
    async fn push_steps(&self, steps: &[Vec<RawManifest>]) -> Result<()> {
        for step in steps {
            let pushes: Vec<_> = step
                .iter()
                .map(|manifest| self.push_manifest(manifest))
                .collect();
            stream::iter(pushes)
                .buffer_unordered(MANIFESTS)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    /// Pushes one manifest under its digest.
    pub(super) async fn push_manifest(&self, manifest: &RawManifest) -> Result<()> {
        let destination = &*self.destination;
        let subject = manifest_of(&manifest.descriptor());
        destination.push_manifest(manifest, None).await.map_err(at(
            Operation::Push,
            Side::Destination,
            destination.name(),
            subject,
        ))?;
        self.meter.count(|report| report.manifests_pushed += 1);
        Ok(())
    }
}
