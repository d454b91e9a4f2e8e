//! Why a manifest cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// Why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The system refuses.
    #[error(
        "cannot read {path}: name CDK's output directory or one of its *.assets.json",
        path = .path.display()
    )]
    Read {
        /// The manifest or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too long for a manifest.
    #[error("{path} is too long for a manifest: expected at most {limit} bytes", path = .path.display())]
    TooLong {
        /// The manifest.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// The directory has no manifest.
    #[error(
        "{path} has no asset manifest: name CDK's output directory (cdk.out) or one of its \
         *.assets.json",
        path = .path.display()
    )]
    None {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing in the manifest has that name.
    #[error("there is no asset {pattern}: {}", meant(nearest))]
    NoAsset {
        /// The image that was asked for.
        pattern: String,
        /// The asset that may be meant. Empty where there are none.
        nearest: String,
    },
    /// The file is the manifest of the cloud assembly.
    #[error(
        "{path} is the cloud assembly's own manifest, which names no assets: name the directory \
         that it is in, or one of its *.assets.json",
        path = .path.display()
    )]
    Assembly {
        /// The file.
        path: PathBuf,
    },
    /// The manifest is not of the form that CDK's schema gives it.
    #[error("{path} is no asset manifest that can be understood", path = .path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The manifest is of a newer version than those that are known.
    #[error(
        "{path} is of version {version}, of which nothing is known here: expected at most \
         {newest}; use a newer longshore, or the aws-cdk-lib that writes such manifests",
        path = .path.display()
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The newest that is known.
        newest: u64,
    },
    /// An asset does not say what it is made of, or says so twice.
    #[error("asset {asset} of {path} {problem}", path = .path.display())]
    Asset {
        /// The manifest.
        path: PathBuf,
        /// The asset's display name or ID.
        asset: String,
        /// The fault.
        problem: &'static str,
    },
    /// Directories of stages name each other.
    #[error("{path} is nested too deep in other output directories", path = .path.display())]
    Nested {
        /// The innermost.
        path: PathBuf,
    },
}

impl ManifestError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

fn meant(nearest: &str) -> String {
    match nearest {
        "" => "the manifest has none".to_owned(),
        nearest => format!("did you mean {nearest}? `longshore list` shows all"),
    }
}
