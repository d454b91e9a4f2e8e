//! References: how users name an image in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Digest, InvalidDigest};

/// The registry that a reference without a host means.
const DOCKER_HUB: &str = "docker.io";
/// Longest repository name that registries take.
const MAX_REPOSITORY: usize = 255;
/// Longest tag
/// ([spec.md, "Pulling manifests"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)).
const MAX_TAG: usize = 128;

/// A repository of a registry: `<registry>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    name: String,
}

impl Repository {
    /// Host of the registry, with its port if one is given. Docker Hub is `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Host of the registry without a port, lowercase, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.registry,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns true if `text` can be a repository's name within a registry
    /// ([spec.md, "Pulling manifests"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)).
    pub fn is_name(text: &str) -> bool {
        text.len() <= MAX_REPOSITORY && text.split('/').all(is_name_component)
    }

    /// The repository's name within the registry, as it stands in `/v2/<name>/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The reference to what `tag` names here.
    pub fn tagged(&self, tag: &Tag) -> Reference {
        Reference {
            repository: self.clone(),
            tag: Some(tag.clone()),
            digest: None,
        }
    }

    /// The reference to the content of `digest` here.
    pub fn at(&self, digest: &Digest) -> Reference {
        Reference {
            repository: self.clone(),
            tag: None,
            digest: Some(digest.clone()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// A tag: up to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag that a reference without tag and digest means.
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let first = text.bytes().next().is_some_and(word);
        let rest = text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if !first || !rest || text.len() > MAX_TAG {
            return Err(InvalidReference::Tag(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.into()
    }
}

/// A reference to an image: a repository with a tag, a digest, both or neither.
///
/// Read as Docker reads it: an optional `docker://`, a host if the first part has a dot or a
/// colon or is `localhost`, else Docker Hub, where a single name stands in `library/`.
/// A digest wins over a tag beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, if one is written.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// A text that names no image, with the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReference {
    /// Nothing stands where an image should be named.
    #[error("the image reference is empty")]
    Empty,
    /// A user, with or without a password, before the host. It is not shown.
    #[error(
        "credentials are no part of an image reference: give them in SourceCredentials or \
         DestinationCredentials, or log in with docker login"
    )]
    Credentials,
    /// A query. It is not shown: it may be a signature.
    #[error("an image reference has no query: leave out what follows the '?'")]
    Query,
    /// Another scheme than `docker://`.
    #[error("unknown scheme {0:?} in an image reference: expected docker:// or none")]
    Scheme(String),
    /// The host is malformed.
    #[error("malformed registry host {0:?}")]
    Registry(String),
    /// The repository has characters that no registry takes.
    #[error(
        "malformed repository {0:?}: expected lowercase letters and digits, \
         separated by '/', '.', '-', '_' or '__'"
    )]
    Repository(String),
    /// The tag has characters that no registry takes, or is too long.
    #[error(
        "malformed tag {0:?}: expected at most 128 letters, digits, '_', '.' or '-', \
         starting with a letter, digit or '_'"
    )]
    Tag(String),
    /// The part after `@` is no digest.
    #[error("malformed digest in an image reference")]
    Digest(#[from] InvalidDigest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some(("docker", rest)) => rest,
            Some((scheme, _)) if scheme.contains(['@', '?']) => {
                return Err(InvalidReference::Credentials);
            }
            Some((scheme, _)) => return Err(InvalidReference::Scheme(scheme.to_owned())),
            None => text,
        };
        if rest.is_empty() {
            return Err(InvalidReference::Empty);
        }
        if has_credentials(rest) {
            return Err(InvalidReference::Credentials);
        }
        if rest.contains('?') {
            return Err(InvalidReference::Query);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (host, path) = split_host(rest);
        let (name, tag) = match path.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag.parse()?)),
            None => (path, None),
        };
        Ok(Self {
            repository: repository(host, name)?,
            tag,
            digest,
        })
    }
}

/// Returns true if there is a user before the host: an `@` that no digest follows.
fn has_credentials(text: &str) -> bool {
    let mut parts = text.split('@').skip(1);
    parts.any(|after| after.contains('/') || !after.contains(':'))
}

/// Splits off the host, by Docker's rule of what looks like one.
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((host, path)) if host.contains(['.', ':', '[']) || host == "localhost" => {
            (Some(host), path)
        }
        _ => (None, text),
    }
}

fn repository(host: Option<&str>, name: &str) -> Result<Repository, InvalidReference> {
    let registry = match host {
        None | Some("index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com") => {
            DOCKER_HUB.to_owned()
        }
        Some(host) => valid_host(host)?.to_ascii_lowercase(),
    };
    let name = if registry == DOCKER_HUB && !name.contains('/') {
        format!("library/{name}")
    } else {
        name.to_owned()
    };
    if !Repository::is_name(&name) {
        return Err(InvalidReference::Repository(name));
    }
    Ok(Repository { registry, name })
}

fn valid_host(text: &str) -> Result<&str, InvalidReference> {
    let invalid = || InvalidReference::Registry(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(invalid)?;
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| invalid())?;
            ("", port.strip_prefix(':').map_or(port, |port| port))
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let labels = host.is_empty() && text.starts_with('[') || host.split('.').all(is_host_label);
    let port_ok = port.is_empty() && !text.ends_with(':') || port.parse::<u16>().is_ok();
    if labels && port_ok {
        Ok(text)
    } else {
        Err(invalid())
    }
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
/// ([spec.md, "Pulling manifests"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)).
fn is_name_component(component: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let edges =
        bytes.first().copied().is_some_and(letter) && bytes.last().copied().is_some_and(letter);
    edges
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parsed(text: &str) -> Reference {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn reads_what_users_write() {
        for (text, canonical) in [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx:1.27", "docker.io/library/nginx:1.27"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/org/app", "docker.io/org/app"),
            (
                "docker://public.ecr.aws/nginx/nginx:latest",
                "public.ecr.aws/nginx/nginx:latest",
            ),
            ("registry:5000/a/b", "registry:5000/a/b"),
            ("localhost/a", "localhost/a"),
            ("[::1]:5000/a:x", "[::1]:5000/a:x"),
            ("Example.COM/a", "example.com/a"),
            ("gcr.io/a__b/c-d--e.f_g:T", "gcr.io/a__b/c-d--e.f_g:T"),
        ] {
            assert_eq!(parsed(text).to_string(), canonical);
        }
        let both = parsed(&format!("registry:5000/a/b:tag@{DIGEST}"));
        assert_eq!(both.tag().unwrap().as_str(), "tag");
        assert_eq!(both.digest().unwrap().to_string(), DIGEST);
        assert_eq!(both.repository().host(), "registry");
        assert_eq!(parsed("[::1]:5000/a").repository().host(), "::1");
    }

    #[test]
    fn says_which_part_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("docker://", "empty"),
            ("http://x/y", "scheme \"http\""),
            ("Nginx", "repository \"library/Nginx\""),
            ("a//b", "repository"),
            ("a/b:", "tag \"\""),
            ("a/b:-x", "tag \"-x\""),
            ("a/b@sha256:12", "digest"),
            ("-a.com/b", "host \"-a.com\""),
            ("a.com:99999/b", "host"),
            ("[::g]/b", "host"),
            ("a.com/", "repository"),
            ("a.com/b___c", "repository"),
            ("docker://user:hunter2@a.com/b", "credentials"),
            ("hunter2@a.com/b", "credentials"),
            ("a.com/b?token=hunter2", "no query"),
            ("user:hunter2@a.com", "credentials"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,64}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            }
        }
    }
}
