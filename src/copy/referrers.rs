//! Signatures, SBOMs and attestations that stand outside an image and refer to it.

use std::collections::VecDeque;

use super::error::{Cause, at, manifest_of};
use super::fetch::{fetch, fetch_listed, parse};
use super::walk::{Bounds, Seen};
use super::{Operation, Result, Run, Side};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, RawManifest, Tag};

/// The endings of the tags under which cosign keeps what belongs to `sha256:<hex>`:
/// `sha256-<hex>.sig` and the like.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];
/// Most referrers of one image: a bound on what a source can ask of a run.
const MAX_REFERRERS: usize = 1_000;

/// A manifest that others may refer to.
struct Subject {
    digest: Digest,
    /// What it lists, if it is an index.
    entries: Vec<Descriptor>,
    /// How many indexes it is in.
    depth: usize,
}

impl Subject {
    fn of(source: &dyn Source, manifest: &RawManifest) -> Result<Self> {
        Ok(Self {
            digest: manifest.digest().clone(),
            entries: parse(source, manifest)?.entries().to_vec(),
            depth: 0,
        })
    }
}

impl Run {
    /// Copies what refers to the image of `root` or to any manifest in it, and what refers to
    /// that. A source that cannot tell what refers to an image has nothing to copy, and a
    /// destination that takes no manifests with a subject gets none: both are no failure of the
    /// image itself.
    pub async fn copy_referrers(&self, source: &dyn Source, root: &RawManifest) -> Result<()> {
        let mut bounds = Bounds::of(root);
        let mut seen = Seen::default();
        seen.unmet(&[root.descriptor()]);
        let mut queue = VecDeque::from([Subject::of(source, root)?]);
        let mut found = 0;
        while let Some(subject) = queue.pop_front() {
            let listed = seen.unmet(&self.list_referrers(source, &subject.digest).await?);
            found += listed.len();
            if found > MAX_REFERRERS {
                return Err(too_many(source, root));
            }
            for descriptor in listed {
                let fetched = fetch_referrer(source, &descriptor).await?;
                if let Some(manifest) = fetched
                    && self.copy_referrer(source, &manifest, None).await?
                {
                    bounds.fetched(source, &manifest)?;
                    queue.push_back(Subject::of(source, &manifest)?);
                }
            }
            for (tag, manifest) in self.cosigned(source, &subject.digest).await? {
                if !seen.unmet(&[manifest.descriptor()]).is_empty()
                    && self.copy_referrer(source, &manifest, Some(&tag)).await?
                {
                    bounds.fetched(source, &manifest)?;
                    queue.push_back(Subject::of(source, &manifest)?);
                }
            }
            let entries = seen.unmet(&subject.entries);
            bounds.list(source, entries.len(), subject.depth + 1)?;
            for entry in entries {
                let Some(manifest) = fetch_present(source, &entry).await? else {
                    continue;
                };
                bounds.fetched(source, &manifest)?;
                queue.push_back(Subject {
                    depth: subject.depth + 1,
                    ..Subject::of(source, &manifest)?
                });
            }
        }
        Ok(())
    }

    /// Copies one referrer, under cosign's tag where it has one. Tells whether a target took it.
    async fn copy_referrer(
        &self,
        source: &dyn Source,
        manifest: &RawManifest,
        tag: Option<&Tag>,
    ) -> Result<bool> {
        let (tolerant, refusals) = self.tolerant();
        tolerant.copy(source, manifest).await?;
        let taken = tolerant.spared(&self.places);
        for (place, error) in refusals.take() {
            let (digest, place) = (manifest.digest(), self.targets[place].destination.name());
            let error = &*error.cause;
            tracing::warn!(%digest, %place, %error, "the destination does not take a referrer");
            self.meter.count(|report| report.referrers_refused += 1);
        }
        let is_taken = !taken.is_empty();
        self.at(taken)
            .tag_as(manifest, tag.map_or(&[], std::slice::from_ref))
            .await?;
        Ok(is_taken)
    }

    /// What the source lists as referring to `digest`.
    async fn list_referrers(
        &self,
        source: &dyn Source,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>> {
        let subject = format!("referrers of {digest}");
        let listed = source.referrers(digest).await;
        listed.map_err(at(Operation::Find, Side::Source, source.name(), subject))
    }

    /// What cosign has tagged as belonging to `digest`.
    async fn cosigned(
        &self,
        source: &dyn Source,
        digest: &Digest,
    ) -> Result<Vec<(Tag, RawManifest)>> {
        let mut found = Vec::new();
        for ending in COSIGN {
            let name = format!("{}-{}{ending}", digest.algorithm().name(), digest.hex());
            let Ok(tag) = name.parse::<Tag>() else {
                continue;
            };
            let subject = format!("tag {tag}");
            let tagged = source.tagged(&tag).await;
            let tagged = tagged.map_err(at(Operation::Find, Side::Source, source.name(), subject));
            found.extend(tagged?.map(|manifest| (tag, manifest)));
        }
        Ok(found)
    }
}

/// An entry of an index, if it is a manifest that is there.
async fn fetch_present(source: &dyn Source, entry: &Descriptor) -> Result<Option<RawManifest>> {
    match fetch_listed(source, entry).await {
        Err(error) if error.is_not_found() => Ok(None),
        fetched => fetched,
    }
}

/// A manifest of a list of referrers. Lists that clients keep under a tag outlive what they name.
async fn fetch_referrer(
    source: &dyn Source,
    descriptor: &Descriptor,
) -> Result<Option<RawManifest>> {
    match fetch(source, descriptor).await {
        Err(error) if error.is_not_found() => {
            let (digest, place) = (&descriptor.digest, source.name());
            tracing::warn!(%digest, %place, "a referrer is listed and not there");
            Ok(None)
        }
        fetched => fetched.map(Some),
    }
}

fn too_many(source: &dyn Source, root: &RawManifest) -> super::Error {
    let subject = manifest_of(&root.descriptor());
    at(Operation::Find, Side::Source, source.name(), subject)(Cause::TooMany {
        limit: MAX_REFERRERS,
        what: "referrers",
    })
}
