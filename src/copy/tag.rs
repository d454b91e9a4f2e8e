//! Tags: written last, and only where they do not yet say the same.

use futures_util::FutureExt;

use super::error::{Cause, at, manifest_of};
use super::{Operation, Phase, Result, Run, Side, TagConflict, Target};
use crate::content::ManifestKey;
use crate::oci::{Digest, RawManifest, Tag};

impl Run {
    /// Points the tags of each target to the manifest, whose content is there, and completes the
    /// target. A tag that already names it is left alone: registries with immutable tags refuse
    /// even that.
    pub async fn tag(&self, manifest: &RawManifest) -> Result<()> {
        self.write_tags(manifest, |target| &target.tags).await?;
        let completing = self.each(&self.places, |target| {
            async move {
                let destination = &*target.destination;
                let completed = destination.complete(manifest).await;
                completed.map_err(at(
                    Operation::Write,
                    Side::Destination,
                    destination.name(),
                    manifest_of(&manifest.descriptor()),
                ))
            }
            .boxed()
        });
        self.meter.time(Phase::Tags, completing).await?;
        Ok(())
    }

    /// Points these tags to the manifest, at each target.
    pub async fn tag_as(&self, manifest: &RawManifest, tags: &[Tag]) -> Result<()> {
        self.write_tags(manifest, |_| tags).await
    }

    /// The same run for those targets only whose tags do not all name the manifest already. One
    /// without tags cannot tell, and is among them.
    pub async fn untagged(&self, manifest: &RawManifest) -> Result<Self> {
        let asked = self.each(&self.places, |target| is_tagged(target, manifest).boxed());
        let asked = asked.await?.into_iter();
        Ok(self.at(asked
            .filter_map(|(place, tagged)| (!tagged).then_some(place))
            .collect()))
    }

    async fn write_tags<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tags: impl Fn(&'a Target) -> &'a [Tag],
    ) -> Result<()> {
        let writing = self.each(&self.places, |target| {
            let tags = tags(target);
            async move {
                for tag in tags {
                    self.write_tag(target, manifest, tag).await?;
                }
                Ok(())
            }
            .boxed()
        });
        self.meter.time(Phase::Tags, writing).await?;
        Ok(())
    }

    async fn write_tag(&self, target: &Target, manifest: &RawManifest, tag: &Tag) -> Result<()> {
        if tagged_digest(target, tag).await?.as_ref() == Some(manifest.digest()) {
            return Ok(());
        }
        let destination = &*target.destination;
        let Err(refusal) = destination.push_manifest(manifest, Some(tag)).await else {
            self.meter.count(|report| report.tags_written += 1);
            return Ok(());
        };
        // Another run may have written it meanwhile, or the registry may not let it move.
        let error = at::<Cause>(
            Operation::Write,
            Side::Destination,
            destination.name(),
            tag_of(tag),
        );
        match tagged_digest(target, tag).await {
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
}

/// Returns true if every tag of a target names the manifest already. With none to ask for, it
/// cannot tell.
async fn is_tagged(target: &Target, manifest: &RawManifest) -> Result<bool> {
    for tag in &target.tags {
        if tagged_digest(target, tag).await?.as_ref() != Some(manifest.digest()) {
            return Ok(false);
        }
    }
    Ok(!target.tags.is_empty())
}

async fn tagged_digest(target: &Target, tag: &Tag) -> Result<Option<Digest>> {
    let destination = &*target.destination;
    let found = destination.manifest_digest(ManifestKey::Tag(tag)).await;
    found.map_err(at(
        Operation::Find,
        Side::Destination,
        destination.name(),
        tag_of(tag),
    ))
}

fn tag_of(tag: &Tag) -> String {
    format!("tag {tag}")
}
