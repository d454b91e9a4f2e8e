//! A repository of a registry, as a source and a destination of content.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::auth::{Access, CredentialProvider};
use super::blob::RemoteBlob;
use super::client::Client;
use super::transport::Transport;
use super::{Error, blob, login, manifest, referrers, subject, tags, upload};
use crate::content::{self, Destination, ManifestKey, Opener, Pushed, Source};
use crate::oci::{Descriptor, Digest, RawManifest, Reference, Repository, Tag};

/// A repository of a registry. Cheap to clone.
#[derive(Clone)]
pub struct RemoteRepository {
    transport: Arc<Transport>,
    repository: Repository,
    name: Arc<str>,
}

impl Client {
    /// A repository of a registry, spoken to with the credentials that `provider` has for it.
    /// Nothing is sent yet. Fails if the registry is at an address that is refused.
    pub fn repository(
        &self,
        repository: Repository,
        provider: Arc<dyn CredentialProvider>,
    ) -> Result<RemoteRepository, Error> {
        RemoteRepository::new(self, repository, provider)
    }
}

impl RemoteRepository {
    pub(super) fn new(
        client: &Client,
        repository: Repository,
        provider: Arc<dyn CredentialProvider>,
    ) -> Result<Self, Error> {
        Ok(Self {
            transport: Arc::new(Transport::new(client, &repository, provider)?),
            name: repository.to_string().into(),
            repository,
        })
    }

    /// The repository's name with its registry.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The manifest that `reference`'s digest names, or else its tag, or else `latest`. Read
    /// everything after by digest: a tag may move.
    pub async fn resolve(&self, reference: &Reference) -> Result<RawManifest, Error> {
        let latest = Tag::latest();
        let key = key_of(reference, &latest);
        manifest::pull(&self.transport, key, Access::Pull).await
    }

    /// The digest of the same manifest, without reading it where the registry tells.
    pub async fn resolve_digest(&self, reference: &Reference) -> Result<Digest, Error> {
        let latest = Tag::latest();
        let key = key_of(reference, &latest);
        manifest::digest(&self.transport, key, Access::Pull).await
    }

    /// The repository's tags, in the registry's order. Fails rather than leave some out where a
    /// registry has more than can be read.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        tags::list(&self.transport).await
    }

    /// Asks the registry whether it takes the credentials. `false`: it asks for none, so nothing is
    /// known of them.
    pub async fn takes_login(&self) -> Result<bool, Error> {
        login::check(&self.transport).await
    }

    /// Removes a manifest with all its tags. Fails where it is not, or where the registry does
    /// not remove manifests.
    pub async fn delete_manifest(&self, digest: &Digest) -> Result<(), Error> {
        manifest::delete(&self.transport, ManifestKey::Digest(digest)).await
    }

    /// Removes a tag and leaves its manifest. Not every registry does this.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<(), Error> {
        manifest::delete(&self.transport, ManifestKey::Tag(tag)).await
    }
}

impl std::fmt::Debug for RemoteRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemoteRepository").field(&self.name).finish()
    }
}

impl Source for RemoteRepository {
    fn name(&self) -> &str {
        &self.name
    }

    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<RawManifest>> {
        let key = ManifestKey::Digest(&descriptor.digest);
        async move { Ok(manifest::pull(&self.transport, key, Access::Pull).await?) }.boxed()
    }

    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        let known = descriptor.media_type.is_manifest() || descriptor.media_type.is_schema1();
        let key = ManifestKey::Digest(&descriptor.digest);
        let pulled = manifest::pull(&self.transport, key, Access::Pull);
        async move {
            if known {
                return Ok(Some(pulled.await?));
            }
            Ok(if_found(pulled.await)?)
        }
        .boxed()
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        let transport = Arc::clone(&self.transport);
        Arc::new(RemoteBlob::new(transport, descriptor.clone(), &self.name))
    }

    fn referrers<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, content::Result<Vec<Descriptor>>> {
        async move { Ok(referrers::list(&self.transport, digest).await?) }.boxed()
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        let pulled = manifest::pull(&self.transport, ManifestKey::Tag(tag), Access::Pull);
        async move { Ok(if_found(pulled.await)?) }.boxed()
    }

    fn mountable_from(&self, destination: &dyn Destination) -> Option<String> {
        let (registry, name) = destination.name().split_once('/')?;
        let other_repository = name != self.repository.name();
        (registry == self.repository.registry() && other_repository)
            .then(|| self.repository.name().to_owned())
    }
}

impl Destination for RemoteRepository {
    fn name(&self) -> &str {
        &self.name
    }

    fn blob_size<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, content::Result<Option<u64>>> {
        async move {
            match blob::size(&self.transport, digest).await {
                // A registry without HEAD cannot tell, and gets the blob.
                Err(error) if error.is_unsupported() => Ok(None),
                found => Ok(if_found(found)?),
            }
        }
        .boxed()
    }

    fn push_blob<'a>(
        &'a self,
        blob: &'a dyn Opener,
        mount_from: &'a [String],
    ) -> BoxFuture<'a, content::Result<Pushed>> {
        upload::push(&self.transport, blob, mount_from).boxed()
    }

    fn manifest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        let pulled = manifest::pull(&self.transport, key, Access::Push);
        async move { Ok(if_found(pulled.await)?) }.boxed()
    }

    fn manifest_digest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<Digest>>> {
        let digest = manifest::digest(&self.transport, key, Access::Push);
        async move { Ok(if_found(digest.await)?) }.boxed()
    }

    fn push_manifest<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tag: Option<&'a Tag>,
    ) -> BoxFuture<'a, content::Result<()>> {
        async move { Ok(subject::push(&self.transport, manifest, tag).await?) }.boxed()
    }
}

/// The key of the manifest of `reference`: without a tag and a digest it is `latest`.
fn key_of<'a>(reference: &'a Reference, latest: &'a Tag) -> ManifestKey<'a> {
    match reference.digest() {
        Some(digest) => ManifestKey::Digest(digest),
        None => ManifestKey::Tag(reference.tag().unwrap_or(latest)),
    }
}

/// Returns the result, or `None` where the thing is not there.
fn if_found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
