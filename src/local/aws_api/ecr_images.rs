//! ECR: images of a repository.

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Caller, Refusal, input, unknown_operation};
use super::ecr::about;
use super::service::ApiService;
use crate::oci::{Digest, Manifest, RawManifest};

/// The way in which an image is named: by digest, by tag or by both.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageId {
    image_digest: Option<String>,
    image_tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageIds {
    image_ids: Option<Vec<ImageId>>,
}

impl ImageId {
    fn to_json(&self) -> Value {
        let mut id = json!({});
        if let Some(digest) = &self.image_digest {
            id["imageDigest"] = digest.as_str().into();
        }
        if let Some(tag) = &self.image_tag {
            id["imageTag"] = tag.as_str().into();
        }
        id
    }

    fn not_found(&self) -> Value {
        json!({
            "imageId": self.to_json(),
            "failureCode": "ImageNotFound",
            "failureReason": "Requested image not found",
        })
    }
}

impl ApiService {
    pub(super) async fn ecr_images(
        &self,
        caller: &Caller,
        name: &str,
        operation: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        match operation {
            "BatchGetImage" => self.batch_get_image(caller, name, document).await,
            "BatchDeleteImage" => self.batch_delete_image(name, document).await,
            "DescribeImages" => self.describe_images(caller, name, document).await,
            "ListImages" => self.list_images(name).await,
            _ => Err(unknown_operation(operation)),
        }
    }

    async fn batch_get_image(
        &self,
        caller: &Caller,
        name: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        let ImageIds { image_ids } = input(document)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in image_ids.unwrap_or_default() {
            let Some(manifest) = self.find_image(name, &id).await? else {
                failures.push(id.not_found());
                continue;
            };
            let mut found = id.clone();
            found.image_digest = Some(manifest.digest().to_string());
            let mut image = about(caller, name, "imageId", found.to_json());
            image["imageManifest"] = String::from_utf8_lossy(manifest.bytes()).into();
            image["imageManifestMediaType"] = manifest.media_type().as_str().into();
            images.push(image);
        }
        Ok(json!({"images": images, "failures": failures}))
    }

    async fn batch_delete_image(&self, name: &str, document: &Value) -> Result<Value, Refusal> {
        let ImageIds { image_ids } = input(document)?;
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        let _guard = self.registry.manifests.lock().await;
        for id in image_ids.unwrap_or_default() {
            let Some(manifest) = self.find_image(name, &id).await? else {
                failures.push(id.not_found());
                continue;
            };
            if let Some(index) = self.index_of(name, manifest.digest()).await?
                && id.image_digest.is_some()
            {
                failures.push(json!({
                    "imageId": id.to_json(),
                    "failureCode": "ImageReferencedByManifestList",
                    "failureReason": format!("Requested image referenced by manifest list: [{index}]"),
                }));
                continue;
            }
            self.delete_image(name, &id, manifest.digest()).await?;
            deleted.push(ImageId {
                image_digest: Some(manifest.digest().to_string()),
                image_tag: id.image_tag,
            });
        }
        let deleted: Vec<_> = deleted.iter().map(ImageId::to_json).collect();
        Ok(json!({"imageIds": deleted, "failures": failures}))
    }

    /// Removes a tag, or a manifest with all of its tags. ECR removes the manifest with its last
    /// tag too.
    async fn delete_image(&self, name: &str, id: &ImageId, digest: &Digest) -> io::Result<()> {
        if let (Some(tag), None) = (&id.image_tag, &id.image_digest) {
            self.registry.store.remove_tag(name, tag).await?;
            if !self.tags_of(name, digest).await?.is_empty() {
                return Ok(());
            }
        }
        self.registry.store.remove_manifest(name, digest).await?;
        Ok(())
    }

    async fn describe_images(
        &self,
        caller: &Caller,
        name: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        let ImageIds { image_ids } = input(document)?;
        let mut manifests = Vec::new();
        match image_ids {
            None => manifests = self.registry.store.manifests(name).await?,
            Some(ids) => {
                for id in ids {
                    let found = self.find_image(name, &id).await?;
                    manifests.push(found.ok_or_else(|| image_not_found(caller, name, &id))?);
                }
            }
        }
        let mut details = Vec::new();
        for manifest in manifests {
            let digest = manifest.digest();
            let mut detail = about(caller, name, "imageDigest", digest.to_string().into());
            let tags = self.tags_of(name, digest).await?;
            if !tags.is_empty() {
                detail["imageTags"] = tags.into();
            }
            detail["imageManifestMediaType"] = manifest.media_type().as_str().into();
            detail["imageSizeInBytes"] = size(&manifest).into();
            details.push(detail);
        }
        Ok(json!({"imageDetails": details}))
    }

    async fn list_images(&self, name: &str) -> Result<Value, Refusal> {
        let mut ids = Vec::new();
        for manifest in self.registry.store.manifests(name).await? {
            let digest = Some(manifest.digest().to_string());
            let tags = self.tags_of(name, manifest.digest()).await?;
            let mut tags: Vec<_> = tags.into_iter().map(Some).collect();
            if tags.is_empty() {
                tags.push(None);
            }
            ids.extend(tags.into_iter().map(|image_tag| ImageId {
                image_digest: digest.clone(),
                image_tag,
            }));
        }
        let ids: Vec<_> = ids.iter().map(ImageId::to_json).collect();
        Ok(json!({"imageIds": ids}))
    }

    async fn find_image(&self, name: &str, id: &ImageId) -> io::Result<Option<RawManifest>> {
        let store = &self.registry.store;
        let tagged = match &id.image_tag {
            // A tag is a file's name: one that cannot be a tag names nothing.
            Some(tag) if tag.parse::<crate::oci::Tag>().is_err() => return Ok(None),
            Some(tag) => store.tag(name, tag).await?,
            None => None,
        };
        let digest = match &id.image_digest {
            Some(digest) => digest.parse().ok(),
            None => tagged.clone(),
        };
        let agree = id.image_tag.is_none() || tagged == digest;
        match digest {
            Some(digest) if agree => store.manifest(name, &digest).await,
            _ => Ok(None),
        }
    }

    async fn tags_of(&self, name: &str, digest: &Digest) -> io::Result<Vec<String>> {
        let store = &self.registry.store;
        let mut tags = Vec::new();
        for tag in store.tags(name).await? {
            if store.tag(name, &tag).await?.as_ref() == Some(digest) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// An index of the repository that names a manifest.
    async fn index_of(&self, name: &str, digest: &Digest) -> io::Result<Option<Digest>> {
        let manifests = self.registry.store.manifests(name).await?;
        let names = |manifest: Manifest| {
            let mut entries = manifest.entries().iter();
            entries.any(|entry| entry.digest == *digest)
        };
        let index = manifests
            .iter()
            .find(|manifest| manifest.parse().is_ok_and(names));
        Ok(index.map(|index| index.digest().clone()))
    }
}

fn size(manifest: &RawManifest) -> u64 {
    match manifest.parse() {
        Ok(Manifest::Image(image)) => {
            let layers = image.layers.iter().map(|layer| layer.size);
            layers.sum::<u64>() + image.config.size
        }
        _ => manifest.bytes().len() as u64,
    }
}

fn image_not_found(caller: &Caller, name: &str, id: &ImageId) -> Refusal {
    let message = format!(
        "The image with imageId {} does not exist within the repository with name '{name}' in the \
         registry with id '{}'",
        id.to_json(),
        caller.account
    );
    Refusal::new("ImageNotFoundException", message)
}
