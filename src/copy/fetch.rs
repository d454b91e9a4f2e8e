//! Reading an image's manifests from its source.

use super::error::{at, manifest_of};
use super::{Operation, Result, Side};
use crate::content::{Order, Source};
use crate::oci::{Descriptor, Digest, Manifest, RawManifest};

pub(super) async fn fetch(source: &dyn Source, descriptor: &Descriptor) -> Result<RawManifest> {
    let subject = manifest_of(descriptor);
    source.manifest(descriptor).await.map_err(at(
        Operation::Fetch,
        Side::Source,
        source.name(),
        subject,
    ))
}

/// What an index lists, if it is a manifest and no blob.
pub(super) async fn fetch_listed(
    source: &dyn Source,
    entry: &Descriptor,
) -> Result<Option<RawManifest>> {
    let subject = manifest_of(entry);
    source
        .listed(entry)
        .await
        .map_err(at(Operation::Fetch, Side::Source, source.name(), subject))
}

pub(super) fn parse(source: &dyn Source, manifest: &RawManifest) -> Result<Manifest> {
    let subject = manifest_of(&manifest.descriptor());
    manifest
        .parse()
        .map_err(at(Operation::Read, Side::Source, source.name(), subject))
}

/// Which of `wanted` comes next in the place of this name.
pub(super) async fn next_of(order: &dyn Order, place: &str, wanted: &[&Digest]) -> Result<usize> {
    let subject = "the image".to_owned();
    let next = order.next(wanted).await;
    next.map_err(at(Operation::Read, Side::Source, place, subject))
}
