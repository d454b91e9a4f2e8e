//! Images from registry to registry, over sockets: what is copied, and what is not asked for.

use bytes::Bytes;
use longshore::content::{Destination, ManifestKey};
use longshore::copy::Report;
use longshore::deploy::{Deployed, Image, Referrers};
use longshore::local::{
    self, EnvironmentOptions, Mounts, Registry, RegistryOptions, RequestRecord,
};
use longshore::oci::{Algorithm, Digester, MediaType, RawManifest};
use serde_json::{Value, json};

use crate::support::{Bench, HOST, Images, image};

/// A registry that has images, and the stand-ins that they are copied to.
struct World {
    origin: Registry,
    images: Images,
    bench: Bench,
}

impl World {
    async fn new() -> Self {
        Self::between(RegistryOptions::default(), |_| ()).await
    }

    /// One whose destination is like ECR but for what `change` makes of it.
    async fn between(origin: RegistryOptions, change: impl FnOnce(&mut RegistryOptions)) -> Self {
        let origin = Registry::start(origin).await.expect("a registry");
        let mut options = EnvironmentOptions::default();
        change(&mut options.registry);
        Self {
            images: Images::at(origin.address(), "team/app"),
            bench: Bench::with(options).await,
            origin,
        }
    }

    /// Copies the image of tag `1`; only that is in the logs afterwards.
    async fn copy(&self, referrers: Referrers) -> (Deployed, Report) {
        self.origin.reset();
        let image = Image {
            referrers,
            ..image(&self.images.named(":1"), "app:1")
        };
        self.bench.deploy(&image).await
    }

    /// What the destination has under a tag or digest.
    fn destination(&self) -> Images {
        Images::at(self.bench.environment.registry.address(), "app")
    }

    async fn has(&self, manifest: &RawManifest) -> bool {
        let there = self.destination().repository;
        let key = ManifestKey::Digest(manifest.digest());
        let found = Destination::manifest(&there, key).await.unwrap();
        found.is_some_and(|found| found == *manifest)
    }

    async fn tagged(&self, tag: &str) -> Option<RawManifest> {
        let there = self.destination().repository;
        let tag = tag.parse().unwrap();
        let found = Destination::manifest(&there, ManifestKey::Tag(&tag)).await;
        found.unwrap()
    }
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries})
}

fn entry(manifest: &RawManifest, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let mut entry = json!(manifest.descriptor());
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}

fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes.into()
}

fn count(requests: &[RequestRecord], method: &str, path: &str) -> usize {
    let wanted = |request: &&RequestRecord| request.method == method && request.path.contains(path);
    requests.iter().filter(wanted).count()
}

/// An index over two images that share a layer, one of them in an index of its own, with an
/// attestation.
async fn two_platforms(images: &Images) -> RawManifest {
    let shared = images
        .blob(MediaType::OCI_LAYER_ZSTD, noise(1, 3 << 20))
        .await;
    let own = images
        .blob(MediaType::OCI_LAYER_GZIP, noise(2, 100_000))
        .await;
    let amd64 = images.image("linux/amd64", &[&shared]).await;
    let arm64 = images.image("linux/arm64", &[&shared, &own]).await;
    let statement = images.blob("application/vnd.in-toto+json", "{}").await;
    let attestation = images.image("unknown/unknown", &[&statement]).await;
    let mut about = entry(&attestation, "unknown/unknown");
    about["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": amd64.digest(),
    });
    let nested = index(&[entry(&arm64, "linux/arm64")]);
    let nested = images.manifest(MediaType::OCI_INDEX, &nested).await;
    let list = index(&[
        entry(&amd64, "linux/amd64"),
        about,
        json!(nested.descriptor()),
    ]);
    images.manifest(MediaType::OCI_INDEX, &list).await
}

#[tokio::test]
async fn an_index_is_copied_exactly_and_asked_for_by_tag_once() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    let (deployed, report) = world.copy(Referrers::None).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(&root).await);
    assert_eq!(world.tagged("1").await, Some(root));

    let asked = world.origin.requests();
    assert_eq!(count(&asked, "GET", "/manifests/1"), 1, "{asked:#?}");
    assert_eq!(count(&asked, "HEAD", ""), 0);
    let manifests = asked.iter().filter(|r| r.path.contains("/manifests/"));
    assert_eq!(manifests.count(), 5, "each manifest is read once");
    let blobs = asked.iter().filter(|r| r.path.contains("/blobs/"));
    assert_eq!(blobs.count(), 6, "each blob is read once");
    assert_eq!((report.blobs_uploaded, report.manifests_pushed), (6, 5));
}

#[tokio::test]
async fn one_change_moves_only_what_is_new() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;

    let new = world.images.blob(MediaType::OCI_LAYER_GZIP, "new").await;
    let s390x = world.images.image("linux/s390x", &[&new]).await;
    let more = index(&[json!(root.descriptor()), entry(&s390x, "linux/s390x")]);
    let more = world.images.manifest(MediaType::OCI_INDEX, &more).await;
    world.images.tag("1", &more).await;
    let (deployed, report) = world.copy(Referrers::None).await;
    assert_eq!(deployed.digest, *more.digest());
    assert_eq!((report.blobs_uploaded, report.manifests_pushed), (2, 2));
    let asked = world.origin.requests();
    assert_eq!(asked.len(), 4, "two manifests and two blobs: {asked:#?}");
}

