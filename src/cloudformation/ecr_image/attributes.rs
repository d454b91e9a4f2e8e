//! What `Fn::GetAtt` finds of a deployed image.

use super::targets::IMAGE_URIS;
use crate::cloudformation::response::Attributes;
use crate::deploy::Deployed;
use crate::oci::Digest;

/// Most bytes of the attribute `Platforms`: longer lists end before.
const MAX_PLATFORMS: usize = 1024;

/// Every attribute of an image, in the order in which a reference shows them. They depend on the
/// image alone, not on how it got there.
pub(in crate::cloudformation) fn attributes(deployed: &Deployed) -> Attributes {
    let first = deployed.first();
    let tag_uri = match first.tags.first() {
        Some(tag) => first.repository.tagged(tag).to_string(),
        // Pushed by digest only: the URI that does name the image.
        None => deployed.uri(),
    };
    let config = deployed.config.as_ref().map(Digest::to_string);
    vec![
        ("ImageUri", deployed.uri()),
        ("ImageTagUri", tag_uri),
        ("ImageDigest", deployed.digest.to_string()),
        ("RepositoryUri", first.repository.to_string()),
        ("RepositoryName", first.repository.name().to_owned()),
        ("RegistryId", first.registry_id.clone()),
        ("Region", first.region.clone()),
        ("MediaType", deployed.media_type.to_string()),
        ("SizeInBytes", deployed.size.to_string()),
        ("ImageId", config.unwrap_or_default()),
        ("Platforms", platforms(deployed)),
    ]
}

/// The image's URI at each of the last `listed` places: those of `Destinations`.
pub(super) fn uris(deployed: &Deployed, listed: usize) -> Attributes {
    let places = deployed.places.iter();
    let listed = places.skip(deployed.places.len() - listed);
    let uris = listed.map(|place| deployed.uri_at(place));
    IMAGE_URIS.into_iter().zip(uris).collect()
}

/// The platforms with commas between them, as many as there is room for.
fn platforms(deployed: &Deployed) -> String {
    let mut list = String::new();
    for platform in deployed.platforms.iter().map(ToString::to_string) {
        if list.len() + 1 + platform.len() > MAX_PLATFORMS {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&platform);
    }
    list
}
