//! The registry client against the registry that Docker wrote.

use std::sync::Arc;

use bytes::Bytes;
use longshore::content::{Destination, ManifestKey, MemoryOpener, Opener, Pushed, Source, collect};
use longshore::oci::{Descriptor, Digest, MediaType, RawManifest, Reference, Tag};
use longshore::registry::{
    Anonymous, Client, Config, CredentialProvider, Credentials, RemoteRepository,
};
use serde_json::json;

use crate::support::{DockerRegistry, PASSWORD, TokenServer};

const MANY: u64 = 64 << 20;

struct Registry {
    server: DockerRegistry,
    client: Client,
}

impl Registry {
    fn start() -> Self {
        Self::over(DockerRegistry::start())
    }

    fn over(server: DockerRegistry) -> Self {
        let config = Config {
            allow_loopback: true,
            ..Config::default()
        };
        Self {
            server,
            client: Client::new(config).unwrap(),
        }
    }

    fn repository(&self, name: &str) -> RemoteRepository {
        self.repository_for(name, Credentials::basic("AWS", PASSWORD))
    }

    fn repository_for(
        &self,
        name: &str,
        who: impl CredentialProvider + 'static,
    ) -> RemoteRepository {
        let host = self.server.url().replace("http://", "");
        let reference: Reference = format!("{host}/{name}").parse().unwrap();
        let repository = reference.repository().clone();
        self.client.repository(repository, Arc::new(who)).unwrap()
    }
}

fn blob(length: usize) -> MemoryOpener {
    let mut random = fastrand::Rng::with_seed(length as u64);
    let bytes: Bytes = std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect();
    MemoryOpener::new(MediaType::OCI_LAYER, bytes)
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// Pushes a blob and a manifest over it, under a tag.
async fn push_image(repository: &RemoteRepository, layer: &MemoryOpener) -> RawManifest {
    let config = MemoryOpener::new(MediaType::OCI_CONFIG, Bytes::from_static(b"{}"));
    for blob in [&config, layer] {
        repository.push_blob(blob, &[]).await.unwrap();
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, document.to_string().into());
    repository.push_manifest(&manifest, None).await.unwrap();
    let tag = tag("v1");
    repository
        .push_manifest(&manifest, Some(&tag))
        .await
        .unwrap();
    manifest
}

async fn read(repository: &RemoteRepository, descriptor: &Descriptor, offset: u64) -> Bytes {
    let opened = repository.blob(descriptor).open(offset).await.unwrap();
    collect(opened, MANY).await.unwrap()
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn what_is_pushed_is_pulled() {
    let registry = Registry::start();
    let repository = registry.repository("group/app");
    let layer = blob(5 << 20);
    let descriptor = layer.descriptor().unwrap();
    assert_eq!(
        repository.blob_size(&descriptor.digest).await.unwrap(),
        None
    );

    let manifest = push_image(&repository, &layer).await;
    let size = repository.blob_size(&descriptor.digest).await.unwrap();
    assert_eq!(size, Some(descriptor.size));
    let all = collect(layer.open(0).await.unwrap(), MANY).await.unwrap();
    assert!(read(&repository, &descriptor, 0).await == all);
    assert!(read(&repository, &descriptor, 4_000_001).await == all[4_000_001..]);

    let key = ManifestKey::Digest(manifest.digest());
    let by_digest = Destination::manifest(&repository, key).await.unwrap();
    assert_eq!(by_digest, Some(manifest.clone()));
    assert_eq!(
        repository.tagged(&tag("v1")).await.unwrap(),
        Some(manifest.clone())
    );
    assert_eq!(repository.tagged(&tag("v2")).await.unwrap(), None);
    let tag = tag("v1");
    let digest = repository.manifest_digest(ManifestKey::Tag(&tag)).await;
    assert_eq!(digest.unwrap().as_ref(), Some(manifest.digest()));
    assert_eq!(repository.tags().await.unwrap(), [tag]);
    assert_eq!(repository.referrers(manifest.digest()).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn blobs_of_another_repository_are_mounted() {
    let registry = Registry::start();
    let first = registry.repository("first");
    let layer = blob(3 << 20);
    push_image(&first, &layer).await;
    let second = registry.repository("second");
    let from = first.mountable_from(&second).unwrap();
    assert_eq!(from, "first");
    let pushed = second.push_blob(&layer, &[from]).await.unwrap();
    assert_eq!(pushed, Pushed::Mounted);
    let unknown = blob(2 << 20);
    let pushed = second.push_blob(&unknown, &["first".to_owned()]).await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_deleted_manifest_is_gone() {
    let registry = Registry::start();
    let repository = registry.repository("app");
    let manifest = push_image(&repository, &blob(100)).await;
    repository.delete_manifest(manifest.digest()).await.unwrap();
    assert_eq!(repository.tagged(&tag("v1")).await.unwrap(), None);
    let again = repository.delete_manifest(manifest.digest()).await;
    assert!(again.unwrap_err().is_not_found());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_wrong_password_is_denied() {
    let registry = Registry::start();
    let secret = "not-the-password";
    let repository = registry.repository_for("app", Credentials::basic("AWS", secret));
    let reference = repository.repository().tagged(&tag("v1"));
    let error = repository.resolve(&reference).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(!format!("{error:?}{repository:?}").contains(secret));
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_without_its_layer_is_refused() {
    let registry = Registry::start();
    let repository = registry.repository("app");
    let absent = Descriptor::new(MediaType::OCI_LAYER, Digest::sha256(b"absent"), 6);
    let document = json!({"schemaVersion": 2, "config": absent, "layers": [absent]});
    let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, document.to_string().into());
    let error = repository.push_manifest(&manifest, None).await.unwrap_err();
    assert!(
        error.to_string().contains("MANIFEST_BLOB_UNKNOWN"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn tokens_are_asked_for_what_they_are_needed_for() {
    let tokens = TokenServer::start("AWS", PASSWORD).await;
    let registry = Registry::over(DockerRegistry::start_with_tokens(&tokens));
    let (first, second) = (registry.repository("first"), registry.repository("second"));
    let layer = blob(3 << 20);
    let manifest = push_image(&first, &layer).await;
    assert_eq!(
        tokens.asked(),
        ["service=registry&scope=repository%3Afirst%3Apull%2Cpush&account=AWS"]
    );
    let pushed = second.push_blob(&layer, &["first".to_owned()]).await;
    assert_eq!(pushed.unwrap(), Pushed::Mounted);
    assert_eq!(tokens.asked().len(), 1);

    let anybody = registry.repository_for("first", Anonymous);
    let reference = first.repository().at(manifest.digest());
    assert_eq!(anybody.resolve(&reference).await.unwrap(), manifest);
    assert_eq!(
        tokens.asked(),
        ["service=registry&scope=repository%3Afirst%3Apull"]
    );
    let refused = anybody.push_blob(&blob(10), &[]).await.unwrap_err();
    let refused = refused
        .downcast_ref::<longshore::registry::Error>()
        .unwrap();
    assert!(refused.is_denied(), "{refused}");
    registry
        .repository("first")
        .delete_manifest(manifest.digest())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_token_that_has_expired_is_replaced() {
    let tokens = TokenServer::start("AWS", PASSWORD).await;
    let registry = Registry::over(DockerRegistry::start_with_tokens(&tokens));
    tokens.issue_stale(1);
    push_image(&registry.repository("app"), &blob(3 << 20)).await;
    assert_eq!(tokens.asked().len(), 2);
}
