//! Signatures, SBOMs and attestations that stand outside an image and refer to it.

use std::collections::{HashSet, VecDeque};

use super::error::at;
use super::plan::{fetch, parse};
use super::{Operation, Result, Run, Side};
use crate::content::Source;
use crate::oci::{Digest, Manifest, RawManifest, Tag};

/// The endings of the tags under which cosign keeps what belongs to `sha256:<hex>`:
/// `sha256-<hex>.sig` and the like.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];
/// Most referrers of one image: a bound on what a source can ask of a run.
const MAX_REFERRERS: usize = 1_000;

impl Run {
    /// Copies what refers to the image of `root` or to any manifest in it, and what refers to
    /// that. A source that cannot tell what refers to an image has nothing to copy.
    pub async fn copy_referrers(&self, source: &dyn Source, root: &RawManifest) -> Result<()> {
        let mut seen: HashSet<Digest> = HashSet::from([root.digest().clone()]);
        let mut queue = VecDeque::from([root.clone()]);
        while let Some(manifest) = queue.pop_front() {
            for referrer in self.referrers_of(source, manifest.digest()).await? {
                if seen.len() < MAX_REFERRERS && seen.insert(referrer.digest().clone()) {
                    self.copy(source, &referrer).await?;
                    queue.push_back(referrer);
                }
            }
            if let Manifest::Index(index) = parse(source, &manifest)? {
                for child in index.manifests {
                    if seen.insert(child.digest.clone()) {
                        queue.push_back(fetch(source, &child).await?);
                    }
                }
            }
        }
        Ok(())
    }

    /// The manifests that refer to `digest`, those under cosign's tags copied on the way.
    async fn referrers_of(&self, source: &dyn Source, digest: &Digest) -> Result<Vec<RawManifest>> {
        let mut found = Vec::new();
        let subject = format!("referrers of {digest}");
        let listed = source.referrers(digest).await;
        for descriptor in
            listed.map_err(at(Operation::Find, Side::Source, source.name(), subject))?
        {
            found.push(fetch(source, &descriptor).await?);
        }
        for ending in COSIGN {
            let name = format!("{}-{}{ending}", digest.algorithm().name(), digest.hex());
            let Ok(tag) = name.parse::<Tag>() else {
                continue;
            };
            let tagged = source.tagged(&tag).await;
            let subject = format!("tag {tag}");
            if let Some(manifest) =
                tagged.map_err(at(Operation::Find, Side::Source, source.name(), subject))?
            {
                self.copy(source, &manifest).await?;
                self.tag_as(&manifest, std::slice::from_ref(&tag)).await?;
            }
        }
        Ok(found)
    }
}
