//! Removing what a resource pushed.

use super::reach::Reach;
use super::{Access, Error, PushedImage};
use crate::aws::{self, EcrRepository};
use crate::content::{BoxError, Destination, ManifestKey};
use crate::oci::{Digest, Manifest, Repository, Tag};
use crate::registry::{self, RemoteRepository};

/// A repository that content is removed from. ECR removes by its own API, others by the
/// distribution specification's.
pub(super) enum Removal {
    Ecr(EcrRepository),
    Registry,
}

impl Reach {
    /// Removes those of the tags that still point to the image. The image stays, and so does its
    /// last tag where that would go with it.
    pub(super) async fn untag(&self, pushed: &PushedImage) -> Result<(), Error> {
        if self.is_forbidden(&pushed.repository) {
            return Ok(());
        }
        let repository = self.destination(&pushed.repository, &pushed.access).await?;
        let removal = self.removal(&pushed.repository, &pushed.access).await;
        let own = removal.own_tags(&repository, pushed).await?;
        for tag in own {
            let removed = removal.delete_tag(&repository, &tag).await;
            removed.map_err(|error| failed(pushed, &tag, error))?;
        }
        Ok(())
    }

    /// Removes the resource's own tags, and then the image with what only it needed, unless
    /// another tag or index still points to it, or the resource still needs it.
    pub(super) async fn remove(&self, pushed: &PushedImage) -> Result<(), Error> {
        if self.is_forbidden(&pushed.repository) {
            return Ok(());
        }
        let repository = self.destination(&pushed.repository, &pushed.access).await?;
        let removal = self.removal(&pushed.repository, &pushed.access).await;
        let children = children(&repository, pushed, &pushed.digest).await?;
        let needed = needed(&repository, pushed).await?;
        let is_needed = needed.contains(&pushed.digest);
        if is_needed || !removal.remove(&repository, pushed, &pushed.digest).await? {
            return self.untag(pushed).await;
        }
        for child in children.iter().filter(|child| !needed.contains(child)) {
            removal.remove(&repository, pushed, child).await?;
        }
        Ok(())
    }

    pub(super) async fn removal(&self, repository: &Repository, access: &Access) -> Removal {
        match self.ecr(repository, access).await {
            Some(repository) => Removal::Ecr(repository),
            None => Removal::Registry,
        }
    }
}

impl Removal {
    /// Removes one manifest with the resource's own tags. `false`: a foreign tag or an index
    /// points to it, so it stays.
    async fn remove(
        &self,
        repository: &RemoteRepository,
        pushed: &PushedImage,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let tags = self.tags_of(repository, pushed, digest).await?;
        if tags.iter().any(|tag| !pushed.tags.contains(tag)) {
            return Ok(false);
        }
        let removed = self.delete_image(repository, digest).await;
        removed.map_err(|error| failed(pushed, digest, error))
    }

    /// The tags that point to a manifest.
    async fn tags_of(
        &self,
        repository: &RemoteRepository,
        pushed: &PushedImage,
        digest: &Digest,
    ) -> Result<Vec<Tag>, Error> {
        if let Self::Ecr(ecr) = self {
            let tags = ecr.image_tags(digest).await;
            let tags = tags.map_err(|error| failed(pushed, digest, error))?;
            let tags = tags.iter().flatten();
            return Ok(tags.filter_map(|tag| tag.parse().ok()).collect());
        }
        let tags = match repository.tags().await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            tags => tags.map_err(|error| failed(pushed, digest, error))?,
        };
        let mut found = Vec::new();
        for tag in tags {
            if named(repository, &tag, pushed).await?.as_ref() == Some(digest) {
                found.push(tag);
            }
        }
        Ok(found)
    }

    /// The resource's own tags that point to the image and can go without it: ECR removes an
    /// image with its last tag.
    async fn own_tags(
        &self,
        repository: &RemoteRepository,
        pushed: &PushedImage,
    ) -> Result<Vec<Tag>, Error> {
        let mut own = pushed.tags.clone();
        if let Self::Ecr(_) = self {
            let all = self.tags_of(repository, pushed, &pushed.digest).await?;
            own.retain(|tag| all.contains(tag));
            if own.len() == all.len() {
                own.pop();
            }
            return Ok(own);
        }
        let mut pointing = Vec::new();
        for tag in own {
            if named(repository, &tag, pushed).await?.as_ref() == Some(&pushed.digest) {
                pointing.push(tag);
            }
        }
        Ok(pointing)
    }

    async fn delete_tag(&self, repository: &RemoteRepository, tag: &Tag) -> Result<(), BoxError> {
        match self {
            Self::Ecr(ecr) => Ok(ecr.delete_tag(tag).await?),
            Self::Registry => Ok(unless_gone(repository.delete_tag(tag).await)?),
        }
    }

    /// Removes a manifest with its tags. `false`: an index needs it.
    pub(super) async fn delete_image(
        &self,
        repository: &RemoteRepository,
        digest: &Digest,
    ) -> Result<bool, BoxError> {
        match self {
            Self::Ecr(ecr) => match ecr.delete_image(digest).await {
                Err(aws::Error::InUse { .. }) => Ok(false),
                removed => Ok(removed.map(|()| true)?),
            },
            Self::Registry => {
                unless_gone(repository.delete_manifest(digest).await)?;
                Ok(true)
            }
        }
    }
}

/// The images that the resource still needs, and the manifests that they name.
async fn needed(repository: &RemoteRepository, pushed: &PushedImage) -> Result<Vec<Digest>, Error> {
    let mut needed = pushed.kept.clone();
    for kept in &pushed.kept {
        needed.extend(children(repository, pushed, kept).await?);
    }
    Ok(needed)
}

/// The manifests that the image of `digest` names, if it is an index.
async fn children(
    repository: &RemoteRepository,
    pushed: &PushedImage,
    digest: &Digest,
) -> Result<Vec<Digest>, Error> {
    let found = Destination::manifest(repository, ManifestKey::Digest(digest)).await;
    let found = found.map_err(|error| failed(pushed, digest, error))?;
    let parsed = found.and_then(|manifest| manifest.parse().ok());
    let entries = parsed.iter().flat_map(Manifest::entries);
    Ok(entries.map(|entry| entry.digest.clone()).collect())
}

/// The digest that a tag names.
async fn named(
    repository: &RemoteRepository,
    tag: &Tag,
    pushed: &PushedImage,
) -> Result<Option<Digest>, Error> {
    let found = Destination::manifest_digest(repository, ManifestKey::Tag(tag)).await;
    found.map_err(|error| failed(pushed, tag, error))
}

/// Succeeds where the thing to remove is not there.
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
