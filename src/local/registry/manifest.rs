//! Manifests: pulling, pushing, deleting.

use std::io;

use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};

use super::options::Referrers;
use super::refusal::Refusal;
use super::route::Key;
use super::service::{RegistryService, created};
use crate::local::http::{CONTENT_DIGEST, Request, Response, empty, set, typed};
use crate::oci::{Descriptor, Digest, Manifest, MediaType, RawManifest};

/// The longest manifest that is taken
/// ([spec.md, "Pushing Manifests"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests)).
const MAX_MANIFEST: usize = 4 << 20;

impl RegistryService {
    pub(super) async fn get_manifest(&self, name: &str, key: &Key) -> Result<Response, Refusal> {
        let manifest = self
            .find_manifest(name, key)
            .await?
            .ok_or_else(|| self.wording.manifest_unknown())?;
        let media_type = manifest.media_type().as_str();
        let mut response = typed(StatusCode::OK, media_type, manifest.bytes().clone());
        set(&mut response, CONTENT_DIGEST, manifest.digest().to_string());
        Ok(response)
    }

    async fn find_manifest(&self, name: &str, key: &Key) -> io::Result<Option<RawManifest>> {
        match key {
            Key::Digest(digest) => self.store.manifest(name, digest).await,
            Key::Tag(tag) => match self.store.tag(name, tag.as_str()).await? {
                Some(digest) => self.store.manifest(name, &digest).await,
                None => Ok(None),
            },
        }
    }

    pub(super) async fn put_manifest(
        &self,
        name: &str,
        key: Key,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        self.limit_rate()?;
        let manifest = self.read_manifest(name, &key, request).await?;
        let parsed = manifest
            .parse()
            .map_err(|error| self.wording.manifest_invalid(error))?;
        if matches!(parsed, Manifest::Other(_)) && !self.options.unknown_media_types {
            let media_type = manifest.media_type();
            let problem = format!("manifests of media type {media_type} are not taken");
            return Err(self.wording.manifest_invalid(problem));
        }
        if parsed.subject().is_some() && self.options.refuse_subjects {
            return Err(Refusal::not_allowed());
        }
        // A tag that is looked at stays as it is until it is set.
        let _guard = self.manifests.lock().await;
        if self.options.check_references {
            self.check_references(name, &parsed).await?;
        }
        if let Key::Tag(tag) = &key
            && self.store.tag(name, tag.as_str()).await?.is_some()
            && self.is_immutable(name, tag.as_str()).await?
        {
            return Err(self.wording.tag_immutable(name, tag.as_str()));
        }
        self.store.add_manifest(name, &manifest).await?;
        if let Key::Tag(tag) = &key {
            self.store
                .set_tag(name, tag.as_str(), manifest.digest())
                .await?;
        }
        let path = format!("/v2/{name}/manifests/{}", manifest.digest());
        let mut response = created(&path, manifest.digest());
        if !self.options.manifest_location {
            response.headers_mut().remove(LOCATION);
        }
        if let (Some(subject), Referrers::Api) = (parsed.subject(), self.options.referrers) {
            set(&mut response, "oci-subject", subject.digest.to_string());
        }
        Ok(response)
    }

    async fn read_manifest(
        &self,
        name: &str,
        key: &Key,
        request: &mut Request,
    ) -> Result<RawManifest, Refusal> {
        let Some(bytes) = request.body.collect(MAX_MANIFEST).await? else {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            let message = format!("a manifest has at most {MAX_MANIFEST} bytes");
            return Err(Refusal::new(status, "MANIFEST_INVALID", message));
        };
        let media_type = MediaType::from(request.header(CONTENT_TYPE).unwrap_or_default());
        match key {
            Key::Tag(_) => Ok(RawManifest::new(&media_type, bytes)),
            Key::Digest(digest) if digest.matches(&bytes) => {
                Ok(RawManifest::with_digest(&media_type, digest.clone(), bytes))
            }
            Key::Digest(digest) => Err(self.wording.manifest_digest(name, digest)),
        }
    }

    async fn check_references(&self, name: &str, manifest: &Manifest) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        for blob in manifest.blobs() {
            if is_kept(blob) && !self.store.has_blob(name, &blob.digest).await? {
                missing.push(blob.digest.clone());
            }
        }
        refuse_missing(&missing, |missing| {
            self.wording.blobs_missing(name, missing)
        })?;
        for entry in manifest.entries() {
            if !self.has_entry(name, entry).await? {
                missing.push(entry.digest.clone());
            }
        }
        refuse_missing(&missing, |missing| {
            self.wording.manifests_missing(name, missing)
        })
    }

    /// Returns true if what an index lists is there: a manifest, or a blob as in build caches.
    async fn has_entry(&self, name: &str, entry: &Descriptor) -> io::Result<bool> {
        if self.store.manifest(name, &entry.digest).await?.is_some() {
            return Ok(true);
        }
        let may_be_blob = self.options.unknown_media_types && !entry.media_type.is_manifest();
        Ok(may_be_blob && self.store.has_blob(name, &entry.digest).await?)
    }

    pub(super) async fn delete_manifest(&self, name: &str, key: &Key) -> Result<Response, Refusal> {
        let _guard = self.manifests.lock().await;
        let was_there = match key {
            Key::Digest(digest) => self.store.remove_manifest(name, digest).await?,
            Key::Tag(tag) => self.store.remove_tag(name, tag.as_str()).await?,
        };
        if !was_there {
            return Err(self.wording.manifest_unknown());
        }
        let mut response = empty(StatusCode::ACCEPTED);
        response.headers_mut().insert(CONTENT_LENGTH, 0.into());
        Ok(response)
    }
}

/// Returns true if a registry keeps this layer: not those that stay with their publisher.
fn is_kept(blob: &Descriptor) -> bool {
    !blob.media_type.is_foreign_layer()
}

fn refuse_missing(
    missing: &[Digest],
    refusal: impl FnOnce(&[Digest]) -> Refusal,
) -> Result<(), Refusal> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(refusal(missing))
}
