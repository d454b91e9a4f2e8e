//! The other switches of the embedded registry.

use longshore::local::{Mounts, Referrers, RegistryOptions};
use longshore::oci::Digest;
use reqwest::header::{AUTHORIZATION, RANGE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{OCI_INDEX, OCI_MANIFEST, image, layer, like_ecr, options, registry};

#[tokio::test]
async fn content_outlives_the_registry_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = RegistryOptions {
        folder: Some(folder.path().to_owned()),
        ..options()
    };
    let (first, api) = registry(in_folder.clone()).await;
    let blob = api.push_blob("team/app", b"kept").await;
    let manifest = api.push_image("team/app", "1.0", &[&blob]).await;
    first.stop().await;

    let (_second, api) = registry(in_folder).await;
    assert_eq!(
        api.get(&format!("team/app/blobs/{blob}")).await.text(),
        "kept"
    );
    assert_eq!(
        api.get("team/app/manifests/1.0").await.bytes,
        manifest.bytes
    );
    let plain = folder.path().join("blobs/sha256").join(blob.hex());
    assert_eq!(std::fs::read(plain).unwrap(), b"kept");
}

#[tokio::test]
async fn a_repository_must_exist() {
    let (registry, api) = registry(RegistryOptions {
        create_on_push: false,
        ..like_ecr()
    })
    .await;
    let answer = api.send(Method::POST, "app/blobs/uploads/").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.error_code(), "NAME_UNKNOWN");
    assert_eq!(
        answer.error_message(),
        "The repository with name 'app' does not exist in the registry with id '123456789012'"
    );
    registry.create_repository("app").await.unwrap();
    api.push_blob("app", b"x").await;
}

#[tokio::test]
async fn an_immutable_tag_is_set_once() {
    let (_registry, api) = registry(RegistryOptions {
        immutable_tags: true,
        ..like_ecr()
    })
    .await;
    let manifest = api.push_image("app", "1.0", &[]).await;
    // ECR refuses the same manifest too.
    let answer = api
        .put_manifest("app", "1.0", OCI_MANIFEST, &manifest.bytes)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error_code(), "TAG_INVALID");
    assert_eq!(
        answer.error_message(),
        "The image tag '1.0' already exists in the 'app' repository and cannot be overwritten \
         because the repository is immutable."
    );
    let digest = manifest.digest.to_string();
    let answer = api
        .put_manifest("app", &digest, OCI_MANIFEST, &manifest.bytes)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn mounts_are_any_referenced_or_none() {
    for (mounts, unreferenced, referenced) in [
        (Mounts::Any, 201, 201),
        (Mounts::Referenced, 202, 201),
        (Mounts::Never, 202, 202),
    ] {
        let (_registry, api) = registry(RegistryOptions {
            mounts,
            ..options()
        })
        .await;
        let blob = api.push_blob("from", b"layer").await;
        let path = format!("to/blobs/uploads/?mount={blob}&from=from");
        let answer = api.send(Method::POST, &path).await;
        assert_eq!(answer.status.as_u16(), unreferenced, "{mounts:?}");
        api.push_image("from", "1.0", &[&blob]).await;
        let answer = api.send(Method::POST, &path).await;
        assert_eq!(answer.status.as_u16(), referenced, "{mounts:?}");
    }
}

#[tokio::test]
async fn the_referrers_api_may_be_missing_or_refused() {
    for (referrers, status) in [(Referrers::Missing, 404), (Referrers::NotAllowed, 405)] {
        let (_registry, api) = registry(RegistryOptions {
            referrers,
            ..options()
        })
        .await;
        let subject = api.push_image("app", "1.0", &[]).await;
        let answer = api.get(&format!("app/referrers/{}", subject.digest)).await;
        assert_eq!(answer.status.as_u16(), status, "{referrers:?}");
        let mut referrer: serde_json::Value = serde_json::from_slice(&subject.bytes).unwrap();
        referrer["subject"] = layer(&subject.digest, OCI_MANIFEST);
        let bytes = referrer.to_string();
        let answer = api
            .put_manifest("app", "ref", OCI_MANIFEST, bytes.as_bytes())
            .await;
        assert_eq!(answer.header("oci-subject"), "", "{referrers:?}");
    }
}

