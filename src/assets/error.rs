//! What goes wrong with assets.

use std::io;
use std::path::{Path, PathBuf};

use super::ignore::InvalidPattern;

/// What goes wrong with an asset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory of the asset cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file's name is no Unicode text, by which assets are hashed.
    #[error("the name of {path} is not valid UTF-8: rename or exclude it", path = .path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A link leads to a socket, a pipe or a device.
    #[error("{path} is neither a file nor a directory: exclude what leads there", path = .path.display())]
    NoFile {
        /// Where the link leads.
        path: PathBuf,
    },
    /// A link leads out of the directory, which the follow mode forbids.
    #[error(
        "the link {link} leads out of the directory: set the follow mode to always or external, \
         or put a file in its place"
    )]
    ExternalLink {
        /// The link, by its path in the directory.
        link: String,
    },
    /// There is no directory to build.
    #[error("there is no directory {path}", path = .path.display())]
    NoDirectory {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at {path}: name it with --file", path = .path.display())]
    NoDockerfile {
        /// Where it should be.
        path: PathBuf,
    },
    /// A pattern cannot be read.
    #[error("cannot tell which files to leave out")]
    Pattern(#[from] InvalidPattern),
}

impl Error {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
