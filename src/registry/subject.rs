//! Pushing a manifest so that it is found by its subject
//! ([spec.md, "Pushing Manifests with Subject"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject)).

use super::transport::Transport;
use super::{Error, manifest, referrers};
use crate::oci::{Manifest, RawManifest, Tag};

/// Pushes a manifest under its digest or a tag, and sees that it is found by its subject.
pub(super) async fn push(
    transport: &Transport,
    manifest: &RawManifest,
    tag: Option<&Tag>,
) -> Result<(), Error> {
    let noted = manifest::put(transport, manifest, tag).await?;
    let parsed = manifest.parse().ok();
    let subject = parsed.as_ref().and_then(Manifest::subject);
    let Some(subject) = subject.filter(|_| !noted) else {
        return Ok(());
    };
    // The manifest is there; only the list of what refers to its subject may lack it.
    if let Err(error) = referrers::add(transport, manifest, &subject.digest).await {
        let (digest, subject) = (manifest.digest(), &subject.digest);
        tracing::warn!(%digest, %subject, %error, "cannot list a referrer under its subject");
    }
    Ok(())
}
