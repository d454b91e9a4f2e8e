//! What the destination lacks of an image: found by walking its manifests from the root.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::error::{Cause, at, manifest_of};
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
    /// Manifests by their distance from the root, the root first: to be pushed from the end.
    pub(super) levels: Vec<Vec<RawManifest>>,
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
        let mut level = vec![root.clone()];
        while !level.is_empty() {
            if plan.levels.len() == MAX_DEPTH {
                return Err(too_many(source, root, MAX_DEPTH, "levels of indexes"));
            }
            let mut children = Vec::new();
            for manifest in &level {
                match parse(source, manifest)? {
                    Manifest::Image(image) => {
                        let named = std::iter::once(image.config).chain(image.layers);
                        let stored = named.filter(|blob| !is_elsewhere(blob));
                        plan.blobs
                            .extend(stored.filter(|blob| seen.blobs.insert(blob.digest.clone())));
                    }
                    Manifest::Index(index) => {
                        let new = index.manifests.into_iter();
                        children.extend(
                            new.filter(|child| seen.manifests.insert(child.digest.clone())),
                        );
                    }
                }
            }
            if seen.manifests.len() > MAX_MANIFESTS {
                return Err(too_many(source, root, MAX_MANIFESTS, "manifests"));
            }
            plan.levels.push(level);
            level = plan.missing(source, destination, children).await?;
        }
        Ok(plan)
    }

    /// Fetches those of `children` that the destination lacks.
    async fn missing(
        &mut self,
        source: &dyn Source,
        destination: &dyn Destination,
        children: Vec<Descriptor>,
    ) -> Result<Vec<RawManifest>> {
        let found: Vec<Option<RawManifest>> = stream::iter(children)
            .map(|child| fetch_missing(source, destination, child))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        self.present += found.iter().filter(|child| child.is_none()).count() as u64;
        Ok(found.into_iter().flatten().collect())
    }
}

/// Fetches a manifest unless the destination has it.
fn fetch_missing<'a>(
    source: &'a dyn Source,
    destination: &'a dyn Destination,
    child: Descriptor,
) -> BoxFuture<'a, Result<Option<RawManifest>>> {
    async move {
        if is_present(destination, &child.digest).await? {
            return Ok(None);
        }
        fetch(source, &child).await.map(Some)
    }
    .boxed()
}

#[derive(Default)]
struct Seen {
    blobs: HashSet<Digest>,
    manifests: HashSet<Digest>,
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
