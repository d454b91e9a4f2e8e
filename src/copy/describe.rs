//! What can be told of an image from its manifests and configs.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Result;
use super::plan::{fetch_listed, parse};
use super::select::{image_platform, is_attestation};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, Manifest, Platform, RawManifest};

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
    let parsed = parse(place, root)?;
    if let Manifest::Image(image) = &parsed {
        description.config = Some(image.config.digest.clone());
        description
            .platforms
            .push(image_platform(place, image).await?);
    }
    count(&mut blobs, parsed.blobs());
    let mut level = parsed.entries().to_vec();
    for _ in 0..MAX_DEPTH {
        let entries = stream::iter(std::mem::take(&mut level)).map(|entry| read(place, entry));
        let entries: Vec<_> = entries.buffered(CONCURRENCY).try_collect().await?;
        for (entry, manifest) in entries {
            let Some(manifest) = manifest else {
                count(&mut blobs, [&entry]);
                continue;
            };
            count(&mut blobs, manifest.blobs());
            level.extend_from_slice(manifest.entries());
            if let Manifest::Image(image) = manifest
                && !is_attestation(&entry)
            {
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

/// What an index lists, with the manifest if it is one.
type Listed = (Descriptor, Option<Manifest>);

fn read(place: &dyn Source, entry: Descriptor) -> BoxFuture<'_, Result<Listed>> {
    async move {
        let manifest = fetch_listed(place, &entry).await?;
        let parsed = manifest.map(|manifest| parse(place, &manifest));
        Ok((entry, parsed.transpose()?))
    }
    .boxed()
}

fn count<'a>(blobs: &mut HashMap<Digest, u64>, named: impl IntoIterator<Item = &'a Descriptor>) {
    for blob in named {
        blobs.insert(blob.digest.clone(), blob.size);
    }
}
