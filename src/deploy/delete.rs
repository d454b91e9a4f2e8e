//! Deleting an image or a tag that a person names.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::reach::Reach;
use super::{Access, Advice, Error};
use crate::aws::{EcrHost, EcrRepository};
use crate::content::{BoxError, Destination, ManifestKey};
use crate::oci::{Digest, Reference, Tag};
use crate::registry::{self, ErrorCode, RemoteRepository};

/// Most tags that are looked at to find those of one manifest.
const MAX_TAGS: usize = 500;
/// Tags that are looked at at once.
const AT_ONCE: usize = 8;

/// What a deletion removes: a tag, or a manifest with all its tags. Nothing is removed before
/// [`Deletion::run`].
pub struct Deletion {
    reference: Reference,
    digest: Digest,
    tags: Option<Vec<Tag>>,
    manifests: usize,
    remote: Arc<RemoteRepository>,
    ecr: Option<EcrRepository>,
}

impl Reach {
    /// Finds out what the deletion of `reference` removes: its manifest where it has a digest, or
    /// else only its tag.
    pub async fn deletion(
        &self,
        reference: &Reference,
        access: &Access,
    ) -> Result<Deletion, Error> {
        let repository = reference.repository();
        let remote = self.destination(repository, access).await?;
        let manifest = remote.resolve(reference).await;
        let manifest = manifest.map_err(|error| Error::unresolved(reference, error))?;
        let entries = manifest.parse().map(|parsed| parsed.entries().len());
        let mut deletion = Deletion {
            reference: reference.clone(),
            digest: manifest.digest().clone(),
            tags: None,
            manifests: entries.unwrap_or_default(),
            ecr: self.ecr(repository, access).await,
            remote,
        };
        deletion.tags = deletion.tags_of_manifest().await?;
        Ok(deletion)
    }
}

impl Deletion {
    /// The image as it was named.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The tag that is removed, where only a tag is named.
    pub fn tag(&self) -> Option<&Tag> {
        match self.reference.digest() {
            Some(_) => None,
            None => self.reference.tag(),
        }
    }

    /// The other tags of the manifest, as far as they can be told.
    pub fn other_tags(&self) -> Option<Vec<&Tag>> {
        let tags = self.tags.as_ref()?;
        Some(tags.iter().filter(|tag| Some(*tag) != self.tag()).collect())
    }

    /// Returns true if the manifest is removed: ECR removes one with its last tag.
    pub fn takes_manifest(&self) -> bool {
        let is_last = || self.other_tags().is_some_and(|others| others.is_empty());
        self.tag().is_none() || self.ecr.is_some() && is_last()
    }

    /// The number of manifests that an index lists. They stay.
    pub fn manifests(&self) -> usize {
        self.manifests
    }

    /// Removes it.
    pub async fn run(&self) -> Result<(), Error> {
        if let Some(tag) = self.tag() {
            let deleted = self.delete_tag(tag).await;
            return deleted.map_err(|error| self.failed(tag, error));
        }
        let deleted = self.delete_manifest().await;
        deleted.map_err(|error| self.failed(&self.digest, error))
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<(), BoxError> {
        match &self.ecr {
            Some(ecr) => Ok(ecr.delete_tag(tag).await?),
            None => Ok(self.remote.delete_tag(tag).await?),
        }
    }

    async fn delete_manifest(&self) -> Result<(), BoxError> {
        match &self.ecr {
            Some(ecr) => Ok(ecr.delete_image(&self.digest).await?),
            None => Ok(self.remote.delete_manifest(&self.digest).await?),
        }
    }

    /// The tags of the manifest. `None`: the registry does not list them, or has too many to look
    /// at each. Of a tag in another registry than ECR, nothing else is removed, whatever there is.
    async fn tags_of_manifest(&self) -> Result<Option<Vec<Tag>>, Error> {
        if let Some(ecr) = &self.ecr {
            let tags = ecr.image_tags(&self.digest).await;
            let tags = tags.map_err(|error| self.failed(&self.digest, error.into()))?;
            let tags = tags.iter().flatten();
            return Ok(Some(tags.filter_map(|tag| tag.parse().ok()).collect()));
        }
        if self.tag().is_some() {
            return Ok(None);
        }
        let Ok(tags) = self.remote.tags().await else {
            return Ok(None);
        };
        if tags.len() > MAX_TAGS {
            return Ok(None);
        }
        let named = stream::iter(tags).map(|tag| async {
            let key = ManifestKey::Tag(&tag);
            let found = Destination::manifest_digest(&*self.remote, key).await?;
            let is_named = found.as_ref() == Some(&self.digest);
            Ok::<_, crate::content::Error>(is_named.then_some(tag))
        });
        let named = named.buffered(AT_ONCE).try_collect::<Vec<_>>().await;
        Ok(named.ok().map(|tags| tags.into_iter().flatten().collect()))
    }

    /// The end of the sentence that the registry does not delete this: the thing, and the way that is
    /// left.
    fn instead(&self) -> String {
        let repository = self.reference.repository();
        if EcrHost::parse(repository.registry()) == Some(EcrHost::Public) {
            let name = repository.name().split_once('/');
            let name = name.map_or(repository.name(), |(_, name)| name);
            let id = match self.tag() {
                Some(tag) => format!("imageTag={tag}"),
                None => format!("imageDigest={}", self.digest),
            };
            return format!(
                "no images by its API; in the account that owns it, `aws ecr-public \
                 batch-delete-image --region us-east-1 --repository-name {name} --image-ids {id}` \
                 does"
            );
        }
        let image = repository.at(&self.digest);
        match self.tag() {
            Some(_) => format!("no single tag; {image} removes the image with all its tags"),
            None => "no images by its API: its operator may have turned that off".to_owned(),
        }
    }

    fn failed(&self, what: impl std::fmt::Display, error: BoxError) -> Error {
        let repository = self.reference.repository().clone();
        let of_registry = error.downcast_ref::<registry::Error>();
        if of_registry.is_some_and(is_unsupported) {
            return Error::NoDeletion {
                what: self.instead(),
                repository,
                source: error,
            };
        }
        let advice = of_registry.and_then(|error| Advice::on(error, &repository, false));
        let failed = Error::Remove {
            repository,
            what: what.to_string(),
            source: error,
        };
        failed.with(advice)
    }
}

/// Returns true if a registry does not remove such a thing. Some say so by the code only, and some
/// take a tag for a malformed digest.
fn is_unsupported(error: &registry::Error) -> bool {
    let codes = [ErrorCode::UNSUPPORTED, ErrorCode::DIGEST_INVALID];
    error.is_unsupported() || codes.iter().any(|code| error.has_code(code))
}
