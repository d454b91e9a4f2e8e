//! Which options of a build make another asset of the same files.

use std::fmt;
use std::str::FromStr;

/// An option that enters an image's hash unless it is told not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// `--extra-hash`.
    ExtraHash,
    /// `--build-arg`.
    BuildArgs,
    /// `--build-context`.
    BuildContexts,
    /// `--build-secret`.
    BuildSecrets,
    /// `--build-ssh`.
    BuildSsh,
    /// `--target`.
    Target,
    /// `--file`.
    File,
    /// CDK's `repositoryName`, which is deprecated there.
    RepositoryName,
    /// `--network`.
    NetworkMode,
    /// `--platform`.
    Platform,
    /// `--output`.
    Outputs,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ExtraHash,
        Self::BuildArgs,
        Self::BuildContexts,
        Self::BuildSecrets,
        Self::BuildSsh,
        Self::Target,
        Self::File,
        Self::RepositoryName,
        Self::NetworkMode,
        Self::Platform,
        Self::Outputs,
    ];

    /// Returns true if it holds several values, or none: a list or a map.
    pub fn is_collection(self) -> bool {
        matches!(
            self,
            Self::BuildArgs | Self::BuildContexts | Self::BuildSecrets | Self::Outputs
        )
    }

    /// As `DockerImageAssetInvalidationOptions` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExtraHash => "extraHash",
            Self::BuildArgs => "buildArgs",
            Self::BuildContexts => "buildContexts",
            Self::BuildSecrets => "buildSecrets",
            Self::BuildSsh => "buildSsh",
            Self::Target => "target",
            Self::File => "file",
            Self::RepositoryName => "repositoryName",
            Self::NetworkMode => "networkMode",
            Self::Platform => "platform",
            Self::Outputs => "outputs",
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Input`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no part of a hash is called {name:?}: expected one of {all}",
    all = Input::ALL.map(Input::as_str).join(", ")
)]
pub struct UnknownInput {
    name: String,
}

impl FromStr for Input {
    type Err = UnknownInput;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|input| input.as_str() == text)
            .ok_or_else(|| UnknownInput {
                name: text.to_owned(),
            })
    }
}
