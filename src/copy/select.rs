//! What of an image is wanted: all of it, one platform, or an index of some.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{Cause, at, manifest_of};
use super::fetch::{fetch, fetch_listed, parse};
use super::walk::{Indexes, document_of};
use super::{Error, MAX_CONFIG, Operation, Result, Side};
use crate::content::{Source, collect};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageManifest, Manifest, Platform, RawManifest};

/// Most values, or thereabouts, in a member of an index that is written anew.
const MAX_VALUES: usize = 100_000;

/// What is wanted of an image.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The platforms. `None`: all.
    pub platforms: Option<Vec<Platform>>,
    /// True if the platforms are of an index only: a single image is then taken as it is.
    pub of_index_only: bool,
    /// True if attestations are left out of an index.
    pub drop_attestations: bool,
    /// True if there is room for one platform only: of an index that has one, that image is meant.
    pub single: bool,
}

/// Picks what is wanted of the image of `root`.
///
/// All of it is `root` itself, byte for byte. One platform is that image's own manifest. Several
/// are a new index with their entries as they stood, in the order of the old one, and with the
/// attestations about them.
pub async fn select(
    source: &dyn Source,
    root: &RawManifest,
    wanted: &Selection,
) -> Result<RawManifest> {
    let parsed = parse(source, root)?;
    if !is_list(&parsed) {
        return single(source, root, &parsed, wanted).await;
    }
    if wanted.platforms.is_none() && !wanted.drop_attestations && !wanted.single {
        return Ok(root.clone());
    }
    let indexes = Indexes::below(source, root).await?;
    let entries = indexes.leaves()?;
    let has_attestations = entries.iter().any(is_attestation);
    let kept = match &wanted.platforms {
        None if wanted.single => return only(source, root, &entries).await,
        None if has_attestations => entries,
        None => return Ok(root.clone()),
        Some(platforms) => {
            let kept = matching(source, root, &entries, platforms).await?;
            if let ([_], [image]) = (platforms.as_slice(), kept.as_slice()) {
                return fetch(source, image).await;
            }
            if wanted.single {
                return only(source, root, &kept).await;
            }
            with_attestations(&kept, entries)
        }
    };
    let kept: Vec<Digest> = kept
        .iter()
        .filter(|entry| !(wanted.drop_attestations && is_attestation(entry)))
        .map(|entry| entry.digest.clone())
        .collect();
    rebuild(source, root, &indexes, &kept)
}

/// Returns true if a manifest lists others: an index, or one of an unknown media type that has
/// `manifests`.
fn is_list(manifest: &Manifest) -> bool {
    matches!(manifest, Manifest::Index(_)) || !manifest.entries().is_empty()
}

/// A manifest that lists no others, if it is for the wanted platforms.
async fn single(
    source: &dyn Source,
    root: &RawManifest,
    parsed: &Manifest,
    wanted: &Selection,
) -> Result<RawManifest> {
    let Some(platforms) = wanted.platforms.as_ref().filter(|_| !wanted.of_index_only) else {
        return Ok(root.clone());
    };
    let available = match parsed {
        Manifest::Image(image) => Some(image_platform(source, image).await?),
        _ => None,
    };
    let is_for = |wanted: &Platform| available.as_ref().is_some_and(|own| wanted.matches(own));
    match platforms.iter().find(|wanted| !is_for(wanted)) {
        None => Ok(root.clone()),
        Some(missing) => Err(no_platform(source, root, missing, available.as_slice())),
    }
}

/// The only image of an index, attestations aside.
async fn only(
    source: &dyn Source,
    root: &RawManifest,
    entries: &[Descriptor],
) -> Result<RawManifest> {
    let images: Vec<_> = entries.iter().filter(|e| !is_attestation(e)).collect();
    if let [image] = images.as_slice() {
        return fetch(source, image).await;
    }
    let mut available = Vec::with_capacity(images.len());
    for image in images {
        available.push(entry_platform(source, image).await?.to_string());
    }
    available.retain(|platform| platform != "/");
    let subject = manifest_of(&root.descriptor());
    let cause = Cause::SeveralPlatforms { available };
    Err(at(Operation::Select, Side::Source, source.name(), subject)(
        cause,
    ))
}

pub(super) fn is_attestation(entry: &Descriptor) -> bool {
    let unknown =
        |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
    entry.is_attestation() || entry.platform.as_ref().is_some_and(unknown)
}

/// The entries of the wanted platforms, in the order of the index. For one wanted platform it is
/// the one with the latest version of the operating system, and of these the first.
async fn matching(
    source: &dyn Source,
    root: &RawManifest,
    entries: &[Descriptor],
    wanted: &[Platform],
) -> Result<Vec<Descriptor>> {
    let mut known = Vec::with_capacity(entries.len());
    let images = entries.iter().enumerate();
    for (position, entry) in images.filter(|(_, entry)| !is_attestation(entry)) {
        known.push((entry_platform(source, entry).await?, position));
    }
    let mut kept = BTreeSet::new();
    for wanted in wanted {
        let matching = known
            .iter()
            .filter(|(platform, _)| wanted.matches(platform));
        let best = matching
            .rev()
            .max_by_key(|(platform, _)| platform.preference());
        let Some((_, position)) = best else {
            let available: Vec<_> = known.into_iter().map(|(platform, _)| platform).collect();
            return Err(no_platform(source, root, wanted, &available));
        };
        kept.insert(*position);
    }
    Ok(kept
        .into_iter()
        .map(|position| entries[position].clone())
        .collect())
}

