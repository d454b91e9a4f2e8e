//! Images that have no manifest yet: their layers are pushed, then their manifest is built.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::blob::{Item, Mounts};
use super::fetch::next_of;
use super::{KnownLayers, Phase, Result, Run};
use crate::content::{MemoryOpener, Opener, Order, UnbuiltImage, UnbuiltLayer};
use crate::oci::{Descriptor, Digest, ImageManifest, MediaType, RawManifest};

/// What layers became, by diff ID.
type Stored<'a> = HashMap<&'a Digest, Descriptor>;

/// The name in errors of the place of an image that has no manifest yet. Their causes name the
/// object.
const ARCHIVE: &str = "the archive";

impl Run {
    /// Brings an image that has no manifest yet to the targets, and builds its manifest from
    /// what its layers became: always the same one for the same image. No tag is written.
    ///
    /// A layer whose diff ID is among `known` is not read from the image.
    pub async fn assemble(&self, image: &UnbuiltImage, known: &KnownLayers) -> Result<RawManifest> {
        let blobs = async {
            let layers = self.push_layers(image, known).await?;
            let config = self.push_config(image, &layers).await?;
            let docker = self.is_docker(&layers);
            Ok(build(config, layers, docker))
        };
        let manifest = self.meter.time(Phase::Blobs, blobs).await?;
        let pushing = self.push_manifest(&manifest, &self.places);
        self.meter.time(Phase::Manifests, pushing).await?;
        Ok(manifest)
    }

    /// The stored form of every layer, base first. Each distinct one is pushed once.
    async fn push_layers(
        &self,
        image: &UnbuiltImage,
        known: &KnownLayers,
    ) -> Result<Vec<Descriptor>> {
        let mut seen = HashSet::new();
        let mut distinct: Vec<&UnbuiltLayer> = image.layers.iter().collect();
        distinct.retain(|layer| seen.insert(&layer.diff_id));
        let stored = match &image.order {
            None => self.push_layers_at_once(distinct, known).await?,
            Some(order) => self.push_layers_in_order(distinct, &**order, known).await?,
        };
        Ok(image
            .layers
            .iter()
            .map(|layer| stored[&layer.diff_id].clone())
            .collect())
    }

    async fn push_layers_at_once<'a>(
        &self,
        layers: Vec<&'a UnbuiltLayer>,
        known: &KnownLayers,
    ) -> Result<Stored<'a>> {
        stream::iter(0..layers.len())
            .map(|position| self.push_distinct(layers[position], known).boxed())
            .buffer_unordered(self.options.concurrency.start.max(1))
            .try_collect()
            .await
    }

    async fn push_layers_in_order<'a>(
        &self,
        mut layers: Vec<&'a UnbuiltLayer>,
        order: &dyn Order,
        known: &KnownLayers,
    ) -> Result<Stored<'a>> {
        let mut stored = Stored::new();
        while !layers.is_empty() {
            let wanted: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
            let next = next_of(order, "the image", &wanted).await?;
            let (diff_id, blob) = self.push_distinct(layers.swap_remove(next), known).await?;
            stored.insert(diff_id, blob);
        }
        Ok(stored)
    }

    async fn push_distinct<'a>(
        &self,
        layer: &'a UnbuiltLayer,
        known: &KnownLayers,
    ) -> Result<(&'a Digest, Descriptor)> {
        let blob = self.push_layer(layer, known).await?;
        self.meter.stored(&layer.diff_id, &blob);
        Ok((&layer.diff_id, blob))
    }

    /// Brings a layer to every target as the same blob: one that is known, if all can have it, or
    /// one that is made once for all.
    async fn push_layer(&self, layer: &UnbuiltLayer, known: &KnownLayers) -> Result<Descriptor> {
        if let Some(known) = known.layer(&layer.diff_id) {
            let mounts = Mounts {
                origin: Some(&*known.place),
                listed: false,
            };
            let item = item(known.place.name(), layer, known.opener(), mounts);
            let lacking = self.lacking_blob(&known.blob, &self.places).await?;
            let failed = self.try_blob(&item, &lacking).await;
            // A blob that is gone from where it was known is made anew.
            if failed.is_empty() {
                return Ok(known.blob.clone());
            }
        }
        let mounts = Mounts {
            origin: None,
            listed: true,
        };
        let item = item(ARCHIVE, layer, Arc::clone(&layer.opener), mounts);
        self.push_described(&item).await
    }

    async fn push_config(&self, image: &UnbuiltImage, layers: &[Descriptor]) -> Result<Descriptor> {
        let media_type = if self.is_docker(layers) {
            MediaType::DOCKER_CONFIG
        } else {
            MediaType::OCI_CONFIG
        };
        let item = Item {
            from: ARCHIVE,
            label: "config".to_owned(),
            opener: Arc::new(MemoryOpener::new(media_type, image.config.clone())),
            mounts: Mounts::default(),
        };
        self.push_described(&item).await
    }
}

impl Run {
    /// Returns true if Docker's manifest is built, which every registry and consumer takes: where
    /// every layer can stand in it.
    fn is_docker(&self, layers: &[Descriptor]) -> bool {
        let mut layers = layers.iter();
        !self.options.oci_manifests && layers.all(|layer| docker_layer(&layer.media_type).is_some())
    }
}

fn item<'a>(
    from: &'a str,
    layer: &UnbuiltLayer,
    opener: Arc<dyn Opener>,
    mounts: Mounts<'a>,
) -> Item<'a> {
    Item {
        from,
        label: layer.diff_id.hex().chars().take(12).collect(),
        opener,
        mounts,
    }
}

fn build(config: Descriptor, layers: Vec<Descriptor>, docker: bool) -> RawManifest {
    let media_type = if docker {
        MediaType::DOCKER_MANIFEST
    } else {
        MediaType::OCI_MANIFEST
    };
    let typed = if docker { docker_layer } else { oci_layer };
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(media_type.clone()),
        artifact_type: None,
        config: bare(config),
        layers: layers
            .into_iter()
            .map(|layer| {
                let media_type =
                    typed(&layer.media_type).unwrap_or_else(|| layer.media_type.clone());
                Descriptor {
                    media_type,
                    ..bare(layer)
                }
            })
            .collect(),
        subject: None,
    };
    let bytes = serde_json::to_vec(&manifest).expect("texts and numbers are always JSON");
    RawManifest::new(&media_type, bytes.into())
}

/// A descriptor without what another manifest said beside it.
fn bare(descriptor: Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type, descriptor.digest, descriptor.size)
}

fn docker_layer(media_type: &MediaType) -> Option<MediaType> {
    match media_type {
        m if *m == MediaType::DOCKER_LAYER_GZIP || *m == MediaType::OCI_LAYER_GZIP => {
            Some(MediaType::DOCKER_LAYER_GZIP)
        }
        m if *m == MediaType::DOCKER_LAYER || *m == MediaType::OCI_LAYER => {
            Some(MediaType::DOCKER_LAYER)
        }
        _ => None,
    }
}

fn oci_layer(media_type: &MediaType) -> Option<MediaType> {
    match media_type {
        m if *m == MediaType::DOCKER_LAYER_GZIP => Some(MediaType::OCI_LAYER_GZIP),
        m if *m == MediaType::DOCKER_LAYER => Some(MediaType::OCI_LAYER),
        _ => None,
    }
}
