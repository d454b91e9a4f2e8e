//! An image that is built from a directory with a Dockerfile.

mod inputs;
mod invalidation;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::fingerprint::walk::{Kind, walk};
use super::fingerprint::{Follow, Options, fingerprint};
use super::ignore::{Ignore, IgnoreMode};
pub use invalidation::{Input, UnknownInput};

/// An image to be built: the properties of CDK's `DockerImageAsset`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageAsset {
    /// The directory that is sent to the builder.
    pub directory: PathBuf,
    /// The Dockerfile's path in the directory, `Dockerfile` if it is not given.
    pub file: Option<String>,
    /// The stage of the Dockerfile to build, its last if it is not given.
    pub target: Option<String>,
    /// Names and values of build arguments.
    pub build_args: Vec<(String, String)>,
    /// Names and places of further contexts.
    pub build_contexts: Vec<(String, String)>,
    /// Names of secrets, and where the builder takes them from, such as `src=token.txt`.
    pub build_secrets: Vec<(String, String)>,
    /// SSH agent or keys that the build may use, such as `default`.
    pub build_ssh: Option<String>,
    /// The network of the build's commands.
    pub network: Option<String>,
    /// The platforms to build for. Several make one index.
    pub platforms: Vec<String>,
    /// The builder's `--output`.
    pub outputs: Vec<String>,
    /// The place where layers are taken from, such as `type=registry,ref=…`.
    pub cache_from: Vec<String>,
    /// The place where layers are kept.
    pub cache_to: Option<String>,
    /// Build all anew: nothing of an earlier build is used.
    pub no_cache: bool,
    /// The directory is CDK's copy of the asset: nothing is left out but what `.dockerignore`
    /// says, and links stay.
    pub is_staged: bool,
    /// Patterns of files that are not part of the asset, beside those of `.dockerignore`.
    pub exclude: Vec<String>,
    /// The way in which they are read.
    pub ignore_mode: IgnoreMode,
    /// Which links are followed.
    pub follow: Follow,
    /// Text that makes another asset of the same files.
    pub extra_hash: Option<String>,
    /// CDK's `repositoryName`, for its part in the hash.
    pub repository_name: Option<String>,
    /// Lists and maps that an app gives empty, such as `buildArgs: {}`. They enter the hash, unlike
    /// those that the app does not give.
    pub empty: BTreeSet<Input>,
    /// The inputs that do not enter the hash.
    pub not_hashed: BTreeSet<Input>,
    /// CDK's output directory as the app names it, which is no part of the asset; `cdk.out` if it
    /// is not given.
    pub cdk_out: Option<String>,
    /// The app's `@aws-cdk/core:assetHashSalt`.
    pub salt: String,
}

impl ImageAsset {
    /// The asset's hash, in lowercase hex: `DockerImageAsset.assetHash`.
    pub fn hash(&self) -> Result<String, Error> {
        let directory = self.checked_directory()?;
        let exclude = self.excluded(&directory)?;
        if self.follow == Follow::InternalOnly {
            refuse_external_links(&directory, &Ignore::new(self.ignore_mode, &exclude)?)?;
        }
        let options = Options {
            extra: format!("{}{}", self.inputs(), self.salt),
            follow: self.follow,
            mode: self.ignore_mode,
            exclude: std::iter::once(".is_custom_resource".to_owned())
                .chain(exclude)
                .collect(),
        };
        fingerprint(&directory, &options)
    }

    /// The directory's absolute path, if what is needed of it is there.
    pub(super) fn checked_directory(&self) -> Result<PathBuf, Error> {
        let directory = std::path::absolute(&self.directory)
            .map_err(|error| Error::read(&self.directory, error))?;
        if !directory.is_dir() {
            return Err(Error::NoDirectory { path: directory });
        }
        let dockerfile = directory.join(self.dockerfile()?);
        let is_directory = self.file.as_ref().is_some_and(|file| file.ends_with('/'));
        if is_directory || !dockerfile.is_file() {
            return Err(Error::NoDockerfile { path: dockerfile });
        }
        Ok(directory)
    }

    /// The Dockerfile's path in the directory, without `..`.
    pub(super) fn dockerfile(&self) -> Result<String, Error> {
        let given = named(self.file.as_ref()).unwrap_or("Dockerfile");
        let directory = std::path::absolute(&self.directory)
            .map_err(|error| Error::read(&self.directory, error))?;
        let directory = without_parents(&directory);
        match without_parents(&directory.join(given)).strip_prefix(&directory) {
            Ok(path) if !Path::new(given).is_absolute() => Ok(path.to_string_lossy().into_owned()),
            _ => Err(Error::Outside {
                path: given.to_owned(),
            }),
        }
    }

    /// The patterns of what is no part of the asset.
    pub(super) fn excluded(&self, directory: &Path) -> Result<Vec<String>, Error> {
        let file = directory.join(".dockerignore");
        let mut exclude = Vec::new();
        match fs::read(&file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                exclude.extend(
                    text.split('\n')
                        .filter(|line| !line.is_empty())
                        .map(str::to_owned),
                );
                exclude.extend(self.exclude.iter().cloned());
                exclude.push("!.dockerignore".to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                exclude.extend(self.exclude.iter().cloned());
            }
            Err(error) => return Err(Error::read(&file, error)),
        }
        let dockerfile = self.dockerfile()?;
        let (_, name) = dockerfile.rsplit_once('/').unwrap_or(("", &dockerfile));
        exclude.push(format!("!{name}"));
        exclude.push(self.cdk_out.clone().unwrap_or_else(|| "cdk.out".to_owned()));
        Ok(exclude)
    }
}

/// The value of a text, as CDK reads it: an empty one has none.
fn named(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A path whose `..` are taken by the names alone, as Node and Docker do.
fn without_parents(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                kept.pop();
            }
            Component::CurDir => {}
            component => kept.push(component),
        }
    }
    kept
}

fn refuse_external_links(directory: &Path, ignore: &Ignore) -> Result<(), Error> {
    walk(
        directory,
        Follow::InternalOnly,
        ignore,
        &mut |entry| match entry.kind {
            Kind::Link(link) if link.inside.is_none() => {
                Err(Error::ExternalLink { link: entry.path })
            }
            _ => Ok(()),
        },
    )
}
