//! What can be told of an image from its manifests and configs.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Result;
use super::plan::{fetch, parse};
use super::select::{image_platform, is_attestation};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, ImageManifest, Manifest, Platform, RawManifest};

/// Manifests asked for at once.
const CONCURRENCY: usize = 8;
/// Deepest nesting of indexes.
const MAX_DEPTH: usize = 8;

/// What can be told of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Bytes of its distinct configs and layers, as stored.
    pub size: u64,
    /// Digest of the config, for a single image.
    pub config: Option<Digest>,
    /// The platforms, in the order of the index.
    pub platforms: Vec<Platform>,
}

/// Reads what can be told of the image of `root` from a place that has it.
pub async fn describe(place: &dyn Source, root: &RawManifest) -> Result<Description> {
    let mut description = Description::default();
    let mut blobs = HashMap::new();
    let mut level = match parse(place, root)? {
        Manifest::Image(image) => {
            description.config = Some(image.config.digest.clone());
            description
                .platforms
                .push(image_platform(place, &image).await?);
            count(&mut blobs, &image);
            Vec::new()
        }
        Manifest::Index(index) => index.manifests,
    };
    for _ in 0..MAX_DEPTH {
        let entries = stream::iter(std::mem::take(&mut level)).map(|entry| read(place, entry));
        let entries: Vec<_> = entries.buffered(CONCURRENCY).try_collect().await?;
        for (entry, manifest) in entries {
            let image = match manifest {
                Manifest::Index(nested) => {
                    level.extend(nested.manifests);
                    continue;
                }
                Manifest::Image(image) => image,
            };
            count(&mut blobs, &image);
            if !is_attestation(&entry) {
                let platform = match entry.platform {
                    Some(platform) => platform,
                    None => image_platform(place, &image).await?,
                };
                description.platforms.push(platform);
            }
        }
    }
    description
        .platforms
        .retain(|platform| !platform.is_unknown());
    description.size = blobs.values().sum();
    Ok(description)
}

fn read(place: &dyn Source, entry: Descriptor) -> BoxFuture<'_, Result<(Descriptor, Manifest)>> {
    async move {
        let manifest = fetch(place, &entry).await?;
        Ok((entry, parse(place, &manifest)?))
    }
    .boxed()
}

fn count(blobs: &mut HashMap<Digest, u64>, image: &ImageManifest) {
    for blob in std::iter::once(&image.config).chain(&image.layers) {
        blobs.insert(blob.digest.clone(), blob.size);
    }
}
