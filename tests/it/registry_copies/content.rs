//! What is copied: every kind of content, under the digest that it has.

use futures_util::future::BoxFuture;
use futures_util::stream;
use longshore::content::{ByteStream, Opener};
use longshore::oci::{Descriptor, Digest};

use super::*;

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
async fn every_kind_of_content_is_copied_exactly() {
    let world = World::new().await;
    let images = &world.images;
    let plain = images.blob(MediaType::DOCKER_LAYER_GZIP, "layer").await;
    let config = images.blob(MediaType::DOCKER_CONFIG, "{}").await;
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": Digest::sha256(b"of Windows"),
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
    let mut layer = Descriptor::new(MediaType::OCI_LAYER, sha512(&bytes), bytes.len() as u64);
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
struct Sha512(Descriptor, Bytes);

impl Opener for Sha512 {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.0.clone())
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, longshore::content::Result<ByteStream>> {
        let rest = self.1.slice(usize::try_from(offset).unwrap()..);
        let stream: ByteStream = Box::pin(stream::iter([Ok(rest)]));
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
    let told = world
        .refused(&image(&world.images.named(":1"), "app:1"))
        .await;
    assert!(told.contains("405"), "{told}");
    assert_eq!(world.tagged("1").await, None);
}

#[tokio::test]
async fn single_platforms_and_their_tags() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    let arm64 = "linux/arm64/v8".parse().unwrap();
    let source = world.images.named(":1");
    let tagged = Image {
        platform_tags: vec![(arm64, "1-arm64".parse().unwrap())],
        ..image(&source, "app:1")
    };
    let (deployed, _) = world.bench.deploy(&tagged).await;
    assert_eq!(deployed.digest, *root.digest());
    let single = world.tagged("1-arm64").await.unwrap();

    let amd64 = Image {
        platforms: Some(vec!["linux/amd64".parse().unwrap()]),
        ..image(&source, "app:amd64")
    };
    let (deployed, report) = world.bench.deploy(&amd64).await;
    let there = world.tagged("amd64").await.unwrap();
    assert_eq!(deployed.digest, *there.digest());
    assert_ne!(there, single);
    assert_eq!(report.blobs_uploaded + report.manifests_pushed, 0);

    let dropped = Image {
        attestations: Attestations::Drop,
        ..image(&source, "app:bare")
    };
    let (deployed, _) = world.bench.deploy(&dropped).await;
    assert_ne!(deployed.digest, *root.digest());
    let bare = world.tagged("bare").await.unwrap().parse().unwrap();
    let left: Vec<_> = bare.entries().iter().map(|entry| &entry.digest).collect();
    assert_eq!(left, [there.digest(), single.digest()]);

    let missing = Image {
        platforms: Some(vec!["linux/s390x".parse().unwrap()]),
        ..image(&source, "app:none")
    };
    let told = world.refused(&missing).await;
    let expected = "no image for linux/s390x; there is linux/amd64, linux/arm64";
    assert!(told.contains(expected), "{told}");
}
