//! Signatures, SBOMs and attestations that stand outside an image and refer to it.

use std::collections::{HashSet, VecDeque};

use super::error::{Cause, at, manifest_of};
use super::plan::{fetch, fetch_listed, parse};
use super::{Operation, Result, Run, Side};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, RawManifest, Tag};

/// The endings of the tags under which cosign keeps what belongs to `sha256:<hex>`:
/// `sha256-<hex>.sig` and the like.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];
/// Most referrers of one image: a bound on what a source can ask of a run.
const MAX_REFERRERS: usize = 1_000;

/// A manifest about another one.
struct Referrer {
    manifest: RawManifest,
    /// Cosign's tag, where it is that and no subject which says what the manifest is about.
    tag: Option<Tag>,
}

impl Run {
    /// Copies what refers to the image of `root` or to any manifest in it, and what refers to
    /// that. A source that cannot tell what refers to an image has nothing to copy, and a
    /// destination that takes no manifests with a subject gets none: both are no failure of the
    /// image itself.
    pub async fn copy_referrers(&self, source: &dyn Source, root: &RawManifest) -> Result<()> {
        let mut seen: HashSet<Digest> = HashSet::from([root.digest().clone()]);
        let mut queue = VecDeque::from([root.clone()]);
        let mut found = 0;
        while let Some(manifest) = queue.pop_front() {
            for referrer in self.referrers_of(source, manifest.digest()).await? {
                if !seen.insert(referrer.manifest.digest().clone()) {
                    continue;
                }
                found += 1;
                if found > MAX_REFERRERS {
                    return Err(too_many(source, root));
                }
                if self.copy_referrer(source, &referrer).await? {
                    queue.push_back(referrer.manifest);
                }
            }
            for entry in parse(source, &manifest)?.entries() {
                if seen.insert(entry.digest.clone()) {
                    queue.extend(fetch_listed(source, entry).await?);
                }
            }
        }
        Ok(())
    }

    /// Copies one referrer. Tells whether a target took it.
    async fn copy_referrer(&self, source: &dyn Source, referrer: &Referrer) -> Result<bool> {
        let Referrer { manifest, tag } = referrer;
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
        self.at(taken).tag_as(manifest, tag.as_slice()).await?;
        Ok(is_taken)
    }

    /// The manifests that refer to `digest`.
    async fn referrers_of(&self, source: &dyn Source, digest: &Digest) -> Result<Vec<Referrer>> {
        let subject = format!("referrers of {digest}");
        let listed = source.referrers(digest).await;
        let listed = listed.map_err(at(Operation::Find, Side::Source, source.name(), subject))?;
        let mut found = Vec::new();
        for descriptor in &listed {
            let manifest = fetch_referrer(source, descriptor).await?;
            found.extend(manifest.map(|manifest| Referrer {
                manifest,
                tag: None,
            }));
        }
        for ending in COSIGN {
            let name = format!("{}-{}{ending}", digest.algorithm().name(), digest.hex());
            let Ok(tag) = name.parse::<Tag>() else {
                continue;
            };
            let subject = format!("tag {tag}");
            let tagged = source.tagged(&tag).await;
            let tagged = tagged.map_err(at(Operation::Find, Side::Source, source.name(), subject));
            found.extend(tagged?.map(|manifest| Referrer {
                manifest,
                tag: Some(tag),
            }));
        }
        Ok(found)
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
