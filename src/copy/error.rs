//! Errors of the engine: what it was doing, on which side, with what.

use std::fmt;

use crate::content::{self, ManifestKey};
use crate::oci::{Descriptor, Digest, InvalidManifest};

/// A copy that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {subject}{} {place}", side.preposition(*operation))]
pub struct Error {
    /// What was being done.
    pub operation: Operation,
    /// On which side.
    pub side: Side,
    /// The name of the source or the destination.
    pub place: String,
    /// What it was done with: `blob sha256:…`, `manifest sha256:…`, `tag 1.0`.
    pub subject: String,
    /// Why it failed.
    #[source]
    pub cause: Box<Cause>,
}

/// What the engine was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading content from a place.
    Fetch,
    /// Asking whether a place has content.
    Find,
    /// Understanding a manifest or a config.
    Read,
    /// Sending content to a place.
    Push,
    /// Pointing a tag to an image.
    Write,
    /// Choosing what to copy.
    Select,
}

/// One of the two sides of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The place where the image comes from.
    Source,
    /// The place where it goes.
    Destination,
}

impl Side {
    fn preposition(self, operation: Operation) -> &'static str {
        match (self, operation) {
            (Self::Destination, Operation::Push) => " to",
            (Self::Destination, Operation::Find | Operation::Write) => " in",
            _ => " of",
        }
    }
}

/// Why an operation of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The place that holds or takes the content failed.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// The manifest is none that can be copied.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// An image config that is no JSON object of the expected shape.
    #[error("the image config is malformed")]
    Config(#[source] serde_json::Error),
    /// The image is there, but not for a platform that was asked for.
    #[error("no image for {wanted}; there is {}", list(available))]
    NoPlatform {
        /// The image that was asked for.
        wanted: String,
        /// The images that there are.
        available: Vec<String>,
    },
    /// The image is for several platforms, and goes where there is room for one.
    #[error(
        "a docker-archive holds one platform: choose one with --platform, or write an oci-archive; \
         there is {}",
        list(available)
    )]
    SeveralPlatforms {
        /// The images that there are.
        available: Vec<String>,
    },
    /// The image has more manifests, or deeper ones, than Longshore copies.
    #[error("the image has more than {limit} {what}")]
    TooMany {
        /// The bound.
        limit: usize,
        /// What there are too many of.
        what: &'static str,
    },
    /// An attestation that the index lists, and that is not there.
    #[error(
        "the index lists this attestation, and it is not there: set Attestations to drop \
         (--attestations drop), or push the image again with its attestations"
    )]
    NoAttestation(#[source] Box<Self>),
    /// A tag that cannot be moved.
    #[error(transparent)]
    Tag(#[from] TagConflict),
    /// A blob was pushed and its digest is still not known: a defect of the opener.
    #[error("the blob has no digest after it was read to its end")]
    NoDigest,
}

/// A tag that points elsewhere and that the registry does not move.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tag points to {present} and the registry refuses to move it to {wanted}; \
     where tags are immutable, use a new tag, or push by digest without one"
)]
pub struct TagConflict {
    /// What the tag names.
    pub present: Digest,
    /// What it was to name.
    pub wanted: Digest,
    /// What the registry says.
    pub source: content::Error,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetch",
            Self::Find => "look for",
            Self::Read => "read",
            Self::Push => "push",
            Self::Write => "write",
            Self::Select => "select",
        })
    }
}

impl Error {
    /// The failure to look for a manifest at a destination.
    pub fn finding(place: &str, key: &ManifestKey<'_>, error: content::Error) -> Self {
        let subject = match key {
            ManifestKey::Digest(digest) => format!("manifest {digest}"),
            ManifestKey::Tag(tag) => format!("tag {tag}"),
        };
        at(Operation::Find, Side::Destination, place, subject)(error)
    }

    /// The error of the source or destination itself, if it is an `E`.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match &*self.cause {
            Cause::Content(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Returns true if what was being done is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(&*self.cause, Cause::Content(error) if error.is_not_found())
    }

    /// Returns true if it is an attestation of an index that is not there.
    pub(super) fn is_no_attestation(&self) -> bool {
        matches!(&*self.cause, Cause::NoAttestation(_))
    }

    /// Returns true if the destination refused to take something because it never takes such.
    pub(super) fn is_refused_push(&self) -> bool {
        let unsupported = matches!(&*self.cause, Cause::Content(error) if error.is_unsupported());
        self.operation == Operation::Push && self.side == Side::Destination && unsupported
    }

    /// Returns true if the same copy may succeed when it is made again.
    pub fn is_retryable(&self) -> bool {
        matches!(&*self.cause, Cause::Content(error) if error.is_retryable())
    }
}

/// Puts what was being done beside an error: `.map_err(at(Operation::Fetch, Side::Source, …))`.
pub(super) fn at<E: Into<Cause>>(
    operation: Operation,
    side: Side,
    place: &str,
    subject: impl fmt::Display,
) -> impl FnOnce(E) -> Error {
    move |cause| Error {
        operation,
        side,
        place: place.to_owned(),
        subject: subject.to_string(),
        cause: Box::new(cause.into()),
    }
}

/// The name in errors of a manifest.
pub(super) fn manifest_of(descriptor: &Descriptor) -> String {
    format!("manifest {}", descriptor.digest)
}

/// The name in errors of a blob.
pub(super) fn blob_of(descriptor: &Descriptor) -> String {
    format!("blob {} ({} bytes)", descriptor.digest, descriptor.size)
}

/// The most names that an error lists.
const LISTED: usize = 20;

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown = names.iter().take(LISTED).map(String::as_str);
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
