//! Manifests: small documents, read whole and checked
//! ([spec.md, "Pulling manifests"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)).

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use reqwest::{Method, StatusCode};

use super::Error;
use super::answer::{ErrorCode, parse_errors};
use super::auth::Access;
use super::transport::{Call, Transport};
use super::wire::Response;
use crate::content::ManifestKey;
use crate::oci::{Algorithm, Digest, Digester, MediaType, RawManifest, Tag};
use crate::redact::RedactedUrl;

/// The largest manifest that registries take.
const MAX_MANIFEST: u64 = 4 << 20;
/// The number of times that a manifest is pushed again that names a blob which the registry does
/// not see.
const UNSEEN_BLOBS: u32 = 2;
/// Digest of the manifest that an answer is about.
const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The subject of the pushed manifest, by which the registry will list it.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Every kind of manifest that is known, which some registries convert to another where it is not
/// named, and every other kind: as containerd asks for manifests.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     */*";

/// Reads a manifest. Its digest is that of `key`, or else the one that the registry names.
pub(super) async fn pull(
    transport: &Transport,
    key: ManifestKey<'_>,
    access: Access<'_>,
) -> Result<RawManifest, Error> {
    let call = call(transport, Method::GET, key, access);
    let (head, bytes) = transport.fetch(&call, MAX_MANIFEST, Head::of).await?;
    head.check(key, bytes)
}

/// The digest of a manifest, without reading it where the registry tells.
pub(super) async fn digest(
    transport: &Transport,
    key: ManifestKey<'_>,
    access: Access<'_>,
) -> Result<Digest, Error> {
    let call = call(transport, Method::HEAD, key, access);
    let response = match transport.send(&call).await {
        Ok(response) => response,
        // Not every registry has the method.
        Err(error) if error.is_unsupported() => {
            return Ok(pull(transport, key, access).await?.digest().clone());
        }
        Err(error) => return Err(error),
    };
    match stated_digest(&response) {
        Some(digest) if !response.is_page() => Ok(digest),
        // A success alone says nothing: a proxy answers so for whatever it is asked.
        _ => Ok(pull(transport, key, access).await?.digest().clone()),
    }
}

/// Pushes a manifest under its digest or a tag. Needs no `Location` in the answer. Tells whether
/// the registry took note of the manifest's subject.
pub(super) async fn put(
    transport: &Transport,
    manifest: &RawManifest,
    tag: Option<&Tag>,
) -> Result<bool, Error> {
    let key = tag.map_or(ManifestKey::Digest(manifest.digest()), ManifestKey::Tag);
    let call = Call::new(Method::PUT, url(transport, key), Access::Push)
        .header(CONTENT_TYPE, manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let response = pushed(transport, &call).await?;
    let expected = manifest.digest();
    let stated = stated_digest(&response);
    let stated = stated.filter(|actual| actual.algorithm() == expected.algorithm());
    match stated {
        Some(actual) if actual != *expected => {
            return Err(Error::ManifestDigest {
                url: response.shown_url(),
                expected: expected.clone(),
                actual,
            });
        }
        Some(_) if response.status() == StatusCode::CREATED => {}
        _ => confirm(transport, key, expected, &response).await?,
    }
    Ok(response.header(&OCI_SUBJECT).is_some())
}

/// Makes the request that pushes a manifest until it is taken. A registry that does not see a blob
/// is asked again: some lose sight of one for a moment while another client pushes it too.
async fn pushed(transport: &Transport, call: &Call<'_>) -> Result<Response, Error> {
    let mut retries = transport.retries();
    let mut unseen = 0;
    loop {
        transport.state().manifest_push_turn().await;
        match transport.once(call).await {
            Ok(response) => return Ok(response),
            Err(error) if unseen < UNSEEN_BLOBS && lacks_blob(&error) => {
                unseen += 1;
                retries.pause_anyway(error).await?;
            }
            Err(error) => retries.pause(error).await?,
        }
    }
}

fn lacks_blob(error: &Error) -> bool {
    error.has_code(&ErrorCode::MANIFEST_BLOB_UNKNOWN)
}

/// Sees that a manifest is there after an answer that does not say so: 201 with the digest is what
/// the specification asks for, and any other success may be a proxy's.
async fn confirm(
    transport: &Transport,
    key: ManifestKey<'_>,
    expected: &Digest,
    pushed: &Response,
) -> Result<(), Error> {
    let absent = || pushed.problem("with a success, and does not have the manifest");
    match pull(transport, key, Access::Push).await {
        Ok(found) if found.digest() == expected => Ok(()),
        Ok(_) | Err(Error::ManifestDigest { .. } | Error::Protocol { .. }) => Err(absent()),
        Err(error) if error.is_not_found() => Err(absent()),
        Err(error) => Err(error),
    }
}

/// Removes a manifest by its digest, or only a tag of it.
pub(super) async fn delete(transport: &Transport, key: ManifestKey<'_>) -> Result<(), Error> {
    let call = Call::new(Method::DELETE, url(transport, key), Access::Delete);
    let response = transport.send(&call).await?;
    if response.is_page() {
        return Err(response.problem("with a page of a proxy"));
    }
    Ok(())
}

fn url(transport: &Transport, key: ManifestKey<'_>) -> reqwest::Url {
    transport.url(&format!("manifests/{key}"))
}

fn call<'a>(
    transport: &Transport,
    method: Method,
    key: ManifestKey<'_>,
    access: Access<'a>,
) -> Call<'a> {
    Call::new(method, url(transport, key), access).header(ACCEPT, ACCEPTED)
}

