//! The registry client against the ways in which registries differ, and the ways in which they
//! fail. Whatever the registry does, what was pushed is what is pulled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore::content::{Destination, ManifestKey, MemoryOpener, Opener, Pushed, Source, collect};
use longshore::local::{
    Auth, Fault, Locations, Mounts, Referrers, Registry, RegistryOptions, RequestRecord,
};
use longshore::oci::{Descriptor, MediaType, RawManifest, Reference};
use longshore::redact::Secret;
use longshore::registry::{Client, Config, Credentials, RemoteRepository, RetryPolicy};
use serde_json::json;

const LARGE: usize = 12 << 20;

struct Harness {
    registry: Registry,
    client: Client,
}

impl Harness {
    async fn start(options: RegistryOptions) -> Self {
        let registry = Registry::start(options).await.unwrap();
        registry.create_repository("app").await.unwrap();
        registry.create_repository("base").await.unwrap();
        let config = Config {
            allow_loopback: true,
            retry: RetryPolicy {
                first_wait: Duration::from_millis(1),
                ..RetryPolicy::default()
            },
            ..Config::default()
        };
        Self {
            registry,
            client: Client::new(config).unwrap(),
        }
    }

    fn repository(&self, name: &str) -> RemoteRepository {
        let image = format!("{}/{name}", self.registry.address());
        let reference: Reference = image.parse().unwrap();
        let who = Arc::new(Credentials::basic("AWS", "password"));
        let repository = reference.repository().clone();
        self.client.repository(repository, who).unwrap()
    }

    fn count(&self, wanted: impl Fn(&RequestRecord) -> bool) -> usize {
        self.registry
            .requests()
            .iter()
            .filter(|r| wanted(r))
            .count()
    }
}

fn blob(length: usize) -> MemoryOpener {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
    MemoryOpener::new(MediaType::OCI_LAYER, bytes.into())
}

fn password() -> Secret {
    Secret::new("password")
}

async fn bytes_of(opener: &dyn Opener) -> Bytes {
    let stream = opener.open(0).await.unwrap();
    collect(stream, 64 << 20).await.unwrap()
}

async fn round_trip_through(options: RegistryOptions) {
    let harness = Harness::start(options).await;
    round_trip(&harness.repository("app")).await;
}

/// Pushes an image of two layers, pulls it, and compares.
async fn round_trip(repository: &RemoteRepository) {
    let blobs = [blob(2), blob(LARGE), blob(100_000)];
    for blob in &blobs {
        repository.push_blob(blob, &[]).await.unwrap();
    }
    let [config, layers @ ..] = blobs.each_ref().map(|blob| blob.descriptor().unwrap());
    let manifest = push_manifest(repository, &config, &layers).await;
    for blob in &blobs {
        let pulled = repository.blob(&blob.descriptor().unwrap());
        assert!(bytes_of(&*pulled).await == bytes_of(blob).await);
    }
    let key = ManifestKey::Digest(manifest.digest());
    let pulled = Destination::manifest(repository, key).await.unwrap();
    assert_eq!(pulled.as_ref(), Some(&manifest));
    assert_eq!(repository.referrers(manifest.digest()).await.unwrap(), []);
}

async fn push_manifest(
    repository: &RemoteRepository,
    config: &Descriptor,
    layers: &[Descriptor],
) -> RawManifest {
    let document = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, document.to_string().into());
    repository.push_manifest(&manifest, None).await.unwrap();
    let tag = "v1".parse().unwrap();
    repository
        .push_manifest(&manifest, Some(&tag))
        .await
        .unwrap();
    manifest
}

#[tokio::test]
async fn a_registry_as_specified_takes_and_gives_an_image() {
    round_trip_through(RegistryOptions::default()).await;
}

#[tokio::test]
async fn a_registry_like_ecr_takes_and_gives_an_image() {
    round_trip_through(RegistryOptions::ecr(password())).await;
}

#[tokio::test]
async fn a_registry_with_tokens_takes_and_gives_an_image() {
    round_trip_through(RegistryOptions {
        auth: Auth::Bearer {
            user: "AWS".to_owned(),
            password: password(),
            anonymous_pull: false,
            lifetime: Duration::from_mins(5),
        },
        ..RegistryOptions::default()
    })
    .await;
}

#[tokio::test]
async fn absolute_locations_are_followed() {
    round_trip_through(RegistryOptions {
        locations: Locations::Absolute,
        ..RegistryOptions::default()
    })
    .await;
}

#[tokio::test]
async fn locations_with_a_query_keep_it() {
    round_trip_through(RegistryOptions {
        locations: Locations::AbsoluteWithState,
        ..RegistryOptions::default()
    })
    .await;
}

/// As ECR does, the registry keeps what came before the connection broke, and then finds that it
/// is too little for a chunk.
#[tokio::test]
async fn a_blob_of_which_too_little_came_is_sent_again() {
    let harness = Harness::start(RegistryOptions {
        min_chunk: Some(5 << 20),
        ..RegistryOptions::default()
    })
    .await;
    let cut = Fault::cut_request(2 << 20).on("PATCH", "/v2/app/");
    harness.registry.faults().add(cut);
    let repository = harness.repository("app");
    let blob = blob(LARGE);
    let pushed = repository.push_blob(&blob, &[]).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert_eq!(harness.registry.faults().pending(), 0);
    let descriptor = blob.descriptor().unwrap();
    let pulled = bytes_of(&*repository.blob(&descriptor)).await;
    assert!(descriptor.digest.matches(&pulled));
}

