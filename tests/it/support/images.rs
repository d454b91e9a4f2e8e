//! Images made piece by piece in a registry that lets everyone in.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use longshore::content::{Destination, MemoryOpener, Opener};
use longshore::oci::{Descriptor, MediaType, RawManifest, Reference};
use longshore::registry::{Anonymous, Client, Config, RemoteRepository};
use serde_json::{Value, json};

/// A repository that images are made in.
pub(crate) struct Images {
    pub(crate) repository: RemoteRepository,
}

impl Images {
    pub(crate) fn at(registry: SocketAddr, name: &str) -> Self {
        let config = Config {
            allow_loopback: true,
            ..Config::default()
        };
        let client = Client::new(config).expect("a client");
        let reference: Reference = format!("{registry}/{name}").parse().expect("a name");
        let repository = client.repository(reference.repository().clone(), Arc::new(Anonymous));
        Self {
            repository: repository.expect("a repository"),
        }
    }

    /// How a source names what is under a tag or digest here.
    pub(crate) fn named(&self, key: &str) -> String {
        format!("{}{key}", self.repository.repository())
    }

    pub(crate) async fn blob(
        &self,
        media_type: impl Into<MediaType>,
        bytes: impl Into<Bytes>,
    ) -> Descriptor {
        let blob = MemoryOpener::new(media_type.into(), bytes.into());
        let pushed = self.repository.push_blob(&blob, &[]).await;
        pushed.expect("a blob that is taken");
        blob.descriptor().expect("the descriptor of a blob")
    }

    pub(crate) async fn manifest(
        &self,
        media_type: impl Into<MediaType>,
        document: &Value,
    ) -> RawManifest {
        let manifest = RawManifest::new(&media_type.into(), document.to_string().into());
        let pushed = self.repository.push_manifest(&manifest, None).await;
        pushed.expect("a manifest that is taken");
        manifest
    }

    /// An image of one platform.
    pub(crate) async fn image(&self, platform: &str, layers: &[&Descriptor]) -> RawManifest {
        let (os, architecture) = platform.split_once('/').expect("a platform");
        let config = json!({"os": os, "architecture": architecture}).to_string();
        let config = self.blob(MediaType::OCI_CONFIG, config).await;
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        });
        self.manifest(MediaType::OCI_MANIFEST, &document).await
    }

    /// An artifact about another manifest.
    pub(crate) async fn about(&self, subject: &RawManifest, text: &'static str) -> RawManifest {
        let empty = self.blob(MediaType::OCI_EMPTY, "{}").await;
        let content = self.blob("text/plain", text).await;
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": "application/vnd.example.note",
            "config": empty,
            "layers": [content],
            "subject": subject.descriptor(),
        });
        self.manifest(MediaType::OCI_MANIFEST, &document).await
    }

    pub(crate) async fn tag(&self, name: &str, manifest: &RawManifest) {
        let tag = name.parse().expect("a tag");
        let tagged = self.repository.push_manifest(manifest, Some(&tag)).await;
        tagged.expect("a tag that is taken");
    }
}
