//! An image as far as it is compared.

use anyhow::Context;
use longshore::content::{Source, UnbuiltImage, collect};
use longshore::copy::{Selection, describe, select};
use longshore::deploy::{Access, Content, Location};
use longshore::oci::{
    Descriptor, Digest, ImageConfig, ImageManifest, Manifest, MediaType, RawManifest,
};
use serde_json::{Value, json};

use crate::look;
use crate::place::Place;

/// Largest config that is compared.
const MAX_CONFIG: u64 = 4 << 20;

/// An image.
pub(super) struct Image {
    pub(super) name: String,
    /// `None` where it has no manifest yet.
    pub(super) digest: Option<Digest>,
    pub(super) media_type: MediaType,
    /// What an index lists, with what it is.
    pub(super) manifests: Vec<(Digest, String)>,
    /// The image of each platform.
    pub(super) singles: Vec<Single>,
}

/// An image of one platform.
pub(super) struct Single {
    pub(super) platform: String,
    /// Its manifest, or its config where it has none.
    digest: Digest,
    pub(super) layers: Vec<Layer>,
    pub(super) config: Value,
}

/// A layer, or another blob of a manifest.
#[derive(Clone)]
pub(super) struct Layer {
    diff_id: Option<Digest>,
    /// The stored blob. `None` where it is made when the image is pushed.
    pub(super) blob: Option<Digest>,
    pub(super) size: Option<u64>,
}

impl Image {
    pub(super) async fn read(
        place: &Place,
        location: &Location,
        access: &Access,
    ) -> anyhow::Result<Self> {
        let name = location.to_string();
        match look::open(place, location, access).await? {
            Content::Stored { root, source } => Self::stored(name, &root, &*source).await,
            Content::Unbuilt(image) => Self::unbuilt(name, &image),
        }
    }

    async fn stored(name: String, root: &RawManifest, source: &dyn Source) -> anyhow::Result<Self> {
        let parsed = root.parse()?;
        let described = |entry: &Descriptor| {
            let platform = entry.platform.as_ref().filter(|own| !own.is_unknown());
            let platform = platform.map(ToString::to_string);
            let what = if entry.is_attestation() {
                "attestation".to_owned()
            } else {
                platform.unwrap_or_else(|| entry.media_type.to_string())
            };
            (entry.digest.clone(), what)
        };
        let mut singles = Vec::new();
        if parsed.entries().is_empty() {
            singles.push(Single::stored(None, root, source).await?);
        } else {
            for platform in describe(source, root).await?.platforms {
                let shown = platform.to_string();
                let wanted = Selection {
                    platforms: Some(vec![platform]),
                    ..Selection::default()
                };
                let single = select(source, root, &wanted).await?;
                singles.push(Single::stored(Some(shown), &single, source).await?);
            }
        }
        Ok(Self {
            name,
            digest: Some(root.digest().clone()),
            media_type: root.media_type().clone(),
            manifests: parsed.entries().iter().map(described).collect(),
            singles,
        })
    }

    fn unbuilt(name: String, image: &UnbuiltImage) -> anyhow::Result<Self> {
        let config: ImageConfig =
            serde_json::from_slice(&image.config).context("malformed config")?;
        let layers = image.layers.iter().map(|layer| Layer {
            diff_id: Some(layer.diff_id.clone()),
            blob: None,
            size: None,
        });
        Ok(Self {
            name,
            digest: None,
            media_type: MediaType::default(),
            manifests: Vec::new(),
            singles: vec![Single {
                platform: config.platform.to_string(),
                digest: Digest::sha256(&image.config),
                layers: layers.collect(),
                config: serde_json::from_slice(&image.config)?,
            }],
        })
    }

    /// Returns true if it lists manifests.
    pub(super) fn has_manifests(&self) -> bool {
        !self.manifests.is_empty()
    }

    /// The images of platforms that `other` does not have.
    pub(super) fn platforms_beside(&self, other: &Self) -> Vec<(Digest, String)> {
        let has = |platform: &str| other.singles.iter().any(|own| own.platform == platform);
        let beside = self.singles.iter().filter(|own| !has(&own.platform));
        beside
            .map(|own| (own.digest.clone(), own.platform.clone()))
            .collect()
    }
}

impl Single {
    async fn stored(
        platform: Option<String>,
        manifest: &RawManifest,
        source: &dyn Source,
    ) -> anyhow::Result<Self> {
        let parsed = manifest.parse()?;
        let (config, layers) = match &parsed {
            Manifest::Image(image) => {
                let config = config(image, source).await?;
                let diff_ids = diff_ids(&config, image);
                (config, layers(&image.layers, diff_ids))
            }
            Manifest::Index(_) => (Value::Null, Vec::new()),
            Manifest::Other(other) => (Value::Null, layers(&other.blobs, Vec::new())),
        };
        let own: Option<ImageConfig> = serde_json::from_value(config.clone()).ok();
        let own = own.map(|own| own.platform.to_string());
        Ok(Self {
            platform: platform.or(own).unwrap_or_default(),
            digest: manifest.digest().clone(),
            layers,
            config,
        })
    }
}

/// The config as JSON. An artifact may have another one.
async fn config(image: &ImageManifest, source: &dyn Source) -> anyhow::Result<Value> {
    let stream = source.blob(&image.config).open(0).await?;
    let bytes = collect(stream, MAX_CONFIG).await;
    let bytes = bytes.context("cannot read the config")?;
    let digest = &image.config.digest;
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({"digest": digest})))
}

/// The diff IDs, where there is one for each layer.
fn diff_ids(config: &Value, image: &ImageManifest) -> Vec<Digest> {
    let config: ImageConfig = serde_json::from_value(config.clone()).unwrap_or_default();
    let diff_ids = config.rootfs.diff_ids;
    let is_whole = diff_ids.len() == image.layers.len();
    if is_whole { diff_ids } else { Vec::new() }
}

fn layers(blobs: &[Descriptor], diff_ids: Vec<Digest>) -> Vec<Layer> {
    let diff_ids = diff_ids
        .into_iter()
        .map(Some)
        .chain(std::iter::repeat(None));
    let layers = blobs.iter().zip(diff_ids).map(|(blob, diff_id)| Layer {
        diff_id,
        blob: Some(blob.digest.clone()),
        size: Some(blob.size),
    });
    layers.collect()
}

impl Layer {
    /// Returns true if both have the same content.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.diff_id, &other.diff_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.blob == other.blob,
        }
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        match (&self.blob, &self.diff_id) {
            (Some(blob), _) => blob.to_string(),
            (None, Some(diff_id)) => format!("{diff_id} (diff ID)"),
            (None, None) => String::new(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"digest": self.blob, "diffId": self.diff_id, "size": self.size})
    }
}
