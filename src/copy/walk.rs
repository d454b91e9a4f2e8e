//! The walk through the manifests of an image: bounded, and without repetition.
//!
//! An index may list the same content any number of times, at any depth. Whoever follows what
//! indexes list does it by this, so that each manifest is fetched once and an image that has no
//! end is told.

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::{Cause, at, manifest_of};
use super::fetch::{fetch, parse};
use super::{Error, Operation, Result, Side};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, Platform, RawManifest};

/// Manifests asked for at once.
pub(super) const CONCURRENCY: usize = 8;
/// Most manifests of one image: more than any real index has.
const MAX_MANIFESTS: usize = 2_000;
/// Most bytes of the manifests of one image. Those of real ones are some hundred kilobytes.
const MAX_BYTES: usize = 16 << 20;
/// Most blobs of one image.
const MAX_BLOBS: usize = 20_000;
/// Deepest nesting of indexes.
const MAX_DEPTH: usize = 8;

/// How much of an image was met, within the bounds of what Longshore copies.
pub(super) struct Bounds {
    root: Descriptor,
    manifests: usize,
    bytes: usize,
}

impl Bounds {
    /// The bounds of the image of `root`, whose own manifest is counted.
    pub(super) fn of(root: &RawManifest) -> Self {
        Self {
            root: root.descriptor(),
            manifests: 0,
            bytes: root.bytes().len(),
        }
    }

    /// Counts `new` entries that were not met before, listed under so many indexes.
    pub(super) fn list(&mut self, source: &dyn Source, new: usize, depth: usize) -> Result<()> {
        self.manifests += new;
        if self.manifests > MAX_MANIFESTS {
            return Err(self.exceeded(source, MAX_MANIFESTS, "manifests"));
        }
        if depth > MAX_DEPTH && new > 0 {
            return Err(self.exceeded(source, MAX_DEPTH, "levels of indexes"));
        }
        Ok(())
    }

    /// Tells an image of too many blobs.
    pub(super) fn check_blobs(&self, source: &dyn Source, blobs: usize) -> Result<()> {
        if blobs > MAX_BLOBS {
            return Err(self.exceeded(source, MAX_BLOBS, "blobs"));
        }
        Ok(())
    }

    /// Counts a manifest that was fetched.
    pub(super) fn fetched(&mut self, source: &dyn Source, manifest: &RawManifest) -> Result<()> {
        self.bytes += manifest.bytes().len();
        if self.bytes > MAX_BYTES {
            return Err(self.exceeded(source, MAX_BYTES, "bytes of manifests"));
        }
        Ok(())
    }

    fn exceeded(&self, source: &dyn Source, limit: usize, what: &'static str) -> Error {
        let subject = manifest_of(&self.root);
        at(Operation::Read, Side::Source, source.name(), subject)(Cause::TooMany { limit, what })
    }
}

/// Content that was met.
#[derive(Default)]
pub(super) struct Seen(HashSet<Digest>);

impl Seen {
    /// Those of `entries` that were not met before, each once.
    pub(super) fn unmet(&mut self, entries: &[Descriptor]) -> Vec<Descriptor> {
        let unmet = entries.iter();
        let unmet = unmet.filter(|entry| self.0.insert(entry.digest.clone()));
        unmet.cloned().collect()
    }
}

/// An index with all indexes below it.
pub(super) struct Indexes<'a> {
    source: &'a dyn Source,
    root: &'a RawManifest,
    nested: HashMap<Digest, RawManifest>,
}

impl<'a> Indexes<'a> {
    /// Fetches the indexes below `root`, each once.
    pub(super) async fn below(source: &'a dyn Source, root: &'a RawManifest) -> Result<Self> {
        let mut bounds = Bounds::of(root);
        let mut seen = Seen::default();
        let mut nested = HashMap::new();
        let mut level = seen.unmet(parse(source, root)?.entries());
        for depth in 1.. {
            bounds.list(source, level.len(), depth)?;
            level.retain(|entry| entry.media_type.is_index());
            if level.is_empty() {
                break;
            }
            let mut fetched = stream::iter(std::mem::take(&mut level))
                .map(|entry| fetch_index(source, entry))
                .buffered(CONCURRENCY);
            while let Some(manifest) = fetched.try_next().await? {
                bounds.fetched(source, &manifest)?;
                level.extend(seen.unmet(parse(source, &manifest)?.entries()));
                nested.insert(manifest.digest().clone(), manifest);
            }
        }
        Ok(Self {
            source,
            root,
            nested,
        })
    }

    /// The entries that are no indexes themselves, in order. What is listed again for the same
    /// platform is left out.
    pub(super) fn leaves(&self) -> Result<Vec<Descriptor>> {
        let mut leaves = Leaves::of(self);
        leaves.add(self.root, |manifest| {
            Ok(parse(self.source, manifest)?.entries().to_vec())
        })?;
        Ok(leaves.found)
    }

    /// The same entries as they stand in their indexes, with every member.
    pub(super) fn raw_leaves(&self) -> Result<Vec<Box<RawValue>>> {
        let mut leaves = Leaves::of(self);
        leaves.add(self.root, |manifest| raw_entries(self.source, manifest))?;
        Ok(leaves.found)
    }
}

fn fetch_index(source: &dyn Source, entry: Descriptor) -> BoxFuture<'_, Result<RawManifest>> {
    async move { fetch(source, &entry).await }.boxed()
}

/// What the JSON of a manifest says.
pub(super) fn document_of<T: DeserializeOwned>(
    source: &dyn Source,
    manifest: &RawManifest,
) -> Result<T> {
    let subject = manifest_of(&manifest.descriptor());
    serde_json::from_slice(manifest.bytes())
        .map_err(Cause::Config)
        .map_err(at(Operation::Read, Side::Source, source.name(), subject))
}

fn raw_entries(source: &dyn Source, manifest: &RawManifest) -> Result<Vec<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Option<Vec<Box<RawValue>>>,
    }
    let index: Index = document_of(source, manifest)?;
    Ok(index.manifests.unwrap_or_default())
}

/// An entry of an index, as it is parsed or as it stands.
trait Entry: Sized {
    fn descriptor(&self) -> Option<Descriptor>;
}

impl Entry for Descriptor {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.clone())
    }
}

impl Entry for Box<RawValue> {
    fn descriptor(&self) -> Option<Descriptor> {
        serde_json::from_str(self.get()).ok()
    }
}

/// The leaves of an index, as they are found.
struct Leaves<'a, T> {
    indexes: &'a Indexes<'a>,
    entered: HashSet<Digest>,
    met: HashSet<(Digest, Option<Platform>)>,
    found: Vec<T>,
}

impl<'a, T: Entry> Leaves<'a, T> {
    fn of(indexes: &'a Indexes<'a>) -> Self {
        Self {
            indexes,
            entered: HashSet::new(),
            met: HashSet::new(),
            found: Vec::new(),
        }
    }

    /// Adds the leaves below `index`. The depth is bounded, since what is nested was fetched by
    /// [`Indexes::below`].
    fn add(
        &mut self,
        index: &RawManifest,
        entries: impl Fn(&RawManifest) -> Result<Vec<T>> + Copy,
    ) -> Result<()> {
        for entry in entries(index)? {
            let Some(descriptor) = entry.descriptor() else {
                continue;
            };
            let Descriptor {
                digest, platform, ..
            } = descriptor;
            if let Some(nested) = self.indexes.nested.get(&digest) {
                if self.entered.insert(digest) {
                    self.add(nested, entries)?;
                }
            } else if self.met.insert((digest, platform)) {
                self.found.push(entry);
            }
        }
        Ok(())
    }
}
