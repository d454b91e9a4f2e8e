//! Which files of a directory belong to an asset.
//!
//! CDK knows three languages of patterns ([`IgnoreMode`]), each that of a library for JavaScript.
//! [`Ignore`] decides as `aws-cdk-lib` 2 does, the libraries' peculiarities included: an asset's
//! hash depends on every file that is left out or not. [`Dockerignore`] is what Docker itself
//! makes of a `.dockerignore`.

mod docker;
mod dockerignore;
mod expression;
mod git;
mod glob;
mod script;

use std::fmt;
use std::str::FromStr;

use docker::DockerPatterns;
pub use dockerignore::{Dockerignore, Verdict};
pub use expression::InvalidPattern;
use git::GitPatterns;
use glob::GlobPatterns;

/// The language of the patterns that leave files out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IgnoreMode {
    /// Globs, as npm's `minimatch` reads them.
    Glob,
    /// As in a `.gitignore`, as npm's `ignore` reads it.
    Git,
    /// As in a `.dockerignore`, as npm's `@balena/dockerignore` reads it.
    #[default]
    Docker,
}

impl IgnoreMode {
    /// As CDK writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Glob => "glob",
            Self::Git => "git",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for IgnoreMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`IgnoreMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown ignore mode {0:?}: expected docker, git or glob")]
pub struct UnknownIgnoreMode(String);

impl FromStr for IgnoreMode {
    type Err = UnknownIgnoreMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Glob, Self::Git, Self::Docker]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownIgnoreMode(text.to_owned()))
    }
}

/// Patterns that leave files out of an asset, as CDK applies them.
#[derive(Debug)]
pub struct Ignore(Patterns);

#[derive(Debug)]
enum Patterns {
    Glob(GlobPatterns),
    Git(GitPatterns),
    Docker(DockerPatterns),
}

impl Ignore {
    /// Reads patterns, in their order.
    pub fn new<P: AsRef<str>>(mode: IgnoreMode, patterns: &[P]) -> Result<Self, InvalidPattern> {
        let patterns = patterns.iter().map(AsRef::as_ref);
        Ok(Self(match mode {
            IgnoreMode::Glob => Patterns::Glob(GlobPatterns::new(patterns)?),
            IgnoreMode::Git => Patterns::Git(GitPatterns::new(patterns)?),
            IgnoreMode::Docker => Patterns::Docker(DockerPatterns::new(patterns)?),
        }))
    }

    /// Returns true if the file at `path` is left out. The path is relative to the asset's
    /// directory, with slashes.
    pub fn ignores(&self, path: &str) -> bool {
        match &self.0 {
            Patterns::Glob(patterns) => patterns.ignore(path),
            Patterns::Git(patterns) => patterns.ignore(path),
            Patterns::Docker(patterns) => patterns.ignore(path),
        }
    }

    /// Returns true if the directory at `path` is left out with all that it holds.
    pub fn ignores_directory(&self, path: &str) -> bool {
        match &self.0 {
            Patterns::Glob(patterns) => patterns.ignore(path),
            Patterns::Git(patterns) => patterns.ignore(&format!("{path}/")),
            Patterns::Docker(patterns) => patterns.ignore_directory(path),
        }
    }
}