#[tokio::test]
async fn every_kind_of_content_is_copied_exactly() {
    let world = World::new().await;
    let images = &world.images;
    let plain = images.blob(MediaType::DOCKER_LAYER_GZIP, "layer").await;
    let config = images.blob(MediaType::DOCKER_CONFIG, "{}").await;
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": longshore::oci::Digest::sha256(b"of Windows"),
        "size": 10,
        "urls": ["https://example.com/layer"],
    });
    let docker = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST,
        "config": config,
        "layers": [foreign, plain],
    });
    let docker = images.manifest(MediaType::DOCKER_MANIFEST, &docker).await;
    let list = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST_LIST,
        "manifests": [entry(&docker, "windows/amd64")],
    });
    let list = images
        .manifest(MediaType::DOCKER_MANIFEST_LIST, &list)
        .await;
    let empty = images.blob(MediaType::OCI_EMPTY, "{}").await;
    let chart = images
        .blob(
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "chart",
        )
        .await;
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": empty,
        "layers": [chart],
    });
    let artifact = images.manifest(MediaType::OCI_MANIFEST, &artifact).await;
    let root = index(&[json!(list.descriptor()), json!(artifact.descriptor())]);
    let root = images.manifest(MediaType::OCI_INDEX, &root).await;
    images.tag("1", &root).await;
    let (deployed, _) = world.copy(Referrers::None).await;
    assert_eq!(deployed.digest, *root.digest());
    for manifest in [&docker, &list, &artifact, &root] {
        assert!(world.has(manifest).await);
    }
}

#[tokio::test]
async fn content_named_by_sha512_is_copied_under_it() {
    let sha512 = |bytes: &[u8]| {
        let mut digester = Digester::new(Algorithm::Sha512);
        digester.update(bytes);
        digester.finish()
    };
    let world = World::new().await;
    let bytes = noise(3, 2 << 20);
    let mut layer =
        longshore::oci::Descriptor::new(MediaType::OCI_LAYER, sha512(&bytes), bytes.len() as u64);
    let opener = Sha512(layer.clone(), bytes);
    let pushed = world.images.repository.push_blob(&opener, &[]).await;
    pushed.unwrap();
    layer.annotations.clear();
    let text = json!({
        "schemaVersion": 2,
        "config": world.images.blob(MediaType::OCI_CONFIG, "{}").await,
        "layers": [layer],
    })
    .to_string();
    let digest = sha512(text.as_bytes());
    let root = RawManifest::with_digest(&MediaType::OCI_MANIFEST, digest, text.into());
    let pushed = world.images.repository.push_manifest(&root, None).await;
    pushed.unwrap();
    let source = world.images.named(&format!("@{}", root.digest()));
    let (deployed, _) = world.bench.deploy(&image(&source, "app")).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(&root).await);
}

/// A blob that is known by its SHA-512 digest.
struct Sha512(longshore::oci::Descriptor, Bytes);

impl longshore::content::Opener for Sha512 {
    fn descriptor(&self) -> Option<longshore::oci::Descriptor> {
        Some(self.0.clone())
    }

    fn open(
        &self,
        offset: u64,
    ) -> futures_util::future::BoxFuture<
        '_,
        longshore::content::Result<longshore::content::ByteStream>,
    > {
        let rest = self.1.slice(usize::try_from(offset).unwrap()..);
        let stream: longshore::content::ByteStream =
            Box::pin(futures_util::stream::iter([Ok(rest)]));
        Box::pin(async { Ok(stream) })
    }
}

#[tokio::test]
async fn unknown_manifests_and_build_caches_go_where_they_are_taken() {
    let world = World::between(RegistryOptions::default(), |destination| {
        destination.unknown_media_types = true;
    })
    .await;
    let images = &world.images;
    let data = images.blob("application/vnd.example.data", "data").await;
    let bundle = json!({"mediaType": "application/vnd.example.bundle+json", "blobs": [data]});
    let bundle = images
        .manifest("application/vnd.example.bundle+json", &bundle)
        .await;
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "cached").await;
    let config = images
        .blob("application/vnd.buildkit.cacheconfig.v0", "{\"layers\":[]}")
        .await;
    let cache = index(&[json!(layer), json!(config)]);
    let cache = images.manifest(MediaType::OCI_INDEX, &cache).await;
    let root = index(&[json!(bundle.descriptor()), json!(cache.descriptor())]);
    let root = images.manifest(MediaType::OCI_INDEX, &root).await;
    images.tag("1", &root).await;
    let (deployed, report) = world.copy(Referrers::Copy).await;
    assert_eq!(deployed.digest, *root.digest());
    assert_eq!(deployed.size, data.size + layer.size + config.size);
    assert_eq!((report.blobs_uploaded, report.manifests_pushed), (3, 3));
    for manifest in [&bundle, &cache, &root] {
        assert!(world.has(manifest).await, "with its media type");
    }
}

