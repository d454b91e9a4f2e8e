//! Which builder there is.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::Program;
use crate::assets::Error;
use crate::assets::login::Reader;

/// The variable that names the builder, to CDK too.
const VARIABLE: &str = "CDK_DOCKER";
/// Builders, the first that is there being taken.
const KNOWN: [&str; 5] = ["docker", "podman", "buildah", "finch", "nerdctl"];
/// The time that a builder may take to say what it is.
const WITHIN: Duration = Duration::from_secs(30);

/// A program that builds images.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) program: OsString,
    pub(super) kind: Kind,
}

/// The command line that a builder understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Docker with `BuildKit`.
    Buildx,
    /// Docker without.
    Docker,
    Podman,
    Buildah,
    /// `nerdctl`, and Finch, which hands its arguments to it.
    Nerdctl,
}

impl Builder {
    /// The builder that `CDK_DOCKER` names, or else the first of Docker, Podman, Buildah, Finch
    /// and nerdctl that is installed and, if it needs a daemon, has one.
    pub async fn find() -> Result<Self, Error> {
        if let Some(program) = env::var_os(VARIABLE).filter(|program| !program.is_empty()) {
            return Self::of(program).await;
        }
        let mut unusable = Vec::new();
        for name in KNOWN {
            if !is_installed(name) {
                continue;
            }
            match Self::of(name.into()).await {
                Ok(builder) if builder.is_ready().await => return Ok(builder),
                _ => unusable.push(name),
            }
        }
        Err(Error::NoBuilder {
            unusable: unusable.join(", "),
        })
    }

    /// The builder that `program` is.
    pub async fn of(program: OsString) -> Result<Self, Error> {
        let kind = match answer(&program, &["--version"]).await {
            Ok(version) => kind(&version.join(" ").to_lowercase(), &program),
            Err(Error::Program { program, source }) => {
                return Err(Error::BuilderMissing { program, source });
            }
            Err(error) => return Err(error),
        };
        let kind = if kind == Kind::Docker && answer(&program, &["buildx", "version"]).await.is_ok()
        {
            Kind::Buildx
        } else {
            kind
        };
        Ok(Self { program, kind })
    }

    /// Which files it reads logins from.
    pub(super) fn reader(&self) -> Reader {
        match self.kind {
            Kind::Buildx | Kind::Docker | Kind::Nerdctl => Reader::Docker,
            Kind::Podman | Kind::Buildah => Reader::Podman,
        }
    }

    async fn is_ready(&self) -> bool {
        match self.kind {
            Kind::Buildx | Kind::Docker | Kind::Nerdctl => {
                answer(&self.program, &["version"]).await.is_ok()
            }
            Kind::Podman | Kind::Buildah => true,
        }
    }
}

/// Returns the output of a program.
async fn answer(program: &OsStr, arguments: &[&str]) -> Result<Vec<String>, Error> {
    let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
    let program = Program {
        name: program,
        arguments: &arguments,
        directory: Path::new("."),
        variables: &[],
        within: WITHIN,
    };
    program.run(&|_| {}).await
}

/// The name that a builder gives itself, whatever its file is called: Podman may be there as
/// `docker`.
fn kind(version: &str, program: &OsStr) -> Kind {
    let name = Path::new(program).file_name().unwrap_or(program);
    let name = name.to_string_lossy();
    let is = |known: &str| {
        version.starts_with(known) || (!version.starts_with("docker") && name.contains(known))
    };
    if is("podman") {
        Kind::Podman
    } else if is("buildah") {
        Kind::Buildah
    } else if is("nerdctl") || is("finch") {
        Kind::Nerdctl
    } else {
        Kind::Docker
    }
}

fn is_installed(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .any(|file: PathBuf| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_are_what_they_say() {
        for (version, program, expected) in [
            (
                "docker version 28.2.2, build e6534b4",
                "docker",
                Kind::Docker,
            ),
            ("podman version 4.3.1", "podman", Kind::Podman),
            ("podman version 4.3.1", "/usr/bin/docker", Kind::Podman),
            ("docker version 28.2.2", "podman", Kind::Docker),
            (
                "buildah version 1.28.2 (image-spec 1.0.2)",
                "b",
                Kind::Buildah,
            ),
            ("nerdctl version 1.7.6", "nerdctl", Kind::Nerdctl),
            ("finch version v1.2.3", "finch", Kind::Nerdctl),
            ("wrapped", "/opt/my-finch", Kind::Nerdctl),
            ("something", "else", Kind::Docker),
        ] {
            assert_eq!(kind(version, OsStr::new(program)), expected, "{version}");
        }
    }

    #[tokio::test]
    async fn a_missing_builder_is_named() {
        let error = Builder::of("/no/such/builder".into()).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/builder"), "{error}");
    }
}
