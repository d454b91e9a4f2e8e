//! Tags: written last, and only where they do not yet say the same.

use super::error::{Cause, at};
use super::{Operation, Phase, Result, Run, Side};
use crate::content::ManifestKey;
use crate::oci::{Digest, RawManifest, Tag};

/// A tag that points elsewhere and that the registry does not move.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tag points to {present} and the registry refuses to move it to {wanted}; \
     where tags are immutable, use a new tag, or push by digest without one"
)]
pub struct TagConflict {
    /// What the tag names.
    pub present: Digest,
    /// What it was to name.
    pub wanted: Digest,
    /// What the registry says.
    pub source: crate::content::Error,
}

impl Run {
    /// Points each of `tags` to the manifest, whose content is at the destination. A tag that
    /// already names it is left alone: registries with immutable tags refuse even that.
    pub async fn tag(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        let writing = async {
            for tag in tags {
                self.write_tag(manifest, tag).await?;
            }
            Ok(())
        };
        self.meter.time(Phase::Tags, writing).await
    }

    /// Whether every one of `tags` names the manifest already. With none to ask for, it cannot tell.
    pub async fn is_tagged(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<bool> {
        for tag in tags {
            if self.tagged_digest(tag).await?.as_ref() != Some(manifest.digest()) {
                return Ok(false);
            }
        }
        Ok(!tags.is_empty())
    }

    async fn write_tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<()> {
        if self.tagged_digest(tag).await?.as_ref() == Some(manifest.digest()) {
            return Ok(());
        }
        let Err(refusal) = self.destination.push_manifest(manifest, Some(tag)).await else {
            self.meter.count(|report| report.tags_written += 1);
            return Ok(());
        };
        // Another run may have written it meanwhile, or the registry may not let it move.
        let error = at::<Cause>(
            Operation::Write,
            Side::Destination,
            self.destination.name(),
            tag_of(tag),
        );
        match self.tagged_digest(tag).await {
            Ok(Some(present)) if present == *manifest.digest() => Ok(()),
            Ok(Some(present)) if !refusal.is_retryable() => Err(error(
                TagConflict {
                    present,
                    wanted: manifest.digest().clone(),
                    source: refusal,
                }
                .into(),
            )),
            _ => Err(error(refusal.into())),
        }
    }

    async fn tagged_digest(&self, tag: &Tag) -> Result<Option<Digest>> {
        let destination = &*self.destination;
        let found = destination.manifest_digest(ManifestKey::Tag(tag)).await;
        found.map_err(at(
            Operation::Find,
            Side::Destination,
            destination.name(),
            tag_of(tag),
        ))
    }
}

fn tag_of(tag: &Tag) -> String {
    format!("tag {tag}")
}
