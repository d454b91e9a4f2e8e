//! Removing what a resource pushed.

use super::reach::Reach;
use super::{Error, PushedImage};
use crate::aws::EcrRepository;
use crate::content::{BoxError, Destination, ManifestKey};
use crate::oci::{Digest, Tag};
use crate::registry::{self, RemoteRepository};

/// A repository that content is removed from. ECR removes by its own API, others by the
/// distribution specification's.
enum Removal {
    Ecr(EcrRepository),
    Registry,
}

impl Reach {
    /// Removes those of the tags that still point to the image.
    pub(super) async fn untag(&self, pushed: &PushedImage) -> Result<(), Error> {
        let repository = self.destination(&pushed.repository, &pushed.access).await?;
        let removal = self.removal(pushed).await;
        for tag in &pushed.tags {
            if points_to(&repository, tag, pushed).await? {
                let removed = removal.delete_tag(&repository, tag).await;
                removed.map_err(|error| failed(pushed, tag, error))?;
            }
        }
        Ok(())
    }

    /// Removes the resource's own tags, and then the image unless another tag points to it.
    pub(super) async fn remove(&self, pushed: &PushedImage) -> Result<(), Error> {
        let repository = self.destination(&pushed.repository, &pushed.access).await?;
        let removal = self.removal(pushed).await;
        let tags = removal.tags_of(&repository, pushed).await?;
        if tags.iter().any(|tag| !pushed.tags.contains(tag)) {
            return self.untag(pushed).await;
        }
        let removed = removal.delete_image(&repository, &pushed.digest).await;
        removed.map_err(|error| failed(pushed, &pushed.digest, error))
    }

    async fn removal(&self, pushed: &PushedImage) -> Removal {
        match self.ecr(&pushed.repository, &pushed.access).await {
            Some(repository) => Removal::Ecr(repository),
            None => Removal::Registry,
        }
    }
}

impl Removal {
    /// The tags that point to the image.
    async fn tags_of(
        &self,
        repository: &RemoteRepository,
        pushed: &PushedImage,
    ) -> Result<Vec<Tag>, Error> {
        let what = "the list of tags";
        if let Self::Ecr(ecr) = self {
            let tags = ecr.image_tags(&pushed.digest).await;
            let tags = tags.map_err(|error| failed(pushed, what, error))?;
            return Ok(tags
                .iter()
                .flatten()
                .filter_map(|tag| tag.parse().ok())
                .collect());
        }
        let tags = match repository.tags().await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            tags => tags.map_err(|error| failed(pushed, what, error))?,
        };
        let mut found = Vec::new();
        for tag in tags {
            if points_to(repository, &tag, pushed).await? {
                found.push(tag);
            }
        }
        Ok(found)
    }

    async fn delete_tag(&self, repository: &RemoteRepository, tag: &Tag) -> Result<(), BoxError> {
        match self {
            Self::Ecr(ecr) => Ok(ecr.delete_tag(tag).await?),
            Self::Registry => Ok(unless_gone(repository.delete_tag(tag).await)?),
        }
    }

    async fn delete_image(
        &self,
        repository: &RemoteRepository,
        digest: &Digest,
    ) -> Result<(), BoxError> {
        match self {
            Self::Ecr(ecr) => Ok(ecr.delete_image(digest).await?),
            Self::Registry => Ok(unless_gone(repository.delete_manifest(digest).await)?),
        }
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
fn unless_gone(removed: Result<(), registry::Error>) -> Result<(), registry::Error> {
    match removed {
        Err(error) if error.is_not_found() => Ok(()),
        removed => removed,
    }
}

fn failed(pushed: &PushedImage, what: impl std::fmt::Display, error: impl Into<BoxError>) -> Error {
    Error::Remove {
        repository: pushed.repository.clone(),
        what: what.to_string(),
        source: error.into(),
    }
}
