//! What it means to hold content: the few interfaces between the engine ([`crate::copy`]) and the
//! places that content comes from and goes to.
//!
//! - A [`RangeRead`] is an object of known length that can be read in parts: an S3 object, a file.
//! - An [`Opener`] is one blob that can be opened again and again, at any offset.
//! - A [`Source`] has manifests and blobs by digest, in an [`Order`] if need be; a [`Destination`]
//!   takes them.
//!
//! All are used as trait objects: one call a blob or a range, so the indirection costs nothing
//! and code is compiled once.
//!
//! # Cancel safety
//!
//! Dropping a future or a stream of these interfaces stops the work behind it. What was pushed
//! completely stays pushed; what was not leaves no trace but an upload session that the registry
//! forgets by itself.

mod adaptive;
mod buffer;
mod chunks;
mod decoders;
mod error;
mod file;
mod limit;
mod memory;
mod ranges;
mod remote;
mod resume;
mod tally;
mod task;
mod unbuilt;
mod verify;
mod waits;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::oci::{Descriptor, Digest, RawManifest, Tag};

pub use adaptive::Parts;
#[cfg(test)]
pub(crate) use adaptive::TURN;
pub(crate) use adaptive::stream_adaptively;
pub use buffer::Buffer;
pub(crate) use chunks::ChunkMemory;
pub(crate) use decoders::{ArchiveMemory, DecoderMemory};
pub use decoders::{TooMuchMemory, process_memory};
pub use error::{BackendError, BoxError, Error, Retryable};
pub use file::{FileError, FileObject};
pub use limit::{collect, collect_exactly};
pub use memory::{MemoryObject, MemoryOpener};
pub use ranges::{Windows, stream_ranges};
pub use remote::{GetRange, RemoteObject};
pub use resume::{Reopen, resuming};
pub use tally::Tally;
pub(crate) use task::Task;
pub use unbuilt::{UnbuiltImage, UnbuiltLayer};
pub use verify::verified;
pub use waits::Waits;
pub(crate) use waits::{Wait, waiting};

/// The result of these interfaces.
pub type Result<T> = std::result::Result<T, Error>;

/// Bytes in order, as they arrive. Ends after the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// An object of known length that can be read in parts, any number at once.
///
/// # Contract
///
/// Every read sees the same object: an implementation that cannot pin what it reads (`If-Match`
/// on S3) fails when the object has changed.
pub trait RangeRead: Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// The name in errors of the object. No secret and no query of a URL.
    fn name(&self) -> &str;

    /// Opens the bytes of `range`, which lies within the object. The stream yields exactly that
    /// many bytes or an error; it resumes by itself where the connection breaks.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>>;
}

/// One blob that can be opened again and again: a retry starts over at the offset it needs
/// instead of holding the bytes.
///
/// # Contract
///
/// Every open yields the same bytes. Streams check what they yield and end in an error, not
/// silently, where the content is not what it should be.
pub trait Opener: Send + Sync {
    /// Digest, size and media type. Known from the start for content that is stored as it is
    /// pushed; for content that is made on the way (a layer compressed while it is read) only
    /// after one stream from offset 0 was read to its end.
    fn descriptor(&self) -> Option<Descriptor>;

    /// Opens the bytes from `offset` to the end.
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>>;
}

/// A place that has manifests and blobs: a repository of a registry, an OCI layout.
pub trait Source: Send + Sync {
    /// The name in errors of this place, such as `docker.io/library/nginx`.
    fn name(&self) -> &str;

    /// The exact bytes of a manifest, checked against the descriptor's digest.
    fn manifest<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<RawManifest>>;

    /// What an index lists, or `None` where that is a blob: build caches are lists of blobs, and
    /// where a media type is not known only the place can tell what has it.
    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Option<RawManifest>>> {
        async move { self.manifest(descriptor).await.map(Some) }.boxed()
    }

    /// A blob that streams this content, checked against the descriptor's digest and size.
    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener>;

    /// The order in which blobs and manifests are to be read, one after the other. `None` where
    /// any can be read at any time, also several at once.
    fn order(&self) -> Option<Arc<dyn Order>> {
        None
    }

    /// Descriptors of the manifests whose `subject` is `digest`, by whatever way this place
    /// lists them. Empty where it has none or cannot tell.
    fn referrers<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<Descriptor>>>;

    /// The manifest that `tag` names, or `None`.
    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, Result<Option<RawManifest>>>;

    /// The name of the repository that [`Destination::push_blob`] can mount this source's blobs
    /// from, where both are the same registry.
    fn mountable_from(&self, destination: &dyn Destination) -> Option<String> {
        let _ = destination;
        None
    }
}

/// The order of what stands in a place that can only be read from the beginning on, as an archive
/// that is compressed as a whole.
pub trait Order: Send + Sync {
    /// Which of `wanted` comes next, as a position in it. The place is read on for that, if it has
    /// to be. What is not there at all comes first, so that whoever reads it learns of it.
    fn next<'a>(&'a self, wanted: &'a [&'a Digest]) -> BoxFuture<'a, Result<usize>>;
}

/// A place that takes manifests and blobs: a repository of a registry, an archive.
pub trait Destination: Send + Sync {
    /// The name in errors of this place, such as
    /// `123456789012.dkr.ecr.eu-west-1.amazonaws.com/app`.
    fn name(&self) -> &str;

    /// The size of a blob that is already here, or `None`.
    fn blob_size<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Takes one blob. `mount_from` names repositories of the same registry that may have it:
    /// it is mounted from there if the registry does so, and streamed otherwise.
    ///
    /// When this returns, the blob is here and the opener's descriptor is known.
    fn push_blob<'a>(
        &'a self,
        blob: &'a dyn Opener,
        mount_from: &'a [String],
    ) -> BoxFuture<'a, Result<Pushed>>;

    /// The manifest that a tag or digest names here, or `None`.
    fn manifest<'a>(&'a self, key: ManifestKey<'a>) -> BoxFuture<'a, Result<Option<RawManifest>>>;

    /// Digest of the manifest that a tag or digest names here, or `None`: what a HEAD tells.
    fn manifest_digest<'a>(&'a self, key: ManifestKey<'a>)
    -> BoxFuture<'a, Result<Option<Digest>>>;

    /// Takes a manifest under its digest, or under a tag. Everything that it names is here.
    fn push_manifest<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tag: Option<&'a Tag>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Ends with the image of `root`, when all of it and its tags are here: a file appears under
    /// its name then. Registries have nothing to do.
    fn complete<'a>(&'a self, root: &'a RawManifest) -> BoxFuture<'a, Result<()>> {
        let _ = root;
        async { Ok(()) }.boxed()
    }
}

/// The way in which a blob came to be at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Its bytes were sent.
    Uploaded,
    /// The registry took it over from another of its repositories.
    Mounted,
}

/// What names a manifest within a repository.
#[derive(Clone, Copy, Debug)]
pub enum ManifestKey<'a> {
    /// By tag, which may move.
    Tag(&'a Tag),
    /// By digest.
    Digest(&'a Digest),
}

impl std::fmt::Display for ManifestKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag}"),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}
