//! Errors of assets.

use std::io;
use std::path::{Path, PathBuf};

use super::ignore::InvalidPattern;
use crate::content::FileError;
use crate::oci::InvalidReference;
use crate::{archive, aws, deploy};

/// An asset that cannot be built or published.
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
        /// The place where the link leads.
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
        /// The place where it should be.
        path: PathBuf,
    },
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at {path}: name it with --file", path = .path.display())]
    NoDockerfile {
        /// The place where it should be.
        path: PathBuf,
    },
    /// The Dockerfile is not in the directory.
    #[error("the Dockerfile {path:?} is not in the directory: put it there, as builders want it")]
    Outside {
        /// Its path, as given.
        path: String,
    },
    /// Nothing can be written.
    #[error("cannot write {path}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place to keep archives.
    #[error("no folder is known to keep archives in: set LONGSHORE_CACHE or HOME")]
    NoCache,
    /// Nothing is installed that builds images, or nothing that can.
    #[error(
        "no builder is there{found}: install Docker, Podman, Buildah, Finch or nerdctl, or name \
         one with CDK_DOCKER",
        found = if .unusable.is_empty() { String::new() } else { format!(" that works ({unusable} is installed, but does not answer: is its daemon running?)") }
    )]
    NoBuilder {
        /// Those that are installed.
        unusable: String,
    },
    /// The builder that `CDK_DOCKER` names cannot be run.
    #[error("cannot run the builder {program}: install it, or name another with CDK_DOCKER")]
    BuilderMissing {
        /// The builder.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Docker without `buildx` builds for one platform only.
    #[error("this Docker builds for one platform at a time: install its buildx plugin")]
    NoBuildx,
    /// A program cannot be run.
    #[error("cannot run {program}")]
    Program {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program has failed.
    #[error("{program} failed with {status}; its last lines:\n{lines}", lines = .last_lines.join("\n"))]
    ProgramFailed {
        /// The program.
        program: String,
        /// The way in which it ended.
        status: String,
        /// The last lines that it wrote.
        last_lines: Vec<String>,
    },
    /// A program has not ended.
    #[error("{program} has not ended within {} minutes and was stopped", .after.as_secs() / 60)]
    ProgramSlow {
        /// The program.
        program: String,
        /// The time that was waited.
        after: std::time::Duration,
    },
    /// AWS does not do what it is asked for.
    #[error(transparent)]
    Aws(Box<aws::Error>),
    /// The image cannot be pushed.
    #[error(transparent)]
    Deploy(Box<deploy::Error>),
    /// The file to be uploaded cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command has not said what it made.
    #[error(
        "{program} ended well but printed nothing: expected {expected}, as the last line of its \
         standard output"
    )]
    PrintedNothing {
        /// The program.
        program: String,
        /// The output that was expected.
        expected: &'static str,
    },
    /// A tarball holds no image that can be read.
    #[error("cannot read the images in {path}: expected what `docker save` writes", path = .path.display())]
    Tarball {
        /// The tarball.
        path: PathBuf,
        /// The fault.
        source: Box<archive::Error>,
    },
    /// A directory is to be uploaded as it is.
    #[error("{path} is a directory: only its zip archive can be uploaded", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The repository is not there.
    #[error(
        "there is no ECR repository {name} in {region}: create it, by `cdk bootstrap` if it is \
         CDK's"
    )]
    NoRepository {
        /// Its name.
        name: String,
        /// The region.
        region: String,
    },
    /// An image cannot have this name.
    #[error("{image} is no name of an image")]
    ImageName {
        /// The name.
        image: String,
        /// The fault.
        source: InvalidReference,
    },
    /// The program is being stopped.
    #[error("stopped before it was done")]
    Stopped,
    /// A pattern cannot be read.
    #[error("cannot tell which files to leave out")]
    Pattern(#[from] InvalidPattern),
}

impl From<aws::Error> for Error {
    fn from(error: aws::Error) -> Self {
        Self::Aws(Box::new(error))
    }
}

impl From<deploy::Error> for Error {
    fn from(error: deploy::Error) -> Self {
        Self::Deploy(Box::new(error))
    }
}

impl Error {
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
