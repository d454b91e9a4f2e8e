//! The meaning of a path of the registry's API
//! ([spec.md, "Endpoints"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints)).

use crate::local::http::decode;
use crate::oci::{Digest, Repository, Tag};

use super::refusal::Refusal;

/// An endpoint and what it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/token`
    Token,
    /// Something of the repository of this name.
    Repository(String, Endpoint),
}

/// The part of a repository that a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `tags/list`
    Tags,
    /// `manifests/<tag or digest>`
    Manifest(Key),
    /// `blobs/<digest>`
    Blob(Digest),
    /// `blobs/uploads/`
    Uploads,
    /// `blobs/uploads/<session>`
    Upload(String),
    /// `referrers/<digest>`
    Referrers(Digest),
}

/// The tag or digest of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Tag(Tag),
    Digest(Digest),
}

impl Route {
    /// Reads a path, still percent-encoded.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::not_found("NOT_FOUND", "no such endpoint");
        let path = decode(path).ok_or_else(unknown)?;
        match path.as_str() {
            "/v2" | "/v2/" => return Ok(Self::Base),
            "/v2/_catalog" => return Ok(Self::Catalog),
            "/token" => return Ok(Self::Token),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or_else(unknown)?;
        let (name, endpoint) = split(rest).ok_or_else(unknown)?;
        if !Repository::is_name(name) {
            let message = "invalid repository name";
            return Err(Refusal::bad_request("NAME_INVALID", message));
        }
        Ok(Self::Repository(name.to_owned(), endpoint?))
    }
}

/// Splits a path into a repository's name and what follows: names have slashes, so from the end.
fn split(path: &str) -> Option<(&str, Result<Endpoint, Refusal>)> {
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some((name, Ok(Endpoint::Tags)));
    }
    let uploads = path.strip_suffix('/').unwrap_or(path);
    if let Some(name) = uploads.strip_suffix("/blobs/uploads") {
        return Some((name, Ok(Endpoint::Uploads)));
    }
    let (head, last) = path.rsplit_once('/')?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return Some((name, Ok(Endpoint::Upload(last.to_owned()))));
    }
    if let Some(name) = head.strip_suffix("/blobs") {
        return Some((name, digest(last).map(Endpoint::Blob)));
    }
    if let Some(name) = head.strip_suffix("/manifests") {
        return Some((name, key(last).map(Endpoint::Manifest)));
    }
    let name = head.strip_suffix("/referrers")?;
    Some((name, digest(last).map(Endpoint::Referrers)))
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse()
        .map_err(|error| Refusal::bad_request("DIGEST_INVALID", format!("{error}")))
}

fn key(text: &str) -> Result<Key, Refusal> {
    if text.contains(':') {
        return digest(text).map(Key::Digest);
    }
    // No such tag can exist, so it is not found rather than malformed.
    let unknown = |_| Refusal::not_found("MANIFEST_UNKNOWN", "manifest unknown");
    text.parse().map(Key::Tag).map_err(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn named(name: &str, endpoint: Endpoint) -> Route {
        Route::Repository(name.to_owned(), endpoint)
    }

    #[test]
    fn reads_every_endpoint() {
        let digest: Digest = DIGEST.parse().unwrap();
        let tag: Tag = "1.0".parse().unwrap();
        for (path, expected) in [
            ("/v2/", Route::Base),
            ("/v2/_catalog", Route::Catalog),
            ("/v2/a/tags/list", named("a", Endpoint::Tags)),
            (
                "/v2/a/b/manifests/1.0",
                named("a/b", Endpoint::Manifest(Key::Tag(tag))),
            ),
            (
                &format!("/v2/a/b/manifests/{DIGEST}"),
                named("a/b", Endpoint::Manifest(Key::Digest(digest.clone()))),
            ),
            (
                &format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A")),
                named("a", Endpoint::Blob(digest.clone())),
            ),
            ("/v2/a/blobs/uploads/", named("a", Endpoint::Uploads)),
            ("/v2/a/blobs/uploads", named("a", Endpoint::Uploads)),
            (
                "/v2/a/blobs/uploads/x",
                named("a", Endpoint::Upload("x".to_owned())),
            ),
            (
                &format!("/v2/blobs/manifests/referrers/{DIGEST}"),
                named("blobs/manifests", Endpoint::Referrers(digest)),
            ),
        ] {
            assert_eq!(Route::parse(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for path in [
            "/",
            "/v1/",
            "/v2/a",
            "/v2/a/manifests",
            "/v2/../x/tags/list",
            "/v2/A/tags/list",
            "/v2/a%2F..%2Fb/tags/list",
            "/v2/_manifests/tags/list",
            "/v2/a/blobs/sha256:00",
            "/v2/a/manifests/.x",
            "/v2//tags/list",
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "/v2/\\PC{0,64}") {
            if let Ok(Route::Repository(name, _)) = Route::parse(&path) {
                prop_assert!(!name.split('/').any(|part| part.is_empty() || part.starts_with(['.', '_'])));
            }
        }
    }
}
