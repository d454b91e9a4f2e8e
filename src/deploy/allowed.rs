//! Which registries the function may read from and write to.
//!
//! Whoever may deploy a stack chooses the registries of its resources, and the function has
//! permissions of its own: without a bound, a stack could have it send what it may read to any
//! registry of the internet.

use crate::aws::{EcrHost, InvalidSecretRegistries, SecretRegistries};
use crate::network::{HostPattern, InvalidHostPattern};
use crate::oci::Repository;

/// The word for every registry.
const ANY: &str = "any";
/// The word for every registry of Amazon ECR.
const ECR: &str = "ecr";

/// Registries on both sides of a copy.
#[derive(Clone, Debug)]
pub struct AllowedRegistries {
    sources: List,
    destinations: List,
    secrets: SecretRegistries,
}

/// A list of registries that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAllowedRegistries {
    /// `LONGSHORE_SOURCE_REGISTRIES`.
    #[error("LONGSHORE_SOURCE_REGISTRIES is malformed")]
    Sources(#[source] InvalidHostPattern),
    /// `LONGSHORE_DESTINATION_REGISTRIES`.
    #[error("LONGSHORE_DESTINATION_REGISTRIES is malformed")]
    Destinations(#[source] InvalidHostPattern),
    /// `LONGSHORE_SECRET_REGISTRIES`.
    #[error("LONGSHORE_SECRET_REGISTRIES is malformed")]
    Secrets(#[source] InvalidSecretRegistries),
}

#[derive(Clone, Debug)]
struct List(Vec<Entry>);

#[derive(Clone, Debug)]
enum Entry {
    Any,
    Ecr,
    Host(HostPattern),
}

impl AllowedRegistries {
    /// Every registry on both sides: for a person, who can reach them without this program too.
    pub fn any() -> Self {
        Self {
            sources: List(vec![Entry::Any]),
            destinations: List(vec![Entry::Any]),
            secrets: SecretRegistries::default(),
        }
    }

    /// Reads the lists of the environment by `lookup`: `LONGSHORE_SOURCE_REGISTRIES` (without it,
    /// any) and `LONGSHORE_DESTINATION_REGISTRIES` (without it, those of ECR). Each is a list of
    /// [`HostPattern`]s and the words `any` and `ecr`, separated by commas.
    /// `LONGSHORE_SECRET_REGISTRIES` is one of [`SecretRegistries`].
    pub fn from_env(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidAllowedRegistries> {
        let read =
            |name: &str, default: &str| List::read(lookup(name).as_deref().unwrap_or(default));
        let sources = read("LONGSHORE_SOURCE_REGISTRIES", ANY);
        let destinations = read("LONGSHORE_DESTINATION_REGISTRIES", ECR);
        let secrets = lookup("LONGSHORE_SECRET_REGISTRIES").unwrap_or_default();
        Ok(Self {
            sources: sources.map_err(InvalidAllowedRegistries::Sources)?,
            destinations: destinations.map_err(InvalidAllowedRegistries::Destinations)?,
            secrets: secrets.parse().map_err(InvalidAllowedRegistries::Secrets)?,
        })
    }

    /// The registries that secrets are for.
    pub(super) fn secrets(&self) -> &SecretRegistries {
        &self.secrets
    }

    pub(super) fn allow_source(&self, repository: &Repository) -> bool {
        self.sources.allow(repository)
    }

    pub(super) fn allow_destination(&self, repository: &Repository) -> bool {
        self.destinations.allow(repository)
    }
}

impl List {
    fn read(text: &str) -> Result<Self, InvalidHostPattern> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries = entries.map(|entry| match entry {
            ANY => Ok(Entry::Any),
            ECR => Ok(Entry::Ecr),
            host => host.parse().map(Entry::Host),
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    fn allow(&self, repository: &Repository) -> bool {
        let registry = repository.registry();
        self.0.iter().any(|entry| match entry {
            Entry::Any => true,
            Entry::Ecr => EcrHost::parse(registry).is_some(),
            Entry::Host(pattern) => pattern.matches(registry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Reference;

    fn allowed(sources: Option<&str>, destinations: Option<&str>) -> AllowedRegistries {
        let lookup = |name: &str| match name {
            "LONGSHORE_SOURCE_REGISTRIES" => sources.map(str::to_owned),
            "LONGSHORE_DESTINATION_REGISTRIES" => destinations.map(str::to_owned),
            _ => None,
        };
        AllowedRegistries::from_env(lookup).unwrap()
    }

    fn repository(text: &str) -> Repository {
        text.parse::<Reference>().unwrap().repository().clone()
    }

    #[test]
    fn images_come_from_anywhere_and_go_to_ecr() {
        let usual = allowed(None, None);
        let docker_hub = repository("nginx");
        assert!(usual.allow_source(&docker_hub));
        assert!(!usual.allow_destination(&docker_hub));
        for ecr in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app",
            "123456789012.dkr-ecr.eu-west-1.on.aws/app",
            "public.ecr.aws/team/app",
        ] {
            assert!(usual.allow_destination(&repository(ecr)), "{ecr}");
        }
        let alike = "123456789012.dkr.ecr.eu-west-1.amazonaws.com.attacker.example/app";
        assert!(!usual.allow_destination(&repository(alike)));
    }

    #[test]
    fn lists_name_hosts() {
        let listed = allowed(Some("ecr, docker.io"), Some("*.corp.example:5000"));
        assert!(listed.allow_source(&repository("nginx")));
        assert!(!listed.allow_source(&repository("quay.io/a/b")));
        assert!(listed.allow_destination(&repository("r.corp.example:5000/a")));
        assert!(!listed.allow_destination(&repository("r.corp.example/a")));
        let none = allowed(Some(""), Some(""));
        assert!(!none.allow_source(&repository("nginx")));
    }
}
