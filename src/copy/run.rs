//! A run: everything that is done for one image at its destinations.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::blob::{Item, Mounts};
use super::error::{at, manifest_of};
use super::flow::Flow;
use super::plan::{Plan, Wanted, look_up};
use super::target::{Failures, Places};
use super::{Error, Meter, Operation, Phase, Result, Side, Target};
use crate::content::{Order, Source};
use crate::oci::{Descriptor, Digest, RawManifest};

/// Manifests pushed at once.
const MANIFESTS: usize = 4;

/// How a run works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blobs under way at once.
    pub concurrency: Concurrency,
    /// Whether a manifest that is built is OCI's, also where Docker's would do: some tools find no
    /// other in a layout.
    pub oci_manifests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::fixed(4),
            oci_manifests: false,
        }
    }
}

/// The number of blobs that are under way at once. Memory grows with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The number at the beginning. Layers that are compressed on their way stay at it.
    pub start: usize,
    /// The number up to which a copy of stored blobs grows while that brings more bytes a second.
    /// A registry that asks for fewer requests (429, 503) halves it for a while.
    pub most: usize,
}

impl Concurrency {
    /// The same number from the beginning to the end, unless a registry asks for fewer requests.
    pub const fn fixed(number: usize) -> Self {
        Self {
            start: number,
            most: number,
        }
    }

    /// At most `bound`.
    #[must_use]
    pub fn within(self, bound: usize) -> Self {
        Self {
            start: self.start.min(bound),
            most: self.most.min(bound),
        }
    }
}

/// Everything that is done for one image at its targets, and the count of it.
///
/// What fails at one target does not stop the others: that one is given up, and what came of it is
/// told by [`Run::failures`]. What fails at the last one, or at the source, is the run's failure.
#[derive(Clone)]
pub struct Run {
    pub(super) targets: Arc<[Target]>,
    /// The targets that this is for.
    pub(super) places: Places,
    failures: Arc<Failures>,
    /// Where it is no failure that a target never takes such content: the targets that do not.
    refusals: Option<Arc<Failures>>,
    pub(super) options: Options,
    pub(super) meter: Arc<Meter>,
}

impl Run {
    /// A run that has done nothing yet.
    pub fn new(targets: Vec<Target>, options: Options, meter: Arc<Meter>) -> Self {
        Self {
            places: (0..targets.len()).collect(),
            targets: targets.into(),
            failures: Arc::default(),
            refusals: None,
            options,
            meter,
        }
    }

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

    /// Whether one of the targets is the place of this name.
    pub fn goes_to(&self, name: &str) -> bool {
        let mut targets = self.places.iter().map(|&place| &self.targets[place]);
        targets.any(|target| target.destination.name() == name)
    }

    /// Why targets were given up, by their positions in the list; each is told once.
    pub fn failures(&self) -> BTreeMap<usize, Error> {
        self.failures.take()
    }

    /// The position of the first target that was not given up. Where all were, the first of all.
    pub fn first_target(&self) -> usize {
        self.spared(&self.places).first().copied().unwrap_or(0)
    }

    /// Counts blobs of an image that is there as it is.
    pub fn count_present(&self, blobs: u64) {
        self.meter.count(|report| report.blobs_reused += blobs);
    }

    /// The same for some of the targets only.
    pub(super) fn at(&self, places: Places) -> Self {
        Self {
            places,
            ..self.clone()
        }
    }

    /// Does `work` at those of `places` that are not given up, side by side, and gives up where
    /// it fails. What came of it elsewhere is in the order of the targets.
    pub(super) async fn each<'a, T, F>(
        &'a self,
        places: &Places,
        work: F,
    ) -> Result<Vec<(usize, T)>>
    where
        F: Fn(&'a Target) -> BoxFuture<'a, Result<T>>,
    {
        let places: Vec<usize> = self.spared(places).into_iter().collect();
        let works = places.iter().map(|&place| work(&self.targets[place]));
        let mut done = Vec::new();
        for (&place, result) in places.iter().zip(join_all(works).await) {
            match result {
                Ok(value) => done.push((place, value)),
                Err(error) => self.give_up(place, error)?,
            }
        }
        Ok(done)
    }

    /// The same run, in which a target that never takes such content is left out. Which ones are,
    /// and why, is in the second.
    pub(super) fn tolerant(&self) -> (Self, Arc<Failures>) {
        let refusals = Arc::new(Failures::default());
        let tolerant = Self {
            refusals: Some(Arc::clone(&refusals)),
            ..self.clone()
        };
        (tolerant, refusals)
    }

    /// Those of `places` that are not given up.
    pub(super) fn spared(&self, places: &Places) -> Places {
        let spared = self.failures.spared(places);
        match &self.refusals {
            Some(refusals) => refusals.spared(&spared),
            None => spared,
        }
    }

    pub(super) fn give_up(&self, place: usize, error: Error) -> Result<()> {
        if let Some(refusals) = &self.refusals
            && error.is_refused_push()
        {
            refusals.leave_out(place, error);
            return Ok(());
        }
        self.failures.give_up(place, self.targets.len(), error)
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
                    self.push_blob(&item(source, &blob.what), &blob.at).await?;
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

    /// Pushes one manifest under its digest.
    pub(super) async fn push_manifest(
        &self,
        manifest: &RawManifest,
        places: &Places,
    ) -> Result<()> {
        let pushed = self.each(places, |target| {
            async move {
                let destination = &*target.destination;
                let pushed = destination.push_manifest(manifest, None).await;
                pushed.map_err(at(
                    Operation::Push,
                    Side::Destination,
                    destination.name(),
                    manifest_of(&manifest.descriptor()),
                ))
            }
            .boxed()
        });
        let pushed = pushed.await?.len() as u64;
        self.meter.count(|report| report.manifests_pushed += pushed);
        Ok(())
    }
}

pub(super) fn item<'a>(source: &'a dyn Source, blob: &Descriptor) -> Item<'a> {
    Item {
        from: source.name(),
        label: blob.digest.hex().chars().take(12).collect(),
        opener: source.blob(blob),
        mounts: Mounts {
            origin: Some(source),
            listed: true,
        },
    }
}

/// Which of `wanted` comes next in the place of this name.
pub(super) async fn next_of(order: &dyn Order, place: &str, wanted: &[&Digest]) -> Result<usize> {
    let subject = "the image".to_owned();
    let next = order.next(wanted).await;
    next.map_err(at(Operation::Read, Side::Source, place, subject))
}
