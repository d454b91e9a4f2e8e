//! Images from registry to registry, over sockets: what is copied, and what is not asked for.

mod content;
mod referrers;
mod work;

use bytes::Bytes;
use longshore::content::{Destination, ManifestKey};
use longshore::copy::Report;
use longshore::deploy::{Attestations, Deployed, Image, Referrers};
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

    /// Why an image is not deployed, with all causes.
    async fn refused(&self, image: &Image) -> String {
        let meter = std::sync::Arc::default();
        let error = self.bench.deployer.run(image, &meter).await.unwrap_err();
        let told = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let told: Vec<_> = told.map(ToString::to_string).collect();
        told.join(": ")
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
