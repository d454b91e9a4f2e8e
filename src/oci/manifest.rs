//! Manifests: kept as the bytes that were read, with a parsed view beside them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::null::null_as_default;
use super::{Descriptor, Digest, MediaType, OtherManifest, Platform};

/// A manifest's exact bytes, with their media type and digest. Copying one never rewrites it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    media_type: MediaType,
    digest: Digest,
    bytes: Bytes,
}

impl RawManifest {
    /// Wraps bytes that a source called `media_type`. Where the source said nothing of use
    /// (see [`MediaType::is_generic`]), the type is read from the document itself.
    pub fn new(media_type: &MediaType, bytes: Bytes) -> Self {
        let digest = Digest::sha256(&bytes);
        Self::with_digest(media_type, digest, bytes)
    }

    /// As [`RawManifest::new`], under a digest that the caller has verified
    /// (one of another algorithm than SHA-256).
    pub fn with_digest(media_type: &MediaType, digest: Digest, bytes: Bytes) -> Self {
        let by_members = media_type.is_generic().then(|| sniff_media_type(&bytes));
        let media_type = by_members.flatten().unwrap_or_else(|| media_type.clone());
        Self {
            media_type,
            digest,
            bytes,
        }
    }

    /// The media type of this manifest.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Digest of the exact bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A descriptor of these bytes.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.media_type.clone(),
            self.digest.clone(),
            self.bytes.len() as u64,
        )
    }

    /// Parses the manifest.
    pub fn parse(&self) -> Result<Manifest, InvalidManifest> {
        if self.media_type.is_schema1() {
            return Err(InvalidManifest::Schema1);
        }
        let parsed = if self.media_type.is_index() {
            serde_json::from_slice(&self.bytes).map(Manifest::Index)
        } else if self.media_type.is_image_manifest() {
            serde_json::from_slice(&self.bytes).map(Manifest::Image)
        } else {
            self.parse_other().map(Manifest::Other)
        };
        parsed.map_err(|source| InvalidManifest::Json {
            digest: self.digest.clone(),
            media_type: self.media_type.clone(),
            source,
        })
    }

    fn parse_other(&self) -> serde_json::Result<OtherManifest> {
        OtherManifest::of(&self.bytes)
    }
}

/// The parsed view of a [`RawManifest`].
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "parsed one at a time, never stored in numbers"
)]
pub enum Manifest {
    /// One image or artifact.
    Image(ImageManifest),
    /// A list of manifests.
    Index(ImageIndex),
    /// One of a media type that is not known.
    Other(OtherManifest),
}

impl Manifest {
    /// The content that this manifest is about, if it is a referrer
    /// ([manifest.md, `subject`](https://github.com/opencontainers/image-spec/blob/main/manifest.md)).
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
            Self::Other(other) => other.subject.as_ref(),
        }
    }

    /// The blobs that this manifest names, in order.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, others) = match self {
            Self::Image(image) => (Some(&image.config), image.layers.as_slice()),
            Self::Index(_) => (None, [].as_slice()),
            Self::Other(other) => (None, other.blobs.as_slice()),
        };
        config.into_iter().chain(others)
    }

    /// The entries of this manifest: manifests, and in some indexes blobs.
    pub fn entries(&self) -> &[Descriptor] {
        match self {
            Self::Image(_) => &[],
            Self::Index(index) => &index.manifests,
            Self::Other(other) => &other.manifests,
        }
    }
}

/// An OCI image manifest or a Docker manifest of schema 2, whose members are alike
/// ([manifest.md](https://github.com/opencontainers/image-spec/blob/main/manifest.md)).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u8,
    /// The manifest's own media type. OCI lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The kind of artifact, where this is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration blob.
    pub config: Descriptor,
    /// The layers, base first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
}

/// An OCI image index or a Docker manifest list
/// ([image-index.md](https://github.com/opencontainers/image-spec/blob/main/image-index.md)).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u8,
    /// The index's own media type. OCI lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The manifests.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
}

/// The members that Longshore reads of an image configuration
/// ([config.md](https://github.com/opencontainers/image-spec/blob/main/config.md)).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "ConfigDocument")]
pub struct ImageConfig {
    /// The platform that the image runs on; its members stand at the top of the document.
    pub platform: Platform,
    /// The layers by the digests of their uncompressed tars.
    pub rootfs: RootFs,
}

/// The members of the document. `flatten` would hold all others in memory, too.
#[derive(Deserialize)]
struct ConfigDocument {
    #[serde(default, deserialize_with = "null_as_default")]
    architecture: String,
    #[serde(default, deserialize_with = "null_as_default")]
    os: String,
    #[serde(rename = "os.version", default, deserialize_with = "null_as_default")]
    os_version: String,
    #[serde(rename = "os.features", default, deserialize_with = "null_as_default")]
    os_features: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    variant: String,
    #[serde(default, deserialize_with = "null_as_default")]
    rootfs: RootFs,
}

impl From<ConfigDocument> for ImageConfig {
    fn from(document: ConfigDocument) -> Self {
        Self {
            platform: Platform {
                architecture: document.architecture,
                os: document.os,
                os_version: document.os_version,
                os_features: document.os_features,
                variant: document.variant,
            },
            rootfs: document.rootfs,
        }
    }
}

/// The layers of an [`ImageConfig`].
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RootFs {
    /// Digests of the uncompressed layers, base first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

/// Bytes that are no manifest that Longshore can copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidManifest {
    /// Docker's schema 1, long deprecated.
    #[error(
        "the image has a Docker schema 1 manifest, which registries no longer take: \
         push it again with a current builder, or convert it with `skopeo copy --format v2s2`"
    )]
    Schema1,
    /// No JSON, or lacks a required member.
    #[error("manifest {digest} of media type \"{media_type}\" is malformed")]
    Json {
        /// Which manifest.
        digest: Digest,
        /// The media type that it was given.
        media_type: MediaType,
        /// The parser's error.
        source: serde_json::Error,
    },
}

/// Reads the media type from the document: its `mediaType`, or else its members.
fn sniff_media_type(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: Option<u8>,
        media_type: Option<MediaType>,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(bytes).ok()?;
    if let Some(media_type) = shape.media_type {
        return Some(media_type);
    }
    if shape.schema_version == Some(1) {
        return Some(MediaType::DOCKER_SCHEMA1);
    }
    match (shape.manifests.is_some(), shape.config.is_some()) {
        (true, _) => Some(MediaType::OCI_INDEX),
        (_, true) => Some(MediaType::OCI_MANIFEST),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_the_default_in_a_config() {
        let text = r#"{"architecture":"arm64","os":"linux","variant":null,"os.version":null,
            "os.features":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.platform.to_string(), "linux/arm64");
        assert!(config.rootfs.diff_ids.is_empty());
        let text = r#"{"architecture":null,"os":"linux","rootfs":null}"#;
        assert!(serde_json::from_str::<ImageConfig>(text).is_ok());
        let text = r#"{"architecture":"arm64","os":"linux","variant":null}"#;
        let platform: Platform = serde_json::from_str(text).unwrap();
        assert_eq!(platform.to_string(), "linux/arm64");
    }
}
