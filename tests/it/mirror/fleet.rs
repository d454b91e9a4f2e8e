//! A fleet of small images over two registries, and a registry that it goes to.

use longshore::local::{Registry, RegistryOptions, RequestRecord};
use longshore::oci::{MediaType, RawManifest};

use crate::support::Images;

/// Where a fleet comes from and where it goes.
pub(crate) struct Fleet {
    pub(crate) one: Registry,
    pub(crate) other: Registry,
    pub(crate) destination: Registry,
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        let start = || async { Registry::start(RegistryOptions::default()).await.unwrap() };
        Self {
            one: start().await,
            other: start().await,
            destination: start().await,
        }
    }

    /// Puts an image with these tags into a repository. Each text is another image.
    pub(crate) async fn image(registry: &Registry, name: &str, text: &str, tags: &[&str]) {
        let images = Images::at(registry.address(), name);
        let manifest = Self::made(&images, text).await;
        for tag in tags {
            images.tag(tag, &manifest).await;
        }
    }

    async fn made(images: &Images, text: &str) -> RawManifest {
        let layer = images
            .blob(MediaType::OCI_LAYER_GZIP, text.as_bytes().to_vec())
            .await;
        images.image("linux/amd64", &[&layer]).await
    }

    /// The digest under a tag of the destination.
    pub(crate) async fn at_destination(&self, name: &str, tag: &str) -> Option<String> {
        digest(&self.destination, name, tag).await
    }

    /// Forgets all requests.
    pub(crate) fn reset(&self) {
        for registry in [&self.one, &self.other, &self.destination] {
            registry.reset();
        }
    }

    /// All requests to the three registries.
    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        let registries = [&self.one, &self.other, &self.destination];
        let requests = registries.iter().flat_map(|registry| registry.requests());
        requests.collect()
    }
}

/// The digest under a tag.
pub(crate) async fn digest(registry: &Registry, name: &str, tag: &str) -> Option<String> {
    let images = Images::at(registry.address(), name);
    let tag = tag.parse().unwrap();
    let found = longshore::content::Source::tagged(&images.repository, &tag).await;
    Some(found.unwrap()?.digest().to_string())
}
