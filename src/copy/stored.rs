//! The copy of an image that is stored with a manifest: what the targets lack of it, blobs first, then
//! manifests.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::blob::Item;
use super::fetch::next_of;
use super::flow::Flow;
use super::plan::{Plan, look_up};
use super::target::Wanted;
use super::{Phase, Result, Run};
use crate::content::{Order, Source};
use crate::oci::RawManifest;

/// Manifests pushed at once.
const MANIFESTS: usize = 4;

impl Run {
    /// Copies the image of `root`, exactly, to the targets. No tag is written.
    pub async fn copy(&self, source: &dyn Source, root: &RawManifest) -> Result<()> {
        let planning = Plan::begin(self, source, root);
        let mut plan = self.meter.time(Phase::Plan, planning).await?;
        if let Some(order) = source.order() {
            let pushing = self.push_in_order(source, &*order, &mut plan);
            self.meter.time(Phase::Blobs, pushing).await?;
        } else {
            let mut flow = Flow::new(self, source);
            let planning = flow.look_up_all(&mut plan);
            self.meter.time(Phase::Plan, planning).await?;
            let copying = flow.copy_all(&mut plan);
            self.meter.time(Phase::Blobs, copying).await?;
        }
        self.meter
            .count(|report| report.manifests_reused += plan.present);
        let pushing = self.push_steps(plan.into_steps());
        self.meter.time(Phase::Manifests, pushing).await
    }

    /// Takes what the source has in its order: looks up manifests, and pushes blobs of those that
    /// it came upon, one by one.
    async fn push_in_order(
        &self,
        source: &dyn Source,
        order: &dyn Order,
        plan: &mut Plan,
    ) -> Result<()> {
        loop {
            let wanted = plan.entries.iter().chain(&plan.blobs);
            let wanted: Vec<_> = wanted.map(|wanted| &wanted.what.digest).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            let next = next_of(order, source.name(), &wanted).await?;
            match next.checked_sub(plan.entries.len()) {
                None => {
                    let entry = plan.entries.swap_remove(next);
                    plan.take(source, look_up(self, source, entry).await)?;
                    plan.complete()?;
                }
                Some(next) => {
                    let blob = plan.blobs.swap_remove(next);
                    self.push_blob(&Item::of(source, &blob.what), &blob.at)
                        .await?;
                }
            }
        }
    }

    /// Pushes manifests, children before parents.
    async fn push_steps(&self, steps: Vec<Vec<Wanted<RawManifest>>>) -> Result<()> {
        for step in steps {
            let pushes: Vec<_> = step
                .iter()
                .map(|manifest| self.push_manifest(&manifest.what, &manifest.at))
                .collect();
            stream::iter(pushes)
                .buffer_unordered(MANIFESTS)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }
}
