//! The switches of the embedded registry's uploads.

use longshore::local::{Locations, RegistryOptions};
use longshore::oci::Digest;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Method, StatusCode};

use super::{like_ecr, options, registry};

#[tokio::test]
async fn a_patch_may_answer_created_and_a_range_that_stays() {
    let (_registry, api) = registry(RegistryOptions {
        patch_created: true,
        sticky_range: true,
        ..options()
    })
    .await;
    let location = api.start_upload("app").await;
    for (range, chunk) in [("0-2", "aaa"), ("3-5", "bbb"), ("6-8", "ccc")] {
        let patch = api
            .at(Method::PATCH, &location)
            .header(CONTENT_RANGE, range);
        let answer = api.answer(patch.body(chunk)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.header("range"), "0-2");
    }
    let digest = Digest::sha256(b"aaabbbccc");
    let put = api.finish(&location, &digest);
    assert_eq!(api.answer(put).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_upload_does_not_start_again_in_its_session() {
    let (_registry, api) = registry(RegistryOptions {
        unranged_patch_is_zero: true,
        ..like_ecr()
    })
    .await;
    let location = api.start_upload("app").await;
    let patch = || api.at(Method::PATCH, &location).body("12345");
    assert_eq!(api.answer(patch()).await.status, StatusCode::ACCEPTED);
    let answer = api.answer(patch()).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.error_code(), "BLOB_UPLOAD_INVALID");
    assert_eq!(
        answer.error_message(),
        "First byte of the layer part is 0 instead of 5"
    );
}

#[tokio::test]
async fn only_the_last_chunk_may_be_small() {
    let (_registry, api) = registry(RegistryOptions {
        min_chunk: Some(4),
        announce_min_chunk: true,
        ..options()
    })
    .await;
    let start = api.send(Method::POST, "app/blobs/uploads/").await;
    assert_eq!(start.header("oci-chunk-min-length"), "4");
    let patch = |location: &str, chunk: &'static str| api.at(Method::PATCH, location).body(chunk);
    let location = start.header("location");
    for chunk in ["1234", "5678", "9"] {
        assert_eq!(
            api.answer(patch(location, chunk)).await.status,
            StatusCode::ACCEPTED
        );
    }
    let digest = Digest::sha256(b"123456789");
    let put = api.finish(location, &digest);
    assert_eq!(api.answer(put).await.status, StatusCode::CREATED);

    let location = api.start_upload("app").await;
    assert_eq!(
        api.answer(patch(&location, "123")).await.status,
        StatusCode::ACCEPTED
    );
    let answer = api.answer(patch(&location, "4567")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_chunk_may_be_too_long() {
    let (_registry, api) = registry(RegistryOptions {
        max_chunk: Some(4),
        ..options()
    })
    .await;
    let location = api.start_upload("app").await;
    let answer = api
        .answer(api.at(Method::PATCH, &location).body("12345"))
        .await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = api
        .answer(api.at(Method::PATCH, &location).body("1234"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_empty_blob_may_be_refused() {
    let refusing = RegistryOptions {
        refuse_empty_blobs: true,
        ..like_ecr()
    };
    for (options, status) in [(refusing, 400), (options(), 201)] {
        let (_registry, api) = registry(options).await;
        let location = api.start_upload("app").await;
        let digest = Digest::sha256(b"");
        let put = api.finish(&location, &digest);
        assert_eq!(api.answer(put).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn locations_take_each_form() {
    let (_registry, api) = registry(RegistryOptions {
        locations: Locations::Absolute,
        ..options()
    })
    .await;
    assert!(
        api.start_upload("app")
            .await
            .starts_with("http://127.0.0.1:")
    );
    api.push_blob("app", b"x").await;

    let (_registry, api) = registry(RegistryOptions {
        locations: Locations::AbsoluteWithState,
        ..options()
    })
    .await;
    let location = api.start_upload("app").await;
    let (path, _state) = location.split_once("?_state=").unwrap();
    let answer = api.answer(api.at(Method::PATCH, path).body("x")).await;
    assert_eq!(answer.error_code(), "BLOB_UPLOAD_UNKNOWN");
    api.push_blob("app", b"x").await;
}