#[tokio::test]
async fn a_registry_that_does_not_take_an_unknown_manifest_says_so() {
    let world = World::new().await;
    let bundle = json!({"mediaType": "application/vnd.example.bundle+json"});
    let bundle = world
        .images
        .manifest("application/vnd.example.bundle+json", &bundle)
        .await;
    world.images.tag("1", &bundle).await;
    let image = image(&world.images.named(":1"), "app:1");
    let meter = std::sync::Arc::default();
    let error = world.bench.deployer.run(&image, &meter).await.unwrap_err();
    let told = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let told: Vec<_> = told.map(ToString::to_string).collect();
    assert!(told.join(": ").contains("405"), "{told:?}");
    assert_eq!(world.tagged("1").await, None);
}

#[tokio::test]
async fn blobs_of_another_repository_are_mounted_and_not_read() {
    let world = World::between(RegistryOptions::default(), |destination| {
        destination.mounts = Mounts::Referenced;
    })
    .await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;
    let again = image(&format!("{HOST}/app:1"), "other:1");
    let (deployed, report) = world.bench.deploy(&again).await;
    assert_eq!(deployed.digest, *root.digest());
    assert_eq!((report.blobs_mounted, report.blobs_uploaded), (6, 0));
    let asked = world.bench.registry_requests();
    assert_eq!(count(&asked, "POST", "/blobs/uploads/"), 6);
    assert_eq!(count(&asked, "GET", "/v2/app/blobs/"), 0);
    assert_eq!(count(&asked, "PATCH", ""), 0);
}

#[tokio::test]
async fn a_refused_mount_opens_no_second_session() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;
    let again = image(&format!("{HOST}/app:1"), "other:1");
    let (_, report) = world.bench.deploy(&again).await;
    assert_eq!((report.blobs_mounted, report.blobs_uploaded), (0, 6));
    let asked = world.bench.registry_requests();
    assert_eq!(count(&asked, "POST", "/blobs/uploads/"), 6);
}

/// An index with an SBOM about one of its images, a signature of the SBOM, and cosign's tags.
async fn signed(world: &World) -> (RawManifest, Vec<RawManifest>) {
    let images = &world.images;
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let child = images.image("linux/amd64", &[&layer]).await;
    let root = index(&[entry(&child, "linux/amd64")]);
    let root = images.manifest(MediaType::OCI_INDEX, &root).await;
    images.tag("1", &root).await;
    let sbom = images.about(&child, "an SBOM").await;
    let signature = images.about(&sbom, "a signature").await;
    let by_cosign = images.image("linux/amd64", &[&layer]).await;
    images
        .tag(&format!("sha256-{}.sig", root.digest().hex()), &by_cosign)
        .await;
    (root, vec![sbom, signature])
}

#[tokio::test]
async fn signatures_and_sboms_go_along_and_are_found_again() {
    for source in [local::Referrers::Api, local::Referrers::Missing] {
        let origin = RegistryOptions {
            referrers: source,
            ..RegistryOptions::default()
        };
        // The destination answers 405 to who asks for referrers.
        let world = World::between(origin, |_| ()).await;
        let (root, referrers) = signed(&world).await;
        let (deployed, report) = world.copy(Referrers::Copy).await;
        assert_eq!(deployed.digest, *root.digest());
        assert_eq!(report.referrers_refused, 0);
        for referrer in &referrers {
            assert!(world.has(referrer).await, "{source:?}");
        }
        let tag = format!("sha256-{}.sig", root.digest().hex());
        assert!(world.tagged(&tag).await.is_some(), "{source:?}");

        let there = world.destination().repository;
        let signatures = longshore::content::Source::referrers(&there, referrers[0].digest());
        let found = signatures.await.unwrap();
        assert_eq!(found[0].digest, *referrers[1].digest(), "{source:?}");

        world.copy(Referrers::None).await;
        let asked = world.origin.requests();
        assert_eq!(count(&asked, "GET", "/referrers/"), 0);
    }
}

#[tokio::test]
async fn a_registry_that_takes_no_referrers_still_gets_the_image() {
    let world = World::between(RegistryOptions::default(), |destination| {
        destination.refuse_subjects = true;
    })
    .await;
    let (root, referrers) = signed(&world).await;
    let (deployed, report) = world.copy(Referrers::Copy).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(&root).await);
    assert_eq!(report.referrers_refused, 1, "what is about it is not tried");
    assert!(!world.has(&referrers[0]).await);
}

#[tokio::test]
async fn a_list_of_referrers_may_name_what_is_gone() {
    let origin = RegistryOptions {
        referrers: local::Referrers::Missing,
        ..RegistryOptions::default()
    };
    let world = World::between(origin, |_| ()).await;
    let (root, referrers) = signed(&world).await;
    let [sbom, signature] = referrers.as_slice() else {
        panic!("two referrers");
    };
    let removed = world.images.repository.delete_manifest(signature.digest());
    removed.await.unwrap();
    let (deployed, _) = world.copy(Referrers::Copy).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(sbom).await);
    assert!(!world.has(signature).await);
}
