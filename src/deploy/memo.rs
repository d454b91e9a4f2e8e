//! A memo: which image the properties of a resource gave, kept beside the image itself.
//!
//! It is an artifact of a few hundred bytes under a tag of its own. Images and their tags are left
//! alone, and any registry keeps it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::reach::Reach;
use super::{Access, Error};
use crate::content::{self, BoxError, Destination, ManifestKey, MemoryOpener};
use crate::oci::{Digest, MediaType, RawManifest, Repository, Tag};

/// The config and the one layer of an artifact that has neither
/// ([manifest.md, "Guidelines for Artifact Usage"](https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage)).
const EMPTY: &[u8] = b"{}";
/// The type of the artifact.
const ARTIFACT_TYPE: &str = "application/vnd.longshore.rollback.v1";
/// The way in which the memo's tags begin.
const PREFIX: &str = "longshore-rollback-";
/// Hex digits of the mark of an owner: 128 bits.
const MARK: usize = 32;
/// The annotation that has what is known.
const GAVE: &str = "longshore.rollback";

/// The place where a resource keeps its memo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoPlace {
    /// The repository of the images.
    pub repository: Repository,
    /// The memo's own tag.
    pub tag: Tag,
    /// The way in which the repository is reached.
    pub access: Access,
}

impl MemoPlace {
    /// The memo of `owner`, one in a repository.
    pub(crate) fn new(owner: &str, repository: Repository, access: Access) -> Self {
        let mark = Digest::sha256(owner.as_bytes());
        let tag = format!("{PREFIX}{}", &mark.hex()[..MARK]);
        Self {
            tag: tag.parse().expect("letters, digits and dashes"),
            repository,
            access,
        }
    }
}

/// Returns true if a tag is none of an image's, but of something about images: a memo, or a list of
/// referrers under the tag that stands for a digest
/// ([spec.md, "Referrers Tag Schema"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema)).
pub fn is_own_tag(tag: &Tag) -> bool {
    tag.as_str().starts_with(PREFIX) || tag.as_str().starts_with("sha256-")
}

/// Which images properties gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memo(pub Vec<Gave>);

/// The image that some properties gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gave {
    /// Digest of the properties that decide the content.
    pub properties: Digest,
    /// Digest of the image's manifest or index.
    pub image: Digest,
}

impl Memo {
    /// The image that the properties of this digest gave.
    pub fn image_of(&self, properties: &Digest) -> Option<&Digest> {
        let gave = self.0.iter().find(|gave| gave.properties == *properties)?;
        Some(&gave.image)
    }

    fn manifest(&self) -> RawManifest {
        let empty = serde_json::json!({
            "mediaType": MediaType::OCI_EMPTY,
            "digest": Digest::sha256(EMPTY),
            "size": EMPTY.len(),
        });
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": empty,
            "layers": [empty],
            "annotations": { GAVE: serde_json::json!(self.0).to_string() },
        });
        RawManifest::new(
            &MediaType::OCI_MANIFEST,
            Bytes::from(manifest.to_string().into_bytes()),
        )
    }

    /// The memo in a manifest. Any other manifest gives an empty one.
    fn read(manifest: &RawManifest) -> Self {
        #[derive(Deserialize)]
        struct Document {
            annotations: std::collections::BTreeMap<String, String>,
        }
        let document: Option<Document> = serde_json::from_slice(manifest.bytes()).ok();
        let gave = document.and_then(|mut document| document.annotations.remove(GAVE));
        let gave = gave.and_then(|gave| serde_json::from_str(&gave).ok());
        Self(gave.unwrap_or_default())
    }
}

impl Reach {
    /// Returns the memo, an empty one where there is none.
    pub(super) async fn recall(&self, place: &MemoPlace) -> Result<Memo, Error> {
        let repository = self.destination(&place.repository, &place.access).await?;
        let found = Destination::manifest(&*repository, ManifestKey::Tag(&place.tag)).await;
        let found = found.map_err(|error| failed(place, error))?;
        Ok(found.as_ref().map(Memo::read).unwrap_or_default())
    }

    /// Notes it, in the place of what was noted.
    pub(super) async fn note(&self, place: &MemoPlace, memo: &Memo) -> Result<(), Error> {
        let repository = self.destination(&place.repository, &place.access).await?;
        let manifest = memo.manifest();
        let present = present(&*repository, place).await?;
        if present.as_ref() == Some(manifest.digest()) {
            return Ok(());
        }
        let written = write(&*repository, &manifest, &place.tag).await;
        let (Err(error), Some(present)) = (&written, present) else {
            return written.map_err(|error| failed(place, error));
        };
        if error.is_retryable() {
            return written.map_err(|error| failed(place, error));
        }
        // Where tags are immutable, what is there must go first.
        self.forget_manifest(place, &present).await?;
        let written = write(&*repository, &manifest, &place.tag).await;
        written.map_err(|error| failed(place, error))
    }

    /// Removes the memo. One that is not there is removed already.
    pub(super) async fn forget(&self, place: &MemoPlace) -> Result<(), Error> {
        if self.is_forbidden(&place.repository) {
            return Ok(());
        }
        let repository = self.destination(&place.repository, &place.access).await?;
        match present(&*repository, place).await? {
            Some(present) => self.forget_manifest(place, &present).await,
            None => Ok(()),
        }
    }

    async fn forget_manifest(&self, place: &MemoPlace, digest: &Digest) -> Result<(), Error> {
        let repository = self.destination(&place.repository, &place.access).await?;
        let removal = self.removal(&place.repository, &place.access).await;
        let removed = removal.delete_image(&repository, digest).await;
        removed.map(drop).map_err(|error| failed(place, error))
    }
}

async fn present(repository: &dyn Destination, place: &MemoPlace) -> Result<Option<Digest>, Error> {
    let found = repository.manifest_digest(ManifestKey::Tag(&place.tag));
    found.await.map_err(|error| failed(place, error))
}

async fn write(
    repository: &dyn Destination,
    manifest: &RawManifest,
    tag: &Tag,
) -> content::Result<()> {
    let empty = MemoryOpener::new(MediaType::OCI_EMPTY, Bytes::from_static(EMPTY));
    repository.push_blob(&empty, &[]).await?;
    repository.push_manifest(manifest, Some(tag)).await
}

fn failed(place: &MemoPlace, error: impl Into<BoxError>) -> Error {
    Error::Memo {
        memo: place.repository.tagged(&place.tag).to_string(),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let gave = |properties: &[u8], image: &[u8]| Gave {
            properties: Digest::sha256(properties),
            image: Digest::sha256(image),
        };
        let memo = Memo(vec![gave(b"p", b"i"), gave(b"q", b"j")]);
        assert_eq!(Memo::read(&memo.manifest()), memo);
        assert_eq!(memo.manifest(), memo.manifest());
        assert_eq!(
            memo.image_of(&Digest::sha256(b"q")),
            Some(&Digest::sha256(b"j"))
        );
        assert_eq!(memo.image_of(&Digest::sha256(b"r")), None);
    }

    #[test]
    fn what_is_no_memo_says_nothing() {
        for text in [
            "{}",
            "[]",
            r#"{"annotations":{"longshore.rollback":"[{\"image\":1}]"}}"#,
            r#"{"annotations":{"longshore.rollback":7}}"#,
        ] {
            let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, Bytes::from(text));
            assert_eq!(Memo::read(&manifest), Memo::default());
        }
    }
}
