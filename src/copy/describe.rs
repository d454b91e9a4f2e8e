//! What can be told of an image from its manifests and configs.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Result;
use super::fetch::{fetch_listed, parse};
use super::select::{image_platform, is_attestation};
use super::walk::{Bounds, CONCURRENCY, Seen};
use crate::content::Source;
use crate::oci::{Descriptor, Digest, Manifest, Platform, RawManifest};

/// What can be told of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Bytes of its distinct configs and layers, as stored.
    pub size: u64,
    /// Digest of the config, for a single image.
    pub config: Option<Digest>,
    /// The platforms, in the order of the index.
    pub platforms: Vec<Platform>,
    /// Manifests that an index lists, and that the place does not have.
    pub missing: Vec<Descriptor>,
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
    let mut bounds = Bounds::of(root);
    let mut seen = Seen::default();
    let mut named = Named::default();
    named.add(parsed.entries());
    let mut level = seen.unmet(parsed.entries());
    for depth in 1.. {
        bounds.list(place, level.len(), depth)?;
        if level.is_empty() {
            break;
        }
        let mut entries = stream::iter(std::mem::take(&mut level))
            .map(|entry| read(place, entry))
            .buffered(CONCURRENCY);
        while let Some((entry, listed)) = entries.try_next().await? {
            let manifest = match listed {
                Listed::Manifest(manifest) => manifest,
                Listed::Blob => {
                    count(&mut blobs, [&entry]);
                    continue;
                }
                Listed::Missing => {
                    description.missing.push(entry);
                    continue;
                }
            };
            bounds.fetched(place, &manifest)?;
            let manifest = parse(place, &manifest)?;
            count(&mut blobs, manifest.blobs());
            named.add(manifest.entries());
            level.extend(seen.unmet(manifest.entries()));
            if let Manifest::Image(image) = manifest
                && !is_attestation(&entry)
            {
                let platforms = match named.0.remove(&entry.digest) {
                    Some(platforms) => platforms,
                    None => vec![image_platform(place, &image).await?],
                };
                description.platforms.extend(platforms);
            }
        }
    }
    description
        .platforms
        .retain(|platform| !platform.is_unknown());
    description.size = blobs.values().sum();
    Ok(description)
}

/// The platforms that indexes list content for: one manifest may be for several.
#[derive(Default)]
struct Named(HashMap<Digest, Vec<Platform>>);

impl Named {
    fn add(&mut self, entries: &[Descriptor]) {
        for entry in entries {
            let Some(platform) = &entry.platform else {
                continue;
            };
            let platforms = self.0.entry(entry.digest.clone()).or_default();
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
    }
}

/// An entry of an index, as the place has it.
enum Listed {
    Manifest(RawManifest),
    Blob,
    Missing,
}

fn read(place: &dyn Source, entry: Descriptor) -> BoxFuture<'_, Result<(Descriptor, Listed)>> {
    async move {
        let listed = match fetch_listed(place, &entry).await {
            Ok(Some(manifest)) => Listed::Manifest(manifest),
            Ok(None) => Listed::Blob,
            Err(error) if error.is_not_found() => Listed::Missing,
            Err(error) => return Err(error),
        };
        Ok((entry, listed))
    }
    .boxed()
}

fn count<'a>(blobs: &mut HashMap<Digest, u64>, named: impl IntoIterator<Item = &'a Descriptor>) {
    for blob in named {
        blobs.insert(blob.digest.clone(), blob.size);
    }
}