/// The headers of an answer that are about the manifest in its body.
struct Head {
    url: RedactedUrl,
    media_type: MediaType,
    digest: Option<Digest>,
    complete: bool,
    /// True if the bytes are encoded, which was not asked for.
    encoded: bool,
}

impl Head {
    fn of(response: &Response) -> Self {
        let media_type = response.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        Self {
            url: response.shown_url(),
            media_type: MediaType::from(media_type),
            digest: stated_digest(response),
            complete: response.status() == StatusCode::OK,
            encoded: response
                .header(&CONTENT_ENCODING)
                .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")),
        }
    }

    fn check(self, key: ManifestKey<'_>, bytes: Bytes) -> Result<RawManifest, Error> {
        let is_known = self.media_type.is_image_manifest() || self.media_type.is_index();
        let is_error = !is_known && !parse_errors(&bytes).is_empty();
        if !self.complete || is_error {
            return Err(Error::Protocol {
                method: Method::GET,
                url: self.url,
                problem: "with something else than a manifest",
            });
        }
        if self.encoded {
            return Err(Error::Protocol {
                method: Method::GET,
                url: self.url,
                problem: "with a Content-Encoding that was not asked for: a proxy changes it",
            });
        }
        let asked = match key {
            ManifestKey::Digest(digest) => Some(digest.clone()),
            // The digest that registries state for schema 1 leaves its signatures out.
            ManifestKey::Tag(_) if self.media_type.is_schema1() => None,
            ManifestKey::Tag(_) => self.digest,
        };
        let algorithm = asked.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let mut digester = Digester::new(algorithm);
        digester.update(&bytes);
        let actual = digester.finish();
        match asked {
            Some(expected) if expected != actual => Err(Error::ManifestDigest {
                url: self.url,
                expected,
                actual,
            }),
            _ => Ok(RawManifest::with_digest(&self.media_type, actual, bytes)),
        }
    }
}

