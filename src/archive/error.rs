//! Errors of reading an archive.

use std::io;

use super::choice::Choices;
use super::selector::Selector;
use crate::content::{self, Retryable};
use crate::oci::{Digest, InvalidManifest};

/// Why an archive gives no image.
///
/// The messages do not name the archive: whoever asked for it knows what the user calls it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object behind the archive cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] content::Error),
    /// A layer takes more memory to decompress than there is.
    #[error("layer {entry} cannot be checked")]
    Memory {
        /// The layer's file.
        entry: String,
        /// How much it takes.
        source: content::TooMuchMemory,
    },
    /// The object is something else.
    #[error(
        "not a tar archive but {found}: \
         expected what `docker save` or an OCI archive exporter writes"
    )]
    NotTar {
        /// The format that it seems to have.
        found: &'static str,
    },
    /// The archive is compressed as a whole, and does not decompress.
    #[error("the archive's {format} stream is damaged or cut off: write or upload it again")]
    Outer {
        /// The compression.
        format: &'static str,
        /// The decompressor's error.
        source: io::Error,
    },
    /// The archive ends too early.
    #[error(
        "the archive is truncated: {what} ends at byte {expected}, the archive at {actual}; \
         write or upload it again"
    )]
    Truncated {
        /// Which part is cut off.
        what: String,
        /// The place where it should end.
        expected: u64,
        /// The place where the archive ends.
        actual: u64,
    },
    /// A tar header is not what the format says.
    #[error("malformed tar header at byte {offset}: {problem}")]
    Header {
        /// The place where the header starts.
        offset: u64,
        /// The fault.
        problem: &'static str,
    },
    /// A file is stored without its holes, in a format that only `tar` programs read.
    #[error(
        "{entry:?} is stored as a sparse file, which no image tool reads: \
         write the archive without `--sparse`"
    )]
    Sparse {
        /// Name of the file.
        entry: String,
    },
    /// Something is larger than any image needs.
    #[error("{what} is too large: expected at most {limit}, got {actual}")]
    TooLarge {
        /// The thing, a number or a length in bytes.
        what: String,
        /// The bound.
        limit: u64,
        /// The value that was met, at least.
        actual: u64,
    },
    /// A file that must be there is not.
    #[error("{named_by} names {entry:?}, which is not in the archive{hint}")]
    Missing {
        /// The file.
        entry: String,
        /// The document that names it.
        named_by: String,
        /// A possible reason; empty or starting with a colon.
        hint: &'static str,
    },
    /// Links lead from one to the next without an end.
    #[error("{entry:?} is a link that leads nowhere: links follow one another too deep")]
    LinkLoop {
        /// The first link.
        entry: String,
    },
    /// A document of the archive is malformed.
    #[error("{entry:?} is malformed")]
    Json {
        /// The file.
        entry: String,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A manifest of the archive is malformed.
    #[error("the archive's image has no usable manifest")]
    Manifest(#[source] InvalidManifest),
    /// The archive is a tar, but none with an image.
    #[error(
        "the archive holds no image: there is neither manifest.json nor index.json at its top{hint}"
    )]
    NoImage {
        /// A possible reason; empty or starting with a colon.
        hint: &'static str,
    },
    /// The files are those of a layout that only its own tool reads.
    #[error(
        "it is skopeo's dir: layout, which only skopeo reads: write an archive from it with \
         `skopeo copy dir:… oci-archive:…`"
    )]
    DirLayout,
    /// The archive's own list of images has none.
    #[error("the archive lists no image")]
    Empty,
    /// No image of the archive is the one asked for.
    #[error("no image in the archive is {wanted}; it holds {choices}")]
    NotFound {
        /// The image that was asked for.
        wanted: Selector,
        /// The images that there are.
        choices: Choices,
    },
    /// Several images of the archive may be meant.
    #[error(
        "the archive holds several images: choose one with #repo:tag, #@digest or #@0 (its \
         position), or all of an OCI layout as one image with #@index; it holds {choices}"
    )]
    Ambiguous {
        /// The images that there are.
        choices: Choices,
    },
    /// Config and manifest disagree about the number of layers.
    #[error("{manifest} lists {listed} layers, but the image config {config}")]
    LayerCount {
        /// The document that lists the layers.
        manifest: String,
        /// The number of layers that are listed.
        listed: usize,
        /// The number of diff IDs that the config has.
        config: usize,
    },
    /// A layer is not the one that the config means.
    #[error(
        "layer {entry:?} is not what the image config says: expected diff ID {expected}, got {actual}"
    )]
    DiffId {
        /// The layer's file.
        entry: String,
        /// The diff ID of the config.
        expected: Digest,
        /// That of the bytes.
        actual: Digest,
    },
    /// A file is not what its name says.
    #[error("{entry:?} is damaged: expected digest {expected}, got {actual}")]
    Digest {
        /// The file.
        entry: String,
        /// The digest in its name or descriptor.
        expected: Digest,
        /// That of the bytes.
        actual: Digest,
    },
    /// A file does not have the size that its descriptor says.
    #[error("{entry:?} is damaged: expected {expected} bytes, got {actual}")]
    Size {
        /// The file.
        entry: String,
        /// The size that the descriptor says.
        expected: u64,
        /// That of the file.
        actual: u64,
    },
    /// A layer is compressed in a way that registries do not take.
    #[error("layer {entry:?} is compressed with {format}: images have plain, gzip or zstd layers")]
    LayerFormat {
        /// The layer's file.
        entry: String,
        /// The compression.
        format: &'static str,
    },
    /// Compressed data cannot be decompressed.
    #[error("{entry:?} does not decompress")]
    Corrupt {
        /// The file.
        entry: String,
        /// The decompressor's error.
        source: io::Error,
    },
    /// Compressing failed.
    #[error("cannot compress layer {entry:?}")]
    Compress {
        /// The layer's file.
        entry: String,
        /// The compressor's error.
        source: io::Error,
    },
}

impl Error {
    /// Returns true if trying again can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_retryable())
    }
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        Self::is_retryable(self)
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Read(error) => error,
            error => Self::backend(error),
        }
    }
}
