//! What the targets lack of an image: found by walking its manifests from the root.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::error::{Cause, at, manifest_of};
use super::order::{Node, in_steps};
use super::target::Places;
use super::{Error, Operation, Result, Run, Side};
use crate::content::{ManifestKey, Source};
use crate::oci::{Descriptor, Digest, Manifest, RawManifest};

/// Most manifests of one image: more than any real index has, and a bound on memory.
const MAX_MANIFESTS: usize = 2_000;
/// Deepest nesting of indexes.
const MAX_DEPTH: usize = 8;
/// Manifests asked for at once.
const CONCURRENCY: usize = 8;

/// What is to be copied.
#[derive(Default)]
pub(super) struct Plan {
    /// Distinct blobs, in the order in which the manifests name them.
    pub(super) blobs: Vec<Wanted<Descriptor>>,
    /// Manifests in the order in which they are to be pushed: each lists only what is in steps
    /// before its own.
    pub(super) steps: Vec<Vec<Wanted<RawManifest>>>,
    /// How many manifests the targets already have.
    pub(super) present: u64,
}

/// Something, and the targets that lack it.
#[derive(Clone)]
pub(super) struct Wanted<T> {
    pub(super) what: T,
    pub(super) at: Places,
}

impl Plan {
    /// Walks the image below `root`, leaving out for each target every manifest that it has, with
    /// all that it names: a registry takes a manifest only after what it names.
    pub(super) async fn make(run: &Run, source: &dyn Source, root: &RawManifest) -> Result<Self> {
        let mut plan = Self::default();
        let mut seen = Seen::default();
        let at = run.lacking(source, root.digest(), &run.places).await?;
        plan.present = (run.places.len() - at.len()) as u64;
        let mut level = Vec::new();
        if !at.is_empty() {
            let what = root.clone();
            level.push(Wanted { what, at });
        }
        let mut nodes = Vec::new();
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(too_many(source, root, MAX_DEPTH, "levels of indexes"));
            }
            let mut children = Vec::new();
            for manifest in level {
                let parsed = parse(source, &manifest.what)?;
                plan.add_blobs(parsed.blobs(), &manifest.at, &mut seen);
                for entry in parsed.entries() {
                    let wanted = &manifest.at;
                    seen.entries.want(&mut children, entry.clone(), wanted);
                }
                let entries = parsed.entries().iter();
                nodes.push(Node {
                    entries: entries.map(|entry| entry.digest.clone()).collect(),
                    manifest,
                });
            }
            if seen.entries.0.len() > MAX_MANIFESTS {
                return Err(too_many(source, root, MAX_MANIFESTS, "manifests"));
            }
            seen.entries.next_level();
            level = plan.missing(run, source, children, &mut seen).await?;
        }
        plan.steps = in_steps(nodes);
        Ok(plan)
    }

    /// Looks for `children`: gives the manifests that a target lacks, and notes what else there is.
    async fn missing(
        &mut self,
        run: &Run,
        source: &dyn Source,
        children: Vec<Wanted<Descriptor>>,
        seen: &mut Seen,
    ) -> Result<Vec<Wanted<RawManifest>>> {
        let asked: usize = children.iter().map(|child| child.at.len()).sum();
        let found: Vec<Option<Entry>> = stream::iter(children)
            .map(|child| look_up(run, source, child))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let (mut manifests, mut missing) = (Vec::new(), 0);
        for entry in found.into_iter().flatten() {
            match entry {
                Entry::Manifest(manifest) => {
                    missing += manifest.at.len();
                    manifests.push(manifest);
                }
                Entry::Blob(blob) => {
                    missing += blob.at.len();
                    self.add_blobs([&blob.what], &blob.at, seen);
                }
            }
        }
        self.present += (asked - missing) as u64;
        Ok(manifests)
    }

    /// Adds those of `blobs` that registries store, for those of `at` that did not want them before.
    fn add_blobs<'a>(
        &mut self,
        blobs: impl IntoIterator<Item = &'a Descriptor>,
        at: &Places,
        seen: &mut Seen,
    ) {
        for blob in blobs.into_iter().filter(|blob| !is_elsewhere(blob)) {
            seen.blobs.want(&mut self.blobs, blob.clone(), at);
        }
    }
}

/// What an index lists, and the targets that lack it.
enum Entry {
    Manifest(Wanted<RawManifest>),
    Blob(Wanted<Descriptor>),
}

/// Fetches what an index lists, once, unless it is a manifest that all who want it have.
fn look_up<'a>(
    run: &'a Run,
    source: &'a dyn Source,
    entry: Wanted<Descriptor>,
) -> BoxFuture<'a, Result<Option<Entry>>> {
    async move {
        let at = run.lacking(source, &entry.what.digest, &entry.at).await?;
        if at.is_empty() {
            return Ok(None);
        }
        Ok(Some(match fetch_listed(source, &entry.what).await? {
            Some(what) => Entry::Manifest(Wanted { what, at }),
            None => Entry::Blob(Wanted {
                what: entry.what,
                at,
            }),
        }))
    }
    .boxed()
}

#[derive(Default)]
struct Seen {
    blobs: Known,
    entries: Known,
}

/// Content that was met: where it was wanted, and its place in the list that it is on.
#[derive(Default)]
struct Known(HashMap<Digest, (Places, Option<usize>)>);

impl Known {
    /// Puts content on the list for those of `at` that did not want it before.
    fn want(&mut self, list: &mut Vec<Wanted<Descriptor>>, what: Descriptor, at: &Places) {
        let (wanted, listed) = self.0.entry(what.digest.clone()).or_default();
        let new: Places = at.difference(wanted).copied().collect();
        if new.is_empty() {
            return;
        }
        wanted.extend(&new);
        if let Some(position) = *listed {
            list[position].at.extend(new);
            return;
        }
        *listed = Some(list.len());
        list.push(Wanted { what, at: new });
    }

    /// Begins a new list.
    fn next_level(&mut self) {
        for (_, listed) in self.0.values_mut() {
            *listed = None;
        }
    }
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

impl Run {
    /// Those of `places` that lack a manifest. A target that is the source itself has it.
    async fn lacking(
        &self,
        source: &dyn Source,
        digest: &Digest,
        places: &Places,
    ) -> Result<Places> {
        let key = ManifestKey::Digest(digest);
        let asked = self.each(places, |target| {
            async move {
                let destination = &*target.destination;
                if destination.name() == source.name() {
                    return Ok(true);
                }
                let found = destination.manifest_digest(key).await;
                found.map(|found| found.is_some()).map_err(at(
                    Operation::Find,
                    Side::Destination,
                    destination.name(),
                    format!("manifest {digest}"),
                ))
            }
            .boxed()
        });
        let asked = asked.await?.into_iter();
        Ok(asked
            .filter_map(|(place, has)| (!has).then_some(place))
            .collect())
    }
}

fn too_many(source: &dyn Source, root: &RawManifest, limit: usize, what: &'static str) -> Error {
    let subject = manifest_of(&root.descriptor());
    at(Operation::Read, Side::Source, source.name(), subject)(Cause::TooMany { limit, what })
}