/// Adds the attestations about what is kept, in the order of the index.
fn with_attestations(kept: &[Descriptor], entries: Vec<Descriptor>) -> Vec<Descriptor> {
    let kept: HashSet<&Digest> = kept.iter().map(|entry| &entry.digest).collect();
    let is_kept = |digest: &Digest| kept.contains(digest);
    entries
        .into_iter()
        .filter(|entry| {
            is_kept(&entry.digest) || entry.attested_digest().is_some_and(|of| is_kept(&of))
        })
        .collect()
}

async fn entry_platform(source: &dyn Source, entry: &Descriptor) -> Result<Platform> {
    if let Some(platform) = &entry.platform {
        return Ok(platform.clone());
    }
    let manifest = match fetch_listed(source, entry).await {
        // What is not there has no platform that could be wanted.
        Err(error) if error.is_not_found() => None,
        fetched => fetched?,
    };
    match manifest
        .map(|manifest| parse(source, &manifest))
        .transpose()?
    {
        Some(Manifest::Image(image)) => image_platform(source, &image).await,
        _ => Ok(Platform::default()),
    }
}

/// The platform that an image's config names. Artifacts, whose configs are no image configs, have
/// none.
pub(super) async fn image_platform(source: &dyn Source, image: &ImageManifest) -> Result<Platform> {
    if !image.config.media_type.is_image_config() {
        return Ok(Platform::default());
    }
    Ok(image_config(source, &image.config).await?.platform)
}

async fn image_config(source: &dyn Source, config: &Descriptor) -> Result<ImageConfig> {
    let subject = || format!("config {}", config.digest);
    let reading = async { collect(source.blob(config).open(0).await?, MAX_CONFIG).await };
    let bytes =
        reading
            .await
            .map_err(at(Operation::Fetch, Side::Source, source.name(), subject()))?;
    serde_json::from_slice(&bytes)
        .map_err(Cause::Config)
        .map_err(at(Operation::Read, Side::Source, source.name(), subject()))
}

fn no_platform(
    source: &dyn Source,
    root: &RawManifest,
    wanted: &Platform,
    available: &[Platform],
) -> Error {
    let mut available: Vec<_> = available.iter().map(ToString::to_string).collect();
    available.retain(|platform| platform != "/");
    let cause = Cause::NoPlatform {
        wanted: wanted.to_string(),
        available,
    };
    let subject = manifest_of(&root.descriptor());
    at(Operation::Select, Side::Source, source.name(), subject)(cause)
}

/// A new index with the entries of `kept`, every member of an entry and of the index as it stood.
fn rebuild(
    source: &dyn Source,
    root: &RawManifest,
    indexes: &Indexes<'_>,
    kept: &[Digest],
) -> Result<RawManifest> {
    let mut entries = indexes.raw_leaves()?;
    let kept: HashSet<&Digest> = kept.iter().collect();
    entries.retain(|entry| digest_of(entry).is_some_and(|digest| kept.contains(&digest)));
    let mut document: BTreeMap<String, Box<RawValue>> = document_of(source, root)?;
    document.remove("manifests");
    let rewriting = rewritten(document, &entries);
    let subject = || manifest_of(&root.descriptor());
    let document = rewriting
        .map_err(|cause| at(Operation::Select, Side::Source, source.name(), subject())(cause))?;
    Ok(RawManifest::new(root.media_type(), document.into()))
}

fn digest_of(entry: &RawValue) -> Option<Digest> {
    #[derive(Deserialize)]
    struct Entry {
        digest: Digest,
    }
    let entry: Entry = serde_json::from_str(entry.get()).ok()?;
    Some(entry.digest)
}

/// An index of other entries, without white space and in the order of its names. Each member is
/// written by itself: a tree of the values of all would take a hundred times what they have.
fn rewritten(
    mut members: BTreeMap<String, Box<RawValue>>,
    entries: &[Box<RawValue>],
) -> std::result::Result<Vec<u8>, Cause> {
    for member in members.values_mut() {
        *member = compact(member)?;
    }
    let entries = entries.iter().map(|entry| compact(entry));
    let entries: Vec<_> = entries.collect::<std::result::Result<_, _>>()?;
    let entries = serde_json::value::to_raw_value(&entries).map_err(Cause::Config)?;
    members.insert("manifests".to_owned(), entries);
    serde_json::to_vec(&members).map_err(Cause::Config)
}

fn compact(member: &RawValue) -> std::result::Result<Box<RawValue>, Cause> {
    let text = member.get();
    let values = text.bytes().filter(|byte| b"{[,".contains(byte)).count();
    if values > MAX_VALUES {
        return Err(Cause::TooMany {
            limit: MAX_VALUES,
            what: "values in a member of its index",
        });
    }
    let value: Value = serde_json::from_str(text).map_err(Cause::Config)?;
    serde_json::value::to_raw_value(&value).map_err(Cause::Config)
}
