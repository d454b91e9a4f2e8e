//! The places that a run brings its image to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Error, Result};
use crate::content::Destination;
use crate::oci::Tag;

/// One place that a run brings its image to.
pub struct Target {
    /// The place.
    pub destination: Arc<dyn Destination>,
    /// The tags that the image has there in the end.
    pub tags: Vec<Tag>,
    /// Other repositories of its registry that may have blobs of the image.
    pub mount_from: Vec<String>,
}

impl Target {
    /// A place where the image has no tag.
    pub fn new(destination: Arc<dyn Destination>) -> Self {
        Self {
            destination,
            tags: Vec::new(),
            mount_from: Vec::new(),
        }
    }
}

/// Some of a run's targets, by their positions in its list.
pub(super) type Places = BTreeSet<usize>;

/// Something, and the targets that lack it.
#[derive(Clone)]
pub(super) struct Wanted<T> {
    pub(super) what: T,
    pub(super) at: Places,
    /// How many indexes it is in.
    pub(super) depth: usize,
}

/// Why targets were given up, by their positions.
#[derive(Default)]
pub(super) struct Failures(Mutex<BTreeMap<usize, Error>>);

impl Failures {
    /// Those of `places` that were not given up.
    pub(super) fn spared(&self, places: &Places) -> Places {
        let failed = self.lock();
        let spared = places.iter().filter(|place| !failed.contains_key(place));
        spared.copied().collect()
    }

    /// Gives up one of `targets` targets. Fails, for `error`, where it is the last.
    pub(super) fn give_up(&self, place: usize, targets: usize, error: Error) -> Result<()> {
        let mut failed = self.lock();
        if failed.contains_key(&place) {
            return Ok(());
        }
        if failed.len() + 1 == targets {
            return Err(error);
        }
        failed.insert(place, error);
        Ok(())
    }

    /// Gives up one target, whatever becomes of the others.
    pub(super) fn leave_out(&self, place: usize, error: Error) {
        self.lock().entry(place).or_insert(error);
    }

    pub(super) fn take(&self) -> BTreeMap<usize, Error> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
