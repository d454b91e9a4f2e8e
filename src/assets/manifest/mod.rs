//! CDK's asset manifests: which assets there are and where they go.

mod assembly;
mod document;
mod error;
mod select;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ImageAsset;
pub use error::ManifestError;
pub use select::{InvalidPattern, Pattern};

/// Assets, in the order in which the manifests name them.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The assets.
    pub assets: Vec<Asset>,
}

/// Something that is published.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its ID, which is CDK's hash of it.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// The source of its content.
    pub source: Source,
    /// The place where it goes.
    pub destinations: Vec<Destination>,
}

/// The source of an asset. Paths are absolute.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An image that is built.
    Build(Box<ImageAsset>),
    /// An image that a command brings.
    ImageCommand {
        /// The program and its arguments. It prints the image's name or ID.
        command: Vec<String>,
        /// The place where it runs.
        directory: PathBuf,
    },
    /// A file, or a directory as files are.
    File {
        /// The place where it is.
        path: PathBuf,
        /// True if it becomes a zip archive.
        zip: bool,
    },
    /// A file that a command makes.
    FileCommand {
        /// The program and its arguments. It prints the file's path.
        command: Vec<String>,
    },
}

impl Source {
    /// As CDK calls such assets.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Build(_) | Self::ImageCommand { .. } => "docker-image",
            Self::File { .. } | Self::FileCommand { .. } => "file",
        }
    }
}

/// The place where an asset goes. All texts may have placeholders, such as `${AWS::AccountId}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its ID.
    pub id: String,
    /// The region. `None`: that of the environment.
    pub region: Option<String>,
    /// The role that publishes there.
    pub role_arn: Option<String>,
    /// The external ID that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// The place.
    pub place: Place,
}

/// A place for an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A tag in a repository of ECR.
    Repository {
        /// The repository's name.
        name: String,
        /// The tag.
        tag: String,
    },
    /// An object in a bucket of S3.
    Bucket {
        /// The bucket's name.
        name: String,
        /// The object's key.
        key: String,
    },
}

impl Manifest {
    /// Reads a manifest, or all those of a directory that CDK synthesised, nested ones included.
    /// An asset that several of them name is there once.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let path = std::path::absolute(path).map_err(|error| ManifestError::read(path, error))?;
        let files = if path.is_dir() {
            assembly::manifests(&path)?
        } else {
            vec![path]
        };
        let mut assets = Vec::new();
        for file in files {
            assets.extend(document::read(&file)?);
        }
        Ok(Self {
            assets: merge(assets),
        })
    }

    /// Only what one of the patterns means; all of it if there are none.
    ///
    /// # Errors
    ///
    /// A pattern that means nothing.
    pub fn select(mut self, patterns: &[Pattern]) -> Result<Self, ManifestError> {
        if patterns.is_empty() {
            return Ok(self);
        }
        if let Some(pattern) = patterns.iter().find(|pattern| !self.has(pattern)) {
            return Err(ManifestError::NoAsset {
                pattern: pattern.to_string(),
                nearest: self.nearest(pattern),
            });
        }
        for asset in &mut self.assets {
            let id = asset.id.clone();
            let is_meant = |destination: &Destination| {
                let mut patterns = patterns.iter();
                patterns.any(|pattern| pattern.matches(&id, &destination.id))
            };
            asset.destinations.retain(is_meant);
        }
        self.assets.retain(|asset| !asset.destinations.is_empty());
        Ok(self)
    }

    fn has(&self, pattern: &Pattern) -> bool {
        let mut assets = self.assets.iter();
        assets.any(|asset| {
            let mut destinations = asset.destinations.iter();
            destinations.any(|destination| pattern.matches(&asset.id, &destination.id))
        })
    }

    /// The asset whose ID or name is most like what was written.
    fn nearest(&self, pattern: &Pattern) -> String {
        let written = pattern.to_string();
        let alike = |asset: &&Asset| {
            let of_id = strsim::jaro_winkler(&asset.id, &written);
            of_id.max(strsim::jaro_winkler(&asset.name, &written))
        };
        let nearest = self
            .assets
            .iter()
            .max_by(|a, b| alike(a).total_cmp(&alike(b)));
        nearest.map_or_else(String::new, |asset| {
            format!("{} ({})", asset.id, asset.name)
        })
    }
}

/// Puts assets of the same content together. What one ID names is the same wherever it lies: it is
/// published to each place once.
fn merge(assets: Vec<Asset>) -> Vec<Asset> {
    let mut merged: Vec<Asset> = Vec::new();
    let mut by_id: BTreeMap<(&'static str, String), Vec<usize>> = BTreeMap::new();
    for mut asset in assets {
        let same = by_id.entry((asset.source.kind(), asset.id.clone()));
        let same = same.or_default();
        asset.destinations.retain(|new| {
            let mut known = same.iter().flat_map(|&at| &merged[at].destinations);
            known.all(|known| known != new)
        });
        match same.iter().find(|&&at| merged[at].source == asset.source) {
            Some(&at) => merged[at].destinations.extend(asset.destinations),
            None if asset.destinations.is_empty() => {}
            None => {
                same.push(merged.len());
                merged.push(asset);
            }
        }
    }
    merged
}
