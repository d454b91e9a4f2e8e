//! Layers that the destination's present images already hold, by their diff IDs.

use std::collections::HashMap;

use crate::content::{Destination, ManifestKey, Source, collect};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageManifest, Manifest, RawManifest};

use super::MAX_CONFIG;

/// Which stored blob holds which uncompressed layer, as manifests and configs that are already at
/// the destination tell.
#[derive(Debug, Default)]
pub struct KnownLayers {
    layers: HashMap<Digest, Descriptor>,
    images: Vec<(RawManifest, ImageManifest)>,
}

impl KnownLayers {
    /// Reads what the manifest of `key` tells. One that is not there, is an index, or cannot be
    /// read tells nothing: reuse saves work and is never needed.
    pub async fn learn<P>(&mut self, place: &P, key: ManifestKey<'_>)
    where
        P: Source + Destination + ?Sized,
    {
        let Ok(Some(raw)) = Destination::manifest(place, key).await else {
            return;
        };
        if self
            .images
            .iter()
            .any(|(known, _)| known.digest() == raw.digest())
        {
            return;
        }
        if let Ok(Manifest::Image(image)) = raw.parse() {
            self.images.push((raw, image));
        }
    }

    /// The manifest of the image that has this very config, if one is known: the config names its
    /// layers, so that image is the same.
    pub fn image_of(&self, config: &Digest) -> Option<&RawManifest> {
        let found = self
            .images
            .iter()
            .find(|(_, image)| image.config.digest == *config);
        found.map(|(raw, _)| raw)
    }

    /// Reads the configs of the known images, which tell what their layers hold.
    pub async fn read_configs<P>(&mut self, place: &P)
    where
        P: Source + ?Sized,
    {
        for (_, image) in &self.images {
            let reading =
                async { collect(place.blob(&image.config).open(0).await?, MAX_CONFIG).await };
            let Ok(config) = reading.await else { continue };
            let Ok(config) = serde_json::from_slice::<ImageConfig>(&config) else {
                continue;
            };
            let diff_ids = config.rootfs.diff_ids;
            if diff_ids.len() == image.layers.len() {
                let pairs = diff_ids.into_iter().zip(image.layers.iter().cloned());
                self.layers.extend(pairs);
            }
        }
    }

    /// The stored blob that holds the layer of `diff_id`.
    pub fn layer(&self, diff_id: &Digest) -> Option<&Descriptor> {
        self.layers.get(diff_id)
    }
}
