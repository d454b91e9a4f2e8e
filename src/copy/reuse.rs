//! Layers that images already in the registry hold, by their diff IDs.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Checkpoint, MAX_CONFIG, Run};
use crate::content::{Destination, ManifestKey, Opener, Source, collect};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageManifest, Manifest, RawManifest};

/// Most bytes of the manifests that are learned from. Those of real images are some kilobytes each.
const MAX_LEARNED: usize = 16 << 20;

/// Which stored blob holds which uncompressed layer, as the manifests and configs of images that
/// are already in the registry tell.
#[derive(Default)]
pub struct KnownLayers {
    layers: HashMap<Digest, KnownLayer>,
    images: Vec<KnownImage>,
}

struct KnownImage {
    place: Arc<dyn Source>,
    raw: RawManifest,
    parsed: ImageManifest,
}

/// A stored blob and the repository that has it.
pub(super) struct KnownLayer {
    pub(super) blob: Descriptor,
    pub(super) place: Arc<dyn Source>,
}

impl KnownLayer {
    pub(super) fn opener(&self) -> Arc<dyn Opener> {
        self.place.blob(&self.blob)
    }
}

impl KnownLayers {
    /// Reads what the manifest of `key` in `place` tells. One that is not there, is an index, or
    /// cannot be read tells nothing: reuse saves work and is never needed.
    pub async fn learn<P>(&mut self, place: &Arc<P>, key: ManifestKey<'_>)
    where
        P: Source + Destination + 'static,
    {
        let Ok(Some(raw)) = Destination::manifest(&**place, key).await else {
            return;
        };
        let known = || self.images.iter().map(|known| &known.raw);
        let bytes: usize = known().map(|known| known.bytes().len()).sum();
        if known().any(|known| *known == raw) || bytes + raw.bytes().len() > MAX_LEARNED {
            return;
        }
        if let Ok(Manifest::Image(parsed)) = raw.parse() {
            let place: Arc<dyn Source> = place.clone();
            self.images.push(KnownImage { place, raw, parsed });
        }
    }

    /// Learns what a run before this one stored in `place`.
    pub fn resume<P: Source + 'static>(&mut self, place: &Arc<P>, checkpoint: &Checkpoint) {
        for stored in &checkpoint.layers {
            let (blob, place): (_, Arc<dyn Source>) = (stored.blob.clone(), place.clone());
            let layer = KnownLayer { blob, place };
            self.layers.entry(stored.diff_id.clone()).or_insert(layer);
        }
    }

    /// The manifest of the image that has this very config, if one is known at a target of `run`,
    /// and that target: the config names its layers, so that image is the same.
    pub fn image_of(&self, run: &Run, config: &Digest) -> Option<(&dyn Source, &RawManifest)> {
        let mut images = self.images.iter();
        let is_it = |known: &&KnownImage| {
            known.parsed.config.digest == *config && run.goes_to(known.place.name())
        };
        let known = images.find(is_it)?;
        Some((&*known.place, &known.raw))
    }

    /// Reads the configs of the known images, which tell what their layers hold.
    pub async fn read_configs(&mut self) {
        for known in &self.images {
            let config = known.place.blob(&known.parsed.config);
            let reading = async { collect(config.open(0).await?, MAX_CONFIG).await };
            let Ok(config) = reading.await else { continue };
            let Ok(config) = serde_json::from_slice::<ImageConfig>(&config) else {
                continue;
            };
            let diff_ids = config.rootfs.diff_ids;
            if diff_ids.len() != known.parsed.layers.len() {
                continue;
            }
            for (diff_id, blob) in diff_ids.into_iter().zip(&known.parsed.layers) {
                let (blob, place) = (blob.clone(), Arc::clone(&known.place));
                let layer = KnownLayer { blob, place };
                self.layers.entry(diff_id).or_insert(layer);
            }
        }
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> Option<&KnownLayer> {
        self.layers.get(diff_id)
    }
}