#[tokio::test]
async fn a_manifest_with_a_subject_may_be_refused() {
    let (_registry, api) = registry(RegistryOptions {
        refuse_subjects: true,
        ..options()
    })
    .await;
    let subject = api.push_image("app", "1.0", &[]).await;
    let mut referrer: serde_json::Value = serde_json::from_slice(&subject.bytes).unwrap();
    referrer["subject"] = layer(&subject.digest, OCI_MANIFEST);
    let bytes = referrer.to_string();
    let answer = api
        .put_manifest("app", "ref", OCI_MANIFEST, bytes.as_bytes())
        .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn manifests_of_unknown_media_types_may_be_refused() {
    for (unknown_media_types, opaque, cache) in [(true, 201, 201), (false, 400, 404)] {
        let (_registry, api) = registry(RegistryOptions {
            unknown_media_types,
            ..options()
        })
        .await;
        let media_type = "application/vnd.example+json";
        let answer = api.put_manifest("app", "1", media_type, b"{}").await;
        assert_eq!(answer.status.as_u16(), opaque, "{unknown_media_types}");
        let blob = api.push_blob("app", b"cached").await;
        let entry = layer(&blob, "application/vnd.oci.image.layer.v1.tar+gzip");
        let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
        let answer = api
            .put_manifest("app", "cache", OCI_INDEX, index.as_bytes())
            .await;
        assert_eq!(answer.status.as_u16(), cache, "{unknown_media_types}");
    }
}

#[tokio::test]
async fn missing_content_is_named_as_ecr_names_it() {
    let (_registry, api) = registry(like_ecr()).await;
    let absent = Digest::sha256(b"absent");
    api.push_blob("app", b"{}").await;
    let answer = api
        .put_manifest("app", "1.0", OCI_MANIFEST, &image(&[&absent]))
        .await;
    assert_eq!(answer.error_code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(
        answer.error_message(),
        format!(
            "Layers with digests '[{absent}]' required for pushing image into repository with \
             name 'app' in the registry with id '123456789012' do not exist"
        )
    );
    let index = json!({"schemaVersion": 2, "manifests": [layer(&absent, OCI_MANIFEST)]});
    let index = index.to_string();
    let answer = api
        .put_manifest("app", "all", OCI_INDEX, index.as_bytes())
        .await;
    assert_eq!(answer.error_code(), "MANIFEST_BLOB_UNKNOWN");

    let (_registry, api) = registry(RegistryOptions {
        check_references: false,
        ..options()
    })
    .await;
    let answer = api
        .put_manifest("app", "1.0", OCI_MANIFEST, &image(&[&absent]))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_pushed_manifest_may_have_no_location() {
    let (_registry, api) = registry(RegistryOptions {
        manifest_location: false,
        ..options()
    })
    .await;
    api.push_blob("app", b"{}").await;
    let answer = api
        .put_manifest("app", "1.0", OCI_MANIFEST, &image(&[]))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("location"), "");
}

#[tokio::test]
async fn manifests_are_taken_at_a_rate() {
    let (_registry, api) = registry(RegistryOptions {
        manifests_per_second: Some(0),
        retry_after: Some(3),
        ..options()
    })
    .await;
    api.push_blob("app", b"{}").await;
    let answer = api
        .put_manifest("app", "1.0", OCI_MANIFEST, &image(&[]))
        .await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.error_code(), "TOOMANYREQUESTS");
    assert_eq!(answer.header("retry-after"), "3");
}

#[tokio::test]
async fn blobs_come_from_another_origin_that_wants_no_authorization() {
    let (registry, api) = registry(RegistryOptions {
        redirect_blobs: true,
        ..options()
    })
    .await;
    let blob = api.push_blob("app", b"0123456789").await;
    let answer = api.get(&format!("app/blobs/{blob}")).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    let location = answer.header("location").to_owned();
    assert!(!location.starts_with(&registry.base_url()));

    let get = || api.at(Method::GET, &location);
    assert_eq!(api.answer(get()).await.text(), "0123456789");
    let answer = api.answer(get().header(RANGE, "bytes=3-5")).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::PARTIAL_CONTENT, "345")
    );
    let answer = api.answer(get().header(AUTHORIZATION, "Basic eDp5")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let unsigned = location.split('?').next().unwrap();
    let answer = api.answer(api.at(Method::GET, unsigned)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let head = api.send(Method::HEAD, &format!("app/blobs/{blob}")).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (StatusCode::OK, "10")
    );
}

#[tokio::test]
async fn deletion_may_be_off() {
    let (_registry, api) = registry(RegistryOptions {
        deletes: false,
        ..options()
    })
    .await;
    api.push_image("app", "1.0", &[]).await;
    let answer = api.send(Method::DELETE, "app/manifests/1.0").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.error_code(), "UNSUPPORTED");
    let location = api.start_upload("app").await;
    let answer = api.answer(api.at(Method::DELETE, &location)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn pages_may_be_short() {
    let (_registry, api) = registry(RegistryOptions {
        page_size: Some(1),
        ..options()
    })
    .await;
    for tag in ["a", "b"] {
        api.push_image("app", tag, &[]).await;
    }
    let answer = api.get("app/tags/list").await;
    assert_eq!(answer.json()["tags"], json!(["a"]));
    let link = answer.header("link");
    assert_eq!(link, "</v2/app/tags/list?n=1&last=a>; rel=\"next\"");
}

#[tokio::test]
async fn requests_are_counted() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("team/app", b"12345").await;
    registry.reset();
    api.get(&format!("team/app/blobs/{blob}")).await;
    let request = api.request(Method::GET, &format!("team/app/blobs/{blob}"));
    api.answer(
        request
            .header(RANGE, "bytes=1-2")
            .basic_auth("a", Some("b")),
    )
    .await;
    let location = api.start_upload("b").await;
    api.answer(api.at(Method::PATCH, &location).body("1234567"))
        .await;

    let records = registry.requests();
    let facts: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.method.as_str(),
                record.status,
                record.bytes_in,
                record.bytes_out,
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("GET", 200, 0, 5),
            ("GET", 206, 0, 2),
            ("POST", 202, 0, 0),
            ("PATCH", 202, 7, 0)
        ]
    );
    assert_eq!(records[0].repository.as_deref(), Some("team/app"));
    assert_eq!(records[1].range.as_deref(), Some("bytes=1-2"));
    assert_eq!(
        [records[0].had_authorization, records[1].had_authorization],
        [false, true]
    );
    assert!(!format!("{records:?}").contains("Basic"));
}
