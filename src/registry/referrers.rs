//! Manifests that are about another one
//! ([spec.md, "Listing Referrers"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers)).

use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::auth::Access;
use super::transport::{Call, Transport};
use super::{Error, manifest, pages};
use crate::content::ManifestKey;
use crate::oci::{Descriptor, Digest, ImageIndex, Manifest, MediaType, RawManifest, Tag};

/// The longest encoded part of a digest in a tag of the tag schema.
const MAX_TAG_HEX: usize = 64;
/// Most referrers that a list has.
const MAX_REFERRERS: usize = 5_000;

/// The referrers of `digest`: by the API, or by the tag schema where a registry has no API.
/// Empty where there is neither.
pub(super) async fn list(transport: &Transport, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
    match by_api(transport, digest).await {
        Err(error) if is_unsupported(&error) => by_tag(transport, digest).await,
        Ok(None) => by_tag(transport, digest).await,
        listed => Ok(listed?.unwrap_or_default()),
    }
}

/// `None` where the registry answers with something else than an index: it then has no such API,
/// and shows a page for people.
async fn by_api(transport: &Transport, digest: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
    let mut referrers: Option<Vec<Descriptor>> = None;
    let mut has_api = true;
    let url = transport.url(&format!("referrers/{digest}"));
    let call = |url| {
        Call::new(Method::GET, url, Access::Pull).header(ACCEPT, MediaType::OCI_INDEX.as_str())
    };
    let read = pages::each(transport, url, call, |body| {
        match (parse_list(body), &mut referrers) {
            (Some(listed), referrers) => {
                let referrers = referrers.get_or_insert_default();
                referrers.extend(listed);
                if referrers.len() > MAX_REFERRERS {
                    return Err("with more than 5,000 referrers");
                }
                Ok(())
            }
            (None, None) => {
                has_api = false;
                Err("without a list of referrers")
            }
            (None, Some(_)) => Err("with a malformed list of referrers"),
        }
    })
    .await;
    if !has_api {
        return Ok(None);
    }
    read.map(|()| referrers)
}

/// The descriptors in a list, which is an index that has them.
fn parse_list(body: &[u8]) -> Option<Vec<Descriptor>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        #[serde(rename = "schemaVersion")]
        _schema_version: u8,
        manifests: Vec<Descriptor>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    Some(list.manifests)
}

/// Registries without the API answer in many ways; none of these is one that a registry with it
/// has for this request.
fn is_unsupported(error: &Error) -> bool {
    matches!(
        error.status(),
        Some(
            StatusCode::BAD_REQUEST
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_ACCEPTABLE
                | StatusCode::NOT_IMPLEMENTED
        )
    )
}

/// The index that clients keep under a tag made of the digest
/// ([spec.md, "Referrers Tag Schema"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema)).
async fn by_tag(transport: &Transport, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
    let Some(tag) = schema_tag(digest) else {
        return Ok(Vec::new());
    };
    let key = ManifestKey::Tag(&tag);
    let pulled = match manifest::pull(transport, key, Access::Pull).await {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        pulled => pulled?,
    };
    match pulled.parse() {
        Ok(Manifest::Index(index)) => Ok(index.manifests),
        _ => Ok(Vec::new()),
    }
}

/// Adds a manifest to the index under its subject's tag, as clients do for a registry that did not
/// take note of the subject itself
/// ([spec.md, "Pushing Manifests with Subject"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject)).
pub(super) async fn add(
    transport: &Transport,
    manifest: &RawManifest,
    subject: &Digest,
) -> Result<(), Error> {
    let Some(tag) = schema_tag(subject) else {
        return Ok(());
    };
    let _turn = transport.listing_turn().await;
    let listed = by_tag(transport, subject).await?;
    if listed
        .iter()
        .any(|known| known.digest == *manifest.digest())
    {
        return Ok(());
    }
    let mut manifests = listed;
    manifests.push(entry(manifest));
    let index = ImageIndex {
        schema_version: 2,
        media_type: Some(MediaType::OCI_INDEX),
        manifests,
        subject: None,
    };
    let bytes = serde_json::to_vec(&index).expect("texts and numbers are always JSON");
    let index = RawManifest::new(&MediaType::OCI_INDEX, bytes.into());
    manifest::put(transport, &index, Some(&tag)).await.map(drop)
}

/// The descriptor of a referrer, with what lists of referrers say of it.
fn entry(manifest: &RawManifest) -> Descriptor {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Document<'a> {
        #[serde(borrow)]
        artifact_type: Option<&'a RawValue>,
        #[serde(borrow)]
        config: Option<&'a RawValue>,
        #[serde(borrow)]
        annotations: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        media_type: String,
    }
    let document: Document<'_> = serde_json::from_slice(manifest.bytes()).unwrap_or_default();
    let own_type = document.artifact_type.and_then(read);
    let config_type = || Some(document.config.and_then(read::<Config>)?.media_type);
    Descriptor {
        artifact_type: own_type.or_else(config_type),
        annotations: document.annotations.and_then(read).unwrap_or_default(),
        ..manifest.descriptor()
    }
}

/// The value of a member, if it has the expected type.
fn read<T: serde::de::DeserializeOwned>(member: &RawValue) -> Option<T> {
    serde_json::from_str(member.get()).ok()
}