fn stated_digest(response: &Response) -> Option<Digest> {
    response.header(&DOCKER_CONTENT_DIGEST)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Destination;
    use crate::registry::testing::{Reply, Scripted, impatient};

    const BODY: &[u8] = br#"{"schemaVersion":2,"config":{}}"#;

    fn tag() -> Tag {
        "v1".parse().unwrap()
    }

    async fn pulled(reply: Reply) -> Result<Option<RawManifest>, String> {
        let server = Scripted::new(move |_| reply.clone()).await;
        let repository = server.repository();
        let pulled = repository.manifest(ManifestKey::Tag(&tag())).await;
        pulled.map_err(|error| error.to_string())
    }

    fn ok() -> Reply {
        Reply::new(200).header(
            "Content-Type",
            "application/vnd.oci.image.manifest.v1+json; x=y",
        )
    }

    #[tokio::test]
    async fn a_blob_that_is_out_of_sight_for_a_moment_is_waited_for() {
        for (times, is_pushed) in [(1, true), (2, true), (100, false)] {
            let left = std::sync::atomic::AtomicU32::new(times);
            let server = Scripted::new(move |request| {
                let left = left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                if request.line().starts_with("PUT") && left > 0 {
                    return Reply::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown");
                }
                let digest = Digest::sha256(BODY).to_string();
                Reply::new(201).header("Docker-Content-Digest", &digest)
            })
            .await;
            let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, Bytes::from_static(BODY));
            let pushed = server.repository().push_manifest(&manifest, None).await;
            assert_eq!(pushed.is_ok(), is_pushed, "{times}");
            assert_eq!(server.lines().len(), 3.min(times as usize + 1), "{times}");
        }
    }

    #[tokio::test]
    async fn reads_and_checks() {
        let digest = Digest::sha256(BODY).to_string();
        let reply = ok().header("Docker-Content-Digest", &digest).body(BODY);
        let manifest = pulled(reply).await.unwrap().unwrap();
        assert_eq!(manifest.bytes(), BODY);
        assert_eq!(*manifest.media_type(), MediaType::OCI_MANIFEST);

        let other = Digest::sha256(b"other").to_string();
        let reply = ok().header("Docker-Content-Digest", &other).body(BODY);
        let error = pulled(reply).await.unwrap_err();
        assert!(
            error.contains("has the wrong digest: expected sha256:"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_is_not_there_is_none() {
        let reply = Reply::error(404, "MANIFEST_UNKNOWN", "unknown");
        assert_eq!(pulled(reply).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_error_with_a_success_is_no_manifest() {
        let error =
            Reply::error(200, "UNKNOWN", "not now").header("Content-Type", "application/json");
        let error = pulled(error).await.unwrap_err();
        assert!(error.contains("something else than a manifest"), "{error}");
    }

    #[tokio::test]
    async fn an_endless_manifest_is_given_up() {
        let error = pulled(ok().body(b" ".repeat(1 << 16)).endless())
            .await
            .unwrap_err();
        assert!(error.contains("more than 4194304 bytes"), "{error}");
        let announced = ok().header("Content-Length", "99999999999");
        let error = pulled(announced).await.unwrap_err();
        assert!(error.contains("more than 4194304 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_silent_registry_is_given_up() {
        let server = Scripted::new(|_| ok().body(BODY).silent_after(3)).await;
        let repository = server.repository_with(impatient());
        let pulled = repository.manifest(ManifestKey::Tag(&tag())).await;
        let error = pulled.unwrap_err();
        assert!(
            error.to_string().contains("gave up after 4 attempts"),
            "{error}"
        );
        let last = std::error::Error::source(&error).unwrap().to_string();
        assert!(last.contains("stood still for"), "{last}");
    }

    #[tokio::test]
    async fn a_manifest_cut_in_the_middle_is_read_again() {
        let cuts = std::sync::atomic::AtomicBool::new(true);
        let server = Scripted::new(move |_| {
            let cut = cuts.swap(false, std::sync::atomic::Ordering::Relaxed);
            let reply = ok().body(BODY);
            if cut { reply.cut_after(3) } else { reply }
        })
        .await;
        let repository = server.repository();
        let digest = Digest::sha256(BODY);
        let manifest = repository.manifest(ManifestKey::Digest(&digest)).await;
        assert_eq!(manifest.unwrap().unwrap().bytes(), BODY);
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn a_digest_that_head_does_not_tell_is_read() {
        let server = Scripted::new(|request| match request.method.as_str() {
            "GET" => ok().body(BODY),
            _ => ok(),
        })
        .await;
        let repository = server.repository();
        let digest = repository.manifest_digest(ManifestKey::Tag(&tag())).await;
        assert_eq!(digest.unwrap(), Some(Digest::sha256(BODY)));
        assert_eq!(
            server.lines(),
            ["HEAD /v2/app/manifests/v1", "GET /v2/app/manifests/v1"]
        );
    }

    #[tokio::test]
    async fn a_push_is_checked_by_the_digest_in_the_answer() {
        let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, BODY.into());
        let digest = manifest.digest().to_string();
        let server =
            Scripted::new(move |_| Reply::new(201).header("Docker-Content-Digest", &digest)).await;
        let repository = server.repository();
        repository.push_manifest(&manifest, None).await.unwrap();
        repository
            .push_manifest(&manifest, Some(&tag()))
            .await
            .unwrap();
        let by_digest = format!("PUT /v2/app/manifests/{}", manifest.digest());
        assert_eq!(
            server.lines(),
            [by_digest.as_str(), "PUT /v2/app/manifests/v1"]
        );

        let other = Digest::sha256(b"other").to_string();
        let server =
            Scripted::new(move |_| Reply::new(201).header("Docker-Content-Digest", &other)).await;
        let error = server.repository().push_manifest(&manifest, None).await;
        assert!(error.unwrap_err().to_string().contains("wrong digest"));
    }

    /// A push to a registry that answers pushes and reads so.
    async fn pushed(push: Reply, read: Reply) -> Result<usize, String> {
        let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, BODY.into());
        let server = Scripted::new(move |request| match request.method.as_str() {
            "PUT" => push.clone(),
            _ => read.clone(),
        })
        .await;
        let repository = server.repository();
        for tag in [None, Some(&tag())] {
            let pushed = repository.push_manifest(&manifest, tag).await;
            pushed.map_err(|error| error.to_string())?;
        }
        Ok(server.lines().len())
    }

    #[tokio::test]
    async fn another_success_is_believed_where_the_manifest_is_there() {
        let page = || {
            Reply::new(200)
                .header("Content-Type", "text/html")
                .body("<html>")
        };
        let missing = || Reply::error(404, "MANIFEST_UNKNOWN", "unknown");
        let other = || ok().body(br#"{"schemaVersion":2}"#);
        for push in [Reply::new(200), Reply::new(201), Reply::new(204), page()] {
            assert_eq!(pushed(push.clone(), ok().body(BODY)).await, Ok(4));
            for read in [missing(), page(), other(), Reply::new(204)] {
                let error = pushed(push.clone(), read).await.unwrap_err();
                assert!(error.contains("does not have the manifest"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_registry_without_head_is_asked_by_get() {
        for status in [405, 501] {
            let server = Scripted::new(move |request| match request.method.as_str() {
                "GET" => ok().body(BODY),
                _ => Reply::new(status),
            })
            .await;
            let digest = Digest::sha256(BODY);
            let repository = server.repository();
            let found = repository
                .manifest_digest(ManifestKey::Digest(&digest))
                .await;
            assert_eq!(found.unwrap(), Some(digest.clone()));
            assert_eq!(repository.blob_size(&digest).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn an_encoding_that_was_not_asked_for_is_told() {
        let reply = ok().header("Content-Encoding", "gzip").body(BODY);
        let server = Scripted::new(move |_| reply.clone()).await;
        let repository = server.repository();
        let error = repository
            .manifest(ManifestKey::Tag(&tag()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("Content-Encoding"), "{error}");
        let requests = server.requests();
        assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    }

    #[tokio::test]
    async fn a_page_in_answer_to_head_is_no_manifest() {
        let server = Scripted::new(|_| Reply::new(200).header("Content-Type", "text/html")).await;
        let digest = Digest::sha256(BODY);
        let found = server.repository();
        let found = found.manifest_digest(ManifestKey::Digest(&digest)).await;
        assert!(found.is_err(), "{found:?}");
    }

    #[tokio::test]
    async fn a_refused_overwrite_of_a_tag_is_told_apart() {
        let server =
            Scripted::new(|_| Reply::error(400, "TAG_INVALID", "the tag 'v1' already exists"))
                .await;
        let manifest = RawManifest::new(&MediaType::OCI_MANIFEST, BODY.into());
        let pushed = server
            .repository()
            .push_manifest(&manifest, Some(&tag()))
            .await;
        let error = pushed.unwrap_err();
        assert!(error.downcast_ref::<Error>().unwrap().is_tag_immutable());
        assert!(!error.is_retryable());
    }
}
