//! A run: everything that is done for one image at its destinations.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::error::{at, manifest_of};
use super::target::{Failures, Places};
use super::{Error, Meter, Operation, Result, Side, Target};
use crate::oci::RawManifest;

/// The way in which a run works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blobs under way at once.
    pub concurrency: Concurrency,
    /// True if a manifest that is built is OCI's, also where Docker's would do: some tools find no
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
    /// The place where it is no failure that a target never takes such content: the targets that do
    /// not.
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

    /// Returns true if one of the targets is the place of this name.
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
