//! Media types of manifests, configs and layers.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The media type of a blob or a manifest. Open: an unknown one is carried as it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

media_types! {
    /// An OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// An OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// An uncompressed OCI layer.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// A gzip-compressed OCI layer.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A zstd-compressed OCI layer.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// The empty JSON object, config of artifacts that have none.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// A Docker image manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker manifest list, schema 2.
    DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A Docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// An uncompressed layer as Docker names it.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
    /// A gzip-compressed layer as Docker names it.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// A Docker image manifest, schema 1, which no current registry takes.
    DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
    /// A signed Docker image manifest, schema 1.
    DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    /// Bytes of which nothing is known.
    OCTET_STREAM = "application/octet-stream";
}

impl MediaType {
    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if this names a list of manifests: an OCI index or a Docker manifest list.
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_MANIFEST_LIST
    }

    /// Returns true if this names a single image (or artifact) manifest.
    pub fn is_image_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Returns true if this names a manifest of a kind that Longshore knows.
    pub fn is_manifest(&self) -> bool {
        self.is_index() || self.is_image_manifest()
    }

    /// Returns true if this says nothing of what a document is: the types of web servers that were
    /// not told about manifests.
    pub fn is_generic(&self) -> bool {
        matches!(
            self.as_str(),
            "" | "application/json"
                | "application/octet-stream"
                | "binary/octet-stream"
                | "text/json"
                | "text/plain"
        )
    }

    /// Returns true if this names a Docker schema 1 manifest.
    pub fn is_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }

    /// Returns true if this names an image's configuration, rather than an artifact's.
    pub fn is_image_config(&self) -> bool {
        *self == Self::OCI_CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// Returns true if this names a layer that its publisher keeps at the descriptor's `urls` and
    /// registries do not store ("foreign" or "non-distributable").
    pub fn is_foreign_layer(&self) -> bool {
        self.0.contains(".rootfs.foreign.diff.") || self.0.contains(".layer.nondistributable.")
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
