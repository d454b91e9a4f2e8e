//! Errors of writing images to files.

use std::fmt;
use std::io;

use super::InvalidFile;
use crate::archive;
use crate::content::Retryable;

/// An image that cannot be written to a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refuses, in the middle of the work.
    #[error("writing failed{}", Advice(.0.kind()))]
    System(#[source] io::Error),
    /// The system refuses.
    #[error("cannot write {place}{}", Advice(source.kind()))]
    Write {
        /// The file or directory.
        place: String,
        /// The system's error.
        source: io::Error,
    },
    /// The path of an archive is that of a directory.
    #[error("{0} is a directory: name a file in it, or write oci:{0} for a layout")]
    IsDirectory(String),
    /// The path of a layout is that of a file.
    #[error("{0} is a file: name a directory, or write oci-archive:{0} for an archive")]
    IsFile(String),
    /// A directory holds something else.
    #[error("{0} holds files and is no OCI layout: name an empty directory, or a new one")]
    NoLayout(String),
    /// A file holds something else, and stays as it is.
    #[error("{place} is there and is no archive of images: remove it, or name another file")]
    NoArchive {
        /// The file.
        place: String,
        /// The error of reading it.
        source: Box<archive::Error>,
    },
    /// The directory of an archive is not there.
    #[error("there is no directory {0} to write to: create it")]
    NoDirectory(String),
    /// The archive that is added to is compressed as a whole, or of the other form.
    #[error("cannot add to {place}: {problem}")]
    Append {
        /// The archive.
        place: String,
        /// The obstacle.
        problem: &'static str,
    },
    /// A document of a layout or an archive that is added to is malformed.
    #[error("{entry} of {place} is malformed")]
    Document {
        /// The layout or archive.
        place: String,
        /// The document.
        entry: &'static str,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The archive goes to a terminal.
    #[error("the archive would go to a terminal: redirect standard output to a file or a pipe")]
    Terminal,
    /// A blob of the archive did not come completely.
    #[error("{0} is not complete, so it was not written")]
    Incomplete(String),
    /// An archive for Docker has no place for such a manifest.
    #[error("docker load takes images only: write an oci-archive to keep {0}")]
    NoImage(&'static str),
    /// A layer that registries do not store.
    #[error(
        "layer {0} is not in the image: its publisher gives it out; write an oci-archive, which \
         does without it"
    )]
    ForeignLayer(crate::oci::Digest),
    /// A tag that has no repository.
    #[error(transparent)]
    Name(#[from] InvalidFile),
}

impl Retryable for WriteError {
    fn is_retryable(&self) -> bool {
        false
    }

    fn is_unsupported(&self) -> bool {
        matches!(self, Self::NoImage(_))
    }
}

impl From<WriteError> for crate::content::Error {
    fn from(error: WriteError) -> Self {
        Self::backend(error)
    }
}

/// The advice about an error of the system.
struct Advice(io::ErrorKind);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ": there is no space left; free some, or write elsewhere"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ": it may not be written to; change its permissions, or write elsewhere"
            }
            io::ErrorKind::FileTooLarge => ": its file system takes no file of that size",
            _ => "",
        })
    }
}