#[tokio::test]
async fn large_blobs_go_in_chunks_where_bodies_must_be_small() {
    round_trip_through(RegistryOptions {
        max_chunk: Some(9 << 20),
        ..RegistryOptions::default()
    })
    .await;
}

#[tokio::test]
async fn chunks_have_the_size_that_the_registry_announces() {
    round_trip_through(RegistryOptions {
        max_chunk: Some(10 << 20),
        min_chunk: Some(9 << 20),
        announce_min_chunk: true,
        ..RegistryOptions::default()
    })
    .await;
}

#[tokio::test]
async fn chunks_do_not_rely_on_the_range_of_the_answer() {
    round_trip_through(RegistryOptions {
        max_chunk: Some(8 << 20),
        ..RegistryOptions::ecr(password())
    })
    .await;
}

#[tokio::test]
async fn referrers_of_a_registry_that_has_none_are_none() {
    round_trip_through(RegistryOptions {
        referrers: Referrers::Missing,
        ..RegistryOptions::default()
    })
    .await;
}

#[tokio::test]
async fn redirected_downloads_carry_no_authorization() {
    let harness = Harness::start(RegistryOptions::ecr(password())).await;
    let layer = blob(100_000);
    let repository = harness.repository("app");
    repository.push_blob(&layer, &[]).await.unwrap();
    let pulled = repository.blob(&layer.descriptor().unwrap());
    assert!(bytes_of(&*pulled).await == bytes_of(&layer).await);
}

#[tokio::test]
async fn only_blobs_of_images_are_mounted_where_the_registry_says_so() {
    let harness = Harness::start(RegistryOptions {
        mounts: Mounts::Referenced,
        ..RegistryOptions::default()
    })
    .await;
    let (base, app) = (harness.repository("base"), harness.repository("app"));
    let layer = blob(LARGE);
    base.push_blob(&layer, &[]).await.unwrap();
    let from = [base.mountable_from(&app).unwrap()];
    let descriptor = layer.descriptor().unwrap();
    push_manifest(&base, &descriptor, std::slice::from_ref(&descriptor)).await;
    assert_eq!(app.push_blob(&layer, &from).await.unwrap(), Pushed::Mounted);
    let loose = blob(1000);
    base.push_blob(&loose, &[]).await.unwrap();
    assert_eq!(
        app.push_blob(&loose, &from).await.unwrap(),
        Pushed::Uploaded
    );
}

#[tokio::test]
async fn broken_transfers_cost_only_what_was_lost() {
    let harness = Harness::start(RegistryOptions::default()).await;
    let repository = harness.repository("app");
    let layer = blob(LARGE);
    let size = LARGE as u64;
    let faults = harness.registry.faults();
    faults.add(Fault::cut_request(4 << 20).on("PATCH", "/uploads/"));
    repository.push_blob(&layer, &[]).await.unwrap();
    assert_eq!(faults.pending(), 0);
    assert_eq!(harness.count(|r| r.method == "PATCH"), 2);
    let sent: u64 = harness.registry.requests().iter().map(|r| r.bytes_in).sum();
    assert!(sent < size + (1 << 20), "{sent} of {size} bytes");

    harness.registry.reset();
    faults.add(Fault::cut_answer(5 << 20).on("GET", "/blobs/"));
    let pulled = repository.blob(&layer.descriptor().unwrap());
    assert!(bytes_of(&*pulled).await == bytes_of(&layer).await);
    assert_eq!(faults.pending(), 0);
    assert_eq!(harness.count(|r| r.range.is_some()), 1);
}

#[tokio::test]
async fn a_corrupt_download_is_noticed() {
    let harness = Harness::start(RegistryOptions::default()).await;
    let repository = harness.repository("app");
    let layer = blob(LARGE);
    repository.push_blob(&layer, &[]).await.unwrap();
    let corrupt = Fault::corrupt(7_000_000).on("GET", "/blobs/");
    harness.registry.faults().add(corrupt);
    let pulled = repository.blob(&layer.descriptor().unwrap());
    let read = collect(pulled.open(0).await.unwrap(), 64 << 20).await;
    let error = read.unwrap_err().to_string();
    assert!(error.contains("digest mismatch"), "{error}");
}

#[tokio::test]
async fn a_registry_that_throttles_is_waited_for() {
    let harness = Harness::start(RegistryOptions::default()).await;
    let repository = harness.repository("app");
    let busy = Fault::answer(429).saying("TOOMANYREQUESTS", "Rate exceeded");
    let faults = harness.registry.faults();
    faults.add(busy.clone().on("POST", "/uploads/").times(3));
    faults.add(busy.clone().on("PATCH", "/uploads/"));
    faults.add(busy.retry_after(1).on("PUT", "/manifests/"));
    round_trip(&repository).await;
    assert_eq!(faults.pending(), 0);
}