fn schema_tag(digest: &Digest) -> Option<Tag> {
    let hex = digest.hex();
    let hex = hex.get(..MAX_TAG_HEX).unwrap_or(hex);
    format!("{}-{hex}", digest.algorithm().name()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Destination, Source};
    use crate::registry::testing::{Reply, Scripted, descriptor, impatient};

    fn index(texts: &[&str]) -> Reply {
        let manifests: Vec<_> = texts
            .iter()
            .map(|text| descriptor(text.as_bytes()))
            .collect();
        let document = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
        Reply::new(200)
            .header("Content-Type", MediaType::OCI_INDEX.as_str())
            .body(document.to_string())
    }

    async fn listed(server: &Scripted) -> Vec<Digest> {
        let subject = Digest::sha256(b"subject");
        let found = server.repository().referrers(&subject).await.unwrap();
        found.into_iter().map(|found| found.digest).collect()
    }

    #[tokio::test]
    async fn all_pages_are_read() {
        let server = Scripted::new(|request| {
            if request.target.contains("page=2") {
                return index(&["b"]);
            }
            index(&["a"]).header("Link", r#"<?page=2>; rel="next""#)
        })
        .await;
        assert_eq!(
            listed(&server).await,
            [Digest::sha256(b"a"), Digest::sha256(b"b")]
        );
        let subject = Digest::sha256(b"subject");
        let api = format!("GET /v2/app/referrers/{subject}");
        assert_eq!(server.lines(), [api.clone(), format!("{api}?page=2")]);
    }

    #[tokio::test]
    async fn a_registry_without_the_api_is_asked_for_the_tag() {
        for status in [404, 405, 400] {
            let server = Scripted::new(move |request| {
                if request.target.contains("/manifests/sha256-") {
                    return index(&["a"]);
                }
                Reply::error(status, "UNSUPPORTED", "")
            })
            .await;
            assert_eq!(listed(&server).await, [Digest::sha256(b"a")]);
        }
        let server = Scripted::new(|_| Reply::new(404)).await;
        assert_eq!(listed(&server).await, []);
    }

    #[tokio::test]
    async fn a_refusal_is_not_taken_for_an_empty_list() {
        let server = Scripted::new(|_| Reply::error(403, "DENIED", "no")).await;
        let subject = Digest::sha256(b"subject");
        let error = server.repository().referrers(&subject).await.unwrap_err();
        assert!(
            error.downcast_ref::<Error>().unwrap().is_denied(),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_list_without_end_is_given_up() {
        let server =
            Scripted::new(|_| index(&["a"]).header("Link", r#"<?more>; rel="next""#)).await;
        let subject = Digest::sha256(b"subject");
        let error = server.repository().referrers(&subject).await.unwrap_err();
        assert!(error.to_string().contains("a list without end"), "{error}");
    }

    #[tokio::test]
    async fn a_page_in_place_of_a_list_is_no_api() {
        let page = || {
            Reply::new(200)
                .header("Content-Type", "text/html")
                .body("<html>")
        };
        let empty = || Reply::new(200);
        let other = || Reply::new(200).body(r#"{"message": "welcome"}"#);
        let list = || Reply::new(200).body("[]");
        for answer in [page, empty, other, list] {
            let server = Scripted::new(move |request| {
                if request.target.contains("/referrers/") {
                    return answer();
                }
                if request.target.starts_with("/sign-in") {
                    return page();
                }
                index(&["a"])
            })
            .await;
            let subject = Digest::sha256(b"subject");
            let found = server.repository().referrers(&subject).await.unwrap();
            assert_eq!(found.len(), 1, "by the tag schema");
        }
        let redirects = Scripted::new(move |request| match request.target.as_str() {
            target if target.contains("/referrers/") => {
                Reply::new(302).header("Location", "/sign-in")
            }
            "/sign-in" => page(),
            _ => Reply::new(404),
        })
        .await;
        let subject = Digest::sha256(b"subject");
        assert!(
            redirects
                .repository()
                .referrers(&subject)
                .await
                .unwrap()
                .is_empty()
        );
        let failing = Scripted::new(|_| Reply::new(500)).await;
        assert!(
            failing
                .repository_with(impatient())
                .referrers(&subject)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_registry_that_ignores_subjects_gets_the_index() {
        for ignores in [true, false] {
            let server = Scripted::new(move |request| {
                let digest = Digest::sha256(&request.body).to_string();
                let taken = Reply::new(201).header("Docker-Content-Digest", &digest);
                match request.method.as_str() {
                    "PUT" if ignores => taken,
                    "PUT" => taken.header("OCI-Subject", "sha256:0"),
                    _ => Reply::new(404),
                }
            })
            .await;
            let subject = descriptor(b"subject");
            let document = serde_json::json!({
                "schemaVersion": 2,
                "config": descriptor(b"{}"),
                "layers": [],
                "subject": subject,
            });
            let referrer = RawManifest::new(&MediaType::OCI_MANIFEST, document.to_string().into());
            let pushed = server.repository().push_manifest(&referrer, None).await;
            pushed.unwrap();
            let puts = server
                .lines()
                .into_iter()
                .filter(|line| line.starts_with("PUT"));
            let tag = format!("PUT /v2/app/manifests/sha256-{}", subject.digest.hex());
            let written = puts.filter(|line| *line == tag).count();
            assert_eq!(written, usize::from(ignores));
        }
    }

    #[test]
    fn tags_are_cut_to_what_tags_may_be() {
        let sha512 = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(
            schema_tag(&sha512).unwrap().as_str(),
            format!("sha512-{}", "a".repeat(64))
        );
    }
}
