//! What the destination lacks of an image: found by walking its manifests from the root.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::error::{Cause, at, manifest_of};
use super::order::{Node, in_steps};
use super::{Error, Operation, Result, Side};
use crate::content::{Destination, ManifestKey, Source};
use crate::oci::{Descriptor, Digest, Manifest, RawManifest};

/// Most manifests of one image: more than any real index has, and a bound on memory.
const MAX_MANIFESTS: usize = 2_000;
/// Deepest nesting of indexes.
const MAX_DEPTH: usize = 8;
/// Manifests asked for at once.
const CONCURRENCY: usize = 8;

/// What is to be copied.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Distinct blobs, in the order in which the manifests name them.
    pub(super) blobs: Vec<Descriptor>,
    /// Manifests in the order in which they are to be pushed: each lists only what is in steps
    /// before its own.
    pub(super) steps: Vec<Vec<RawManifest>>,
    /// How many manifests the destination already has.
    pub(super) present: u64,
}

impl Plan {
    /// Walks the image below `root`, leaving out every manifest that the destination has, with
    /// all that it names: a registry takes a manifest only after what it names.
    pub(super) async fn make(
        source: &dyn Source,
        destination: &dyn Destination,
        root: &RawManifest,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let mut seen = Seen::default();
        if is_present(destination, root.digest()).await? {
            plan.present = 1;
            return Ok(plan);
        }
        let mut nodes = Vec::new();
        let mut level = vec![root.clone()];
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(too_many(source, root, MAX_DEPTH, "levels of indexes"));
            }
            let mut children = Vec::new();
            for manifest in level {
                let parsed = parse(source, &manifest)?;
                plan.add_blobs(parsed.blobs(), &mut seen);
                let entries = parsed.entries().iter();
                let new = entries.filter(|entry| seen.entries.insert(entry.digest.clone()));
                children.extend(new.cloned());
                let entries = parsed.entries().iter();
                nodes.push(Node {
                    entries: entries.map(|entry| entry.digest.clone()).collect(),
                    manifest,
                });
            }
            if seen.entries.len() > MAX_MANIFESTS {
                return Err(too_many(source, root, MAX_MANIFESTS, "manifests"));
            }
            let found: Vec<Entry> = stream::iter(children)
                .map(|child| look_up(source, destination, child))
                .buffered(CONCURRENCY)
                .try_collect()
                .await?;
            level = plan.sort_out(found, &mut seen);
        }
        plan.steps = in_steps(nodes);
        Ok(plan)
    }

    /// The manifests of `found`; what else there is of it is noted.
    fn sort_out(&mut self, found: Vec<Entry>, seen: &mut Seen) -> Vec<RawManifest> {
        let mut manifests = Vec::new();
        for entry in found {
            match entry {
                Entry::Present => self.present += 1,
                Entry::Manifest(manifest) => manifests.push(manifest),
                Entry::Blob(blob) => self.add_blobs([&blob], seen),
            }
        }
        manifests
    }

    /// Adds those of `blobs` that registries store and that were not seen before.
    fn add_blobs<'a>(&mut self, blobs: impl IntoIterator<Item = &'a Descriptor>, seen: &mut Seen) {
        let stored = blobs.into_iter().filter(|blob| !is_elsewhere(blob));
        let new = stored.filter(|blob| seen.blobs.insert(blob.digest.clone()));
        self.blobs.extend(new.cloned());
    }
}

/// What an index lists.
enum Entry {
    /// A manifest that the destination has.
    Present,
    /// A manifest that it lacks.
    Manifest(RawManifest),
    /// A blob.
    Blob(Descriptor),
}

/// Fetches what an index lists, unless it is a manifest that the destination has.
fn look_up<'a>(
    source: &'a dyn Source,
    destination: &'a dyn Destination,
    entry: Descriptor,
) -> BoxFuture<'a, Result<Entry>> {
    async move {
        if is_present(destination, &entry.digest).await? {
            return Ok(Entry::Present);
        }
        Ok(match fetch_listed(source, &entry).await? {
            Some(manifest) => Entry::Manifest(manifest),
            None => Entry::Blob(entry),
        })
    }
    .boxed()
}

#[derive(Default)]
struct Seen {
    blobs: HashSet<Digest>,
    entries: HashSet<Digest>,
}

/// Whether registries store the blob, or its publisher does.
fn is_elsewhere(blob: &Descriptor) -> bool {
    blob.media_type.is_foreign_layer() && !blob.urls.is_empty()
}

pub(super) async fn fetch(source: &dyn Source, descriptor: &Descriptor) -> Result<RawManifest> {
    let subject = manifest_of(descriptor);
    source.manifest(descriptor).await.map_err(at(
        Operation::Fetch,
        Side::Source,
        source.name(),
        subject,
    ))
}

/// What an index lists, if it is a manifest and no blob.
pub(super) async fn fetch_listed(
    source: &dyn Source,
    entry: &Descriptor,
) -> Result<Option<RawManifest>> {
    let subject = manifest_of(entry);
    source
        .listed(entry)
        .await
        .map_err(at(Operation::Fetch, Side::Source, source.name(), subject))
}

pub(super) fn parse(source: &dyn Source, manifest: &RawManifest) -> Result<Manifest> {
    let subject = manifest_of(&manifest.descriptor());
    manifest
        .parse()
        .map_err(at(Operation::Read, Side::Source, source.name(), subject))
}

pub(super) async fn is_present(destination: &dyn Destination, digest: &Digest) -> Result<bool> {
    let subject = format!("manifest {digest}");
    destination
        .manifest_digest(ManifestKey::Digest(digest))
        .await
        .map(|found| found.is_some())
        .map_err(at(
            Operation::Find,
            Side::Destination,
            destination.name(),
            subject,
        ))
}

fn too_many(source: &dyn Source, root: &RawManifest, limit: usize, what: &'static str) -> Error {
    let subject = manifest_of(&root.descriptor());
    at(Operation::Read, Side::Source, source.name(), subject)(Cause::TooMany { limit, what })
}
