//! Removing what a resource pushed.

use super::reach::Reach;
use super::{Error, PushedImage};
use crate::content::{Destination, ManifestKey};
use crate::oci::Tag;
use crate::registry::{self, RemoteRepository};

impl Reach {
    /// Removes those of the tags that still point to the image.
    pub(super) async fn untag(&self, pushed: &PushedImage) -> Result<(), Error> {
        let repository = self.repository(&pushed.repository, &pushed.access).await?;
        for tag in &pushed.tags {
            if !points_to(&repository, tag, pushed).await? {
                continue;
            }
            let removed = repository.delete_tag(tag).await;
            gone(removed).map_err(|error| failed(pushed, tag, error))?;
        }
        Ok(())
    }

    /// Removes the resource's own tags, and then the image unless another tag points to it.
    pub(super) async fn remove(&self, pushed: &PushedImage) -> Result<(), Error> {
        let repository = self.repository(&pushed.repository, &pushed.access).await?;
        let listed = repository.tags().await;
        let tags = match listed {
            Err(error) if error.is_not_found() => return Ok(()),
            listed => listed.map_err(|error| failed(pushed, "the list of tags", error))?,
        };
        for tag in tags.iter().filter(|tag| !pushed.tags.contains(tag)) {
            if points_to(&repository, tag, pushed).await? {
                return self.untag(pushed).await;
            }
        }
        let removed = repository.delete_manifest(&pushed.digest).await;
        gone(removed).map_err(|error| failed(pushed, &pushed.digest, error))
    }
}

async fn points_to(
    repository: &RemoteRepository,
    tag: &Tag,
    pushed: &PushedImage,
) -> Result<bool, Error> {
    let found = Destination::manifest_digest(repository, ManifestKey::Tag(tag)).await;
    let found = found.map_err(|error| failed(pushed, tag, error))?;
    Ok(found.as_ref() == Some(&pushed.digest))
}

/// What is not there is removed already.
fn gone(removed: Result<(), registry::Error>) -> Result<(), registry::Error> {
    match removed {
        Err(error) if error.is_not_found() => Ok(()),
        removed => removed,
    }
}

fn failed(
    pushed: &PushedImage,
    what: impl std::fmt::Display,
    error: impl Into<crate::content::BoxError>,
) -> Error {
    Error::Remove {
        repository: pushed.repository.clone(),
        what: what.to_string(),
        source: error.into(),
    }
}
