//! Descriptors: what a manifest says about content elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::null::null_as_default;
use super::{Digest, MediaType, Platform};

/// Names content by its digest, size and media type
/// ([descriptor.md](https://github.com/opencontainers/image-spec/blob/main/descriptor.md)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the bytes.
    #[serde(default)]
    pub media_type: MediaType,
    /// Digest of the stored bytes.
    pub digest: Digest,
    /// Length of the stored bytes.
    pub size: u64,
    /// Where else the bytes can be had (foreign layers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free annotations; BuildKit marks attestations with them.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The platform of the image that an index entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of artifact that an index entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor with no more than the three required members.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// Returns true if this index entry is a BuildKit attestation manifest, by its annotation
    /// (`vnd.docker.reference.type`).
    pub fn is_attestation(&self) -> bool {
        self.annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|kind| kind == "attestation-manifest")
    }

    /// The digest of the image that this attestation is about, as BuildKit annotates it.
    pub fn attested_digest(&self) -> Option<Digest> {
        self.annotations
            .get("vnd.docker.reference.digest")?
            .parse()
            .ok()
    }
}
