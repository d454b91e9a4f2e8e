//! What the targets lack of an image: found by walking its manifests from the root.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::{Cause, at};
use super::fetch::{fetch_listed, parse};
use super::order::{Node, in_steps};
use super::select::is_attestation;
use super::target::{Places, Wanted};
use super::walk::Bounds;
use super::{Error, Operation, Result, Run, Side};
use crate::content::{ManifestKey, Source};
use crate::oci::{Descriptor, Digest, RawManifest};

/// What is to be copied.
pub(super) struct Plan {
    bounds: Bounds,
    /// What manifests list and what was not looked up yet: manifests, or blobs.
    pub(super) entries: Vec<Wanted<Descriptor>>,
    /// Distinct blobs, in the order in which the manifests name them.
    pub(super) blobs: Vec<Wanted<Descriptor>>,
    nodes: Vec<Node>,
    seen: Seen,
    /// The number of manifests that the targets already have.
    pub(super) present: u64,
    /// An attestation that is not there. Any other manifest that is not there is told first.
    no_attestation: Option<Error>,
}

impl Plan {
    /// Begins with the manifest of `root`. Left out for each target is every manifest that it has,
    /// with all that it names: a registry takes a manifest only after what it names.
    pub(super) async fn begin(run: &Run, source: &dyn Source, root: &RawManifest) -> Result<Self> {
        let at = run.lacking(source, root.digest(), &run.places).await?;
        let mut plan = Self {
            bounds: Bounds::of(root),
            entries: Vec::new(),
            blobs: Vec::new(),
            nodes: Vec::new(),
            seen: Seen::default(),
            present: (run.places.len() - at.len()) as u64,
            no_attestation: None,
        };
        if !at.is_empty() {
            plan.add(
                source,
                Wanted {
                    what: root.clone(),
                    at,
                    depth: 0,
                },
            )?;
        }
        Ok(plan)
    }

    /// Takes what was found of an entry: the targets' lack of it is planned, and what it lists is
    /// there to be looked up.
    pub(super) fn take(&mut self, source: &dyn Source, found: Found) -> Result<()> {
        let missing = match found.entry {
            Ok(Some(Entry::Manifest(manifest))) => {
                let missing = manifest.at.len();
                self.bounds.fetched(source, &manifest.what)?;
                self.add(source, manifest)?;
                missing
            }
            Ok(Some(Entry::Blob(blob))) => {
                self.add_blobs([&blob.what], &blob.at);
                self.bounds.check_blobs(source, self.seen.blobs.0.len())?;
                blob.at.len()
            }
            Ok(None) => 0,
            Err(error) if error.is_no_attestation() => {
                self.no_attestation.get_or_insert(error);
                0
            }
            Err(error) => return Err(error),
        };
        self.present += (found.asked - missing) as u64;
        Ok(())
    }

    /// Fails where an attestation was not there, once all else was found.
    pub(super) fn complete(&mut self) -> Result<()> {
        self.no_attestation.take().map_or(Ok(()), Err)
    }

    /// The manifests in the order in which they are to be pushed: each lists only what is in steps
    /// before its own.
    pub(super) fn into_steps(self) -> Vec<Vec<Wanted<RawManifest>>> {
        in_steps(self.nodes)
    }

    /// Adds a manifest, with what it names.
    fn add(&mut self, source: &dyn Source, manifest: Wanted<RawManifest>) -> Result<()> {
        let parsed = parse(source, &manifest.what)?;
        let entries = parsed.entries();
        self.add_blobs(parsed.blobs(), &manifest.at);
        self.bounds.check_blobs(source, self.seen.blobs.0.len())?;
        let before = self.seen.entries.0.len();
        for entry in entries {
            let seen = &mut self.seen.entries;
            seen.want(&mut self.entries, entry, &manifest.at, manifest.depth + 1);
        }
        let new = self.seen.entries.0.len() - before;
        self.bounds.list(source, new, manifest.depth + 1)?;
        self.nodes.push(Node {
            entries: entries.iter().map(|entry| entry.digest.clone()).collect(),
            manifest,
        });
        Ok(())
    }

    /// Adds those of `blobs` that registries store, for those of `at` that did not want them before.
    fn add_blobs<'a>(&mut self, blobs: impl IntoIterator<Item = &'a Descriptor>, at: &Places) {
        for blob in blobs.into_iter().filter(|blob| !is_elsewhere(blob)) {
            self.seen.blobs.want(&mut self.blobs, blob, at, 0);
        }
    }
}

/// The result of looking up something that an index lists.
pub(super) struct Found {
    /// The number of targets that were asked for it.
    asked: usize,
    /// `None` where all of them have it.
    entry: Result<Option<Entry>>,
}

/// Something that an index lists, and the targets that lack it.
enum Entry {
    Manifest(Wanted<RawManifest>),
    Blob(Wanted<Descriptor>),
}

/// Looks up what an index lists: fetches it, once, unless it is a manifest that all who want it
/// have.
pub(super) fn look_up<'a>(
    run: &'a Run,
    source: &'a dyn Source,
    entry: Wanted<Descriptor>,
) -> BoxFuture<'a, Found> {
    async move {
        Found {
            asked: entry.at.len(),
            entry: fetch_lacking(run, source, entry).await,
        }
    }
    .boxed()
}

async fn fetch_lacking(
    run: &Run,
    source: &dyn Source,
    entry: Wanted<Descriptor>,
) -> Result<Option<Entry>> {
    let at = run.lacking(source, &entry.what.digest, &entry.at).await?;
    if at.is_empty() {
        return Ok(None);
    }
    let fetched = fetch_listed(source, &entry.what).await;
    let fetched = fetched.map_err(|error| explained(error, &entry.what))?;
    Ok(Some(match fetched {
        Some(what) => Entry::Manifest(Wanted {
            what,
            at,
            depth: entry.depth,
        }),
        None => Entry::Blob(Wanted { at, ..entry }),
    }))
}

/// Tells an attestation that is not there from other manifests: an image does without it.
fn explained(error: Error, entry: &Descriptor) -> Error {
    if !(error.is_not_found() && is_attestation(entry)) {
        return error;
    }
    Error {
        cause: Box::new(Cause::NoAttestation(error.cause)),
        ..error
    }
}

#[derive(Default)]
struct Seen {
    blobs: Known,
    entries: Known,
}

/// Content that was met, where it was wanted, and its position on the list.
#[derive(Default)]
struct Known(HashMap<Digest, (Places, usize)>);

impl Known {
    /// Puts content on the list for those of `at` that did not want it before.
    fn want(
        &mut self,
        list: &mut Vec<Wanted<Descriptor>>,
        what: &Descriptor,
        at: &Places,
        depth: usize,
    ) {
        let (wanted, position) = self.0.entry(what.digest.clone()).or_default();
        let new: Places = at.difference(wanted).copied().collect();
        if new.is_empty() {
            return;
        }
        wanted.extend(&new);
        // The list may have been taken since.
        let listed = list.get_mut(*position);
        if let Some(listed) = listed.filter(|listed| listed.what.digest == what.digest) {
            listed.at.extend(new);
            return;
        }
        *position = list.len();
        list.push(Wanted {
            what: what.clone(),
            at: new,
            depth,
        });
    }
}

/// Returns true if registries store the blob, or its publisher does.
fn is_elsewhere(blob: &Descriptor) -> bool {
    blob.media_type.is_foreign_layer() && !blob.urls.is_empty()
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
