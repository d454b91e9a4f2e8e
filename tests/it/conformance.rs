//! The embedded registry does what the distribution specification's conformance suite asks of
//! its four categories: pull, push, content discovery, content management.

use longshore::oci::{Algorithm, Digest, Digester};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::local::{OCI_INDEX, OCI_MANIFEST, image, layer, options, registry};

#[tokio::test]
async fn pull_what_is_there() {
    let (_registry, api) = registry(options()).await;
    let blob = api.push_blob("team/app", b"hello layer").await;
    let manifest = api.push_image("team/app", "1.0", &[&blob]).await;

    let get = api.get(&format!("team/app/blobs/{blob}")).await;
    assert_eq!(get.header("docker-content-digest"), blob.to_string());
    assert_eq!(get.text(), "hello layer");
    let head = api
        .send(Method::HEAD, &format!("team/app/blobs/{blob}"))
        .await;
    assert_eq!(head.header("content-length"), "11");
    assert_eq!(head.bytes.len(), 0);

    for reference in ["1.0".to_owned(), manifest.digest.to_string()] {
        let get = api.get(&format!("team/app/manifests/{reference}")).await;
        assert_eq!(get.status, StatusCode::OK);
        assert_eq!(get.bytes, manifest.bytes);
        assert_eq!(get.header("content-type"), OCI_MANIFEST);
        assert_eq!(
            get.header("docker-content-digest"),
            manifest.digest.to_string()
        );
        let head = api
            .send(Method::HEAD, &format!("team/app/manifests/{reference}"))
            .await;
        assert_eq!(
            head.header("content-length"),
            manifest.bytes.len().to_string()
        );
    }
}

#[tokio::test]
async fn pull_parts_of_a_blob() {
    let (_registry, api) = registry(options()).await;
    let blob = api.push_blob("a", b"0123456789").await;
    for (range, status, content_range, text) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=10-", 416, "bytes */10", ""),
    ] {
        let request = api.request(Method::GET, &format!("a/blobs/{blob}"));
        let answer = api.answer(request.header(RANGE, range)).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.text(), text);
    }
}

#[tokio::test]
async fn pull_what_is_not_there() {
    let (_registry, api) = registry(options()).await;
    let absent = Digest::sha256(b"absent");
    api.push_blob("a", b"x").await;
    for (path, code) in [
        (format!("nobody/blobs/{absent}"), "NAME_UNKNOWN"),
        ("nobody/tags/list".to_owned(), "NAME_UNKNOWN"),
        (format!("a/blobs/{absent}"), "BLOB_UNKNOWN"),
        (format!("a/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        ("a/manifests/latest".to_owned(), "MANIFEST_UNKNOWN"),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.error_code(), code, "{path}");
    }
    let answer = api.get("a/blobs/sha256:12").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error_code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn push_in_one_or_two_requests() {
    let (_registry, api) = registry(options()).await;
    let digest = Digest::sha256(b"content");
    let post = api.request(Method::POST, &format!("one/blobs/uploads/?digest={digest}"));
    let answer = api.answer(post.body("content")).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("location"), format!("/v2/one/blobs/{digest}"));

    let location = api.start_upload("two").await;
    let put = api.finish(&location, &digest);
    assert_eq!(
        api.answer(put.body("content")).await.status,
        StatusCode::CREATED
    );

    let mut sha512 = Digester::new(Algorithm::Sha512);
    sha512.update(b"content");
    let sha512 = sha512.finish();
    let location = api.start_upload("two").await;
    let put = api.finish(&location, &sha512);
    assert_eq!(
        api.answer(put.body("content")).await.status,
        StatusCode::CREATED
    );

    for path in [
        format!("one/blobs/{digest}"),
        format!("two/blobs/{digest}"),
        format!("two/blobs/{sha512}"),
    ] {
        assert_eq!(api.get(&path).await.text(), "content", "{path}");
    }
}

#[tokio::test]
async fn push_in_chunks() {
    let (_registry, api) = registry(options()).await;
    let digest = Digest::sha256(b"aaabbbcc");
    let mut location = api.start_upload("a").await;
    for (range, chunk) in [("0-2", "aaa"), ("3-5", "bbb")] {
        let patch = api
            .at(Method::PATCH, &location)
            .header(CONTENT_RANGE, range);
        let answer = api.answer(patch.body(chunk)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        location = answer.header("location").to_owned();
        let status = api.answer(api.at(Method::GET, &location)).await;
        assert_eq!(status.status, StatusCode::NO_CONTENT);
        assert_eq!(status.header("range"), format!("0-{}", &range[2..]));
    }
    let repeated = api
        .at(Method::PATCH, &location)
        .header(CONTENT_RANGE, "0-2");
    let answer = api.answer(repeated.body("aaa")).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.header("range"), "0-5");

    let put = api.finish(&location, &digest);
    let put = put.header(CONTENT_RANGE, "6-7").body("cc");
    assert_eq!(api.answer(put).await.status, StatusCode::CREATED);
    assert_eq!(
        api.get(&format!("a/blobs/{digest}")).await.text(),
        "aaabbbcc"
    );
}

#[tokio::test]
async fn push_as_a_stream() {
    let (_registry, api) = registry(options()).await;
    let body = vec![7_u8; 3 << 20];
    let digest = Digest::sha256(&body);
    let location = api.start_upload("a").await;
    let answer = api
        .answer(api.at(Method::PATCH, &location).body(body.clone()))
        .await;
    assert_eq!(answer.header("range"), format!("0-{}", body.len() - 1));
    let put = api.finish(answer.header("location"), &digest);
    let answer = api.answer(put).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(api.get(&format!("a/blobs/{digest}")).await.bytes, body);
}

#[tokio::test]
async fn push_what_is_not_right() {
    let (_registry, api) = registry(options()).await;
    let location = api.start_upload("a").await;
    let put = api.finish(&location, &Digest::sha256(b"x"));
    let answer = api.answer(put.body("y")).await;
    assert_eq!(
        (answer.status, answer.error_code()),
        (StatusCode::BAD_REQUEST, "DIGEST_INVALID".into())
    );
    let answer = api.answer(api.at(Method::GET, &location)).await;
    assert_eq!(answer.error_code(), "BLOB_UPLOAD_UNKNOWN");

    let manifest = image(&[&Digest::sha256(b"never pushed")]);
    let answer = api.put_manifest("a", "1.0", OCI_MANIFEST, &manifest).await;
    assert_eq!(
        (answer.status, answer.error_code()),
        (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN".into())
    );
    let answer = api.put_manifest("a", "1.0", OCI_MANIFEST, b"{").await;
    assert_eq!(
        (answer.status, answer.error_code()),
        (StatusCode::BAD_REQUEST, "MANIFEST_INVALID".into())
    );
    let other = Digest::sha256(b"other").to_string();
    let answer = api
        .put_manifest("a", &other, OCI_MANIFEST, &image(&[]))
        .await;
    assert_eq!(
        (answer.status, answer.error_code()),
        (StatusCode::BAD_REQUEST, "DIGEST_INVALID".into())
    );
    assert_eq!(api.get("a/tags/list").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let (_registry, api) = registry(options()).await;
    let location = api.start_upload("a").await;
    let answer = api.answer(api.at(Method::DELETE, &location)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let answer = api.answer(api.at(Method::PATCH, &location).body("x")).await;
    assert_eq!(answer.error_code(), "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn push_by_mounting() {
    let (_registry, api) = registry(options()).await;
    let blob = api.push_blob("source", b"shared").await;
    let mount = |name: &str, digest: &Digest| {
        let path = format!("{name}/blobs/uploads/?mount={digest}&from=source");
        api.request(Method::POST, &path)
    };
    let answer = api.answer(mount("target", &blob)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(
        api.get(&format!("target/blobs/{blob}")).await.text(),
        "shared"
    );

    let absent = Digest::sha256(b"absent");
    let answer = api.answer(mount("target", &absent)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let put = api.finish(answer.header("location"), &absent);
    let put = put.body("absent");
    assert_eq!(api.answer(put).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn discover_tags_page_by_page() {
    let (_registry, api) = registry(options()).await;
    for tag in ["b", "a", "d", "c"] {
        api.push_image("app", tag, &[]).await;
    }
    let answer = api.get("app/tags/list").await;
    assert_eq!(
        answer.json(),
        json!({"name": "app", "tags": ["a", "b", "c", "d"]})
    );
    assert_eq!(answer.header("link"), "");

    let mut path = "/v2/app/tags/list?n=3".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = api.answer(api.at(Method::GET, &path)).await;
        pages.push(answer.json()["tags"].clone());
        let link = answer.header("link");
        let Some(next) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
            break;
        };
        assert_eq!(next.1, "; rel=\"next\"");
        next.0.clone_into(&mut path);
    }
    assert_eq!(pages, [json!(["a", "b", "c"]), json!(["d"])]);
    let answer = api.get("app/tags/list?n=2&last=a").await;
    assert_eq!(answer.json()["tags"], json!(["b", "c"]));
    assert_eq!(api.get("app/tags/list?n=0").await.json()["tags"], json!([]));
    assert_eq!(
        api.get("_catalog").await.json(),
        json!({"repositories": ["app"]})
    );
}

#[tokio::test]
async fn discover_referrers() {
    let (_registry, api) = registry(options()).await;
    let subject = api.push_image("app", "1.0", &[]).await;
    let path = format!("app/referrers/{}", subject.digest);
    assert_eq!(api.get(&path).await.json()["manifests"], json!([]));

    let mut digests = Vec::new();
    for kind in ["application/spdx+json", "application/vnd.example.signature"] {
        let mut referrer: Value = serde_json::from_slice(&image(&[])).unwrap();
        referrer["artifactType"] = kind.into();
        referrer["annotations"] = json!({"by": "a test"});
        referrer["subject"] = layer(&subject.digest, OCI_MANIFEST);
        let bytes = referrer.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        let answer = api
            .put_manifest("app", &digest.to_string(), OCI_MANIFEST, &bytes)
            .await;
        assert_eq!(answer.header("oci-subject"), subject.digest.to_string());
        digests.push(digest);
    }
    let answer = api.get(&path).await;
    assert_eq!(answer.header("content-type"), OCI_INDEX);
    assert_eq!(answer.header("oci-filters-applied"), "");
    assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), 2);

    let answer = api
        .get(&format!("{path}?artifactType=application/spdx%2Bjson"))
        .await;
    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    let found = &answer.json()["manifests"];
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["digest"], digests[0].to_string());
    assert_eq!(found[0]["artifactType"], "application/spdx+json");
    assert_eq!(found[0]["annotations"]["by"], "a test");
}

#[tokio::test]
async fn manage_content() {
    let (_registry, api) = registry(options()).await;
    let blob = api.push_blob("app", b"layer").await;
    let manifest = api.push_image("app", "1.0", &[&blob]).await;
    api.put_manifest("app", "latest", OCI_MANIFEST, &manifest.bytes)
        .await;

    let answer = api.send(Method::DELETE, "app/manifests/1.0").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(
        api.get("app/manifests/1.0").await.error_code(),
        "MANIFEST_UNKNOWN"
    );
    assert_eq!(api.get("app/manifests/latest").await.status, StatusCode::OK);

    let path = format!("app/manifests/{}", manifest.digest);
    assert_eq!(
        api.send(Method::DELETE, &path).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(api.get(&path).await.error_code(), "MANIFEST_UNKNOWN");
    assert_eq!(api.get("app/tags/list").await.json()["tags"], json!([]));
    assert_eq!(
        api.send(Method::DELETE, &path).await.status,
        StatusCode::NOT_FOUND
    );

    let path = format!("app/blobs/{blob}");
    assert_eq!(
        api.send(Method::DELETE, &path).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(api.get(&path).await.error_code(), "BLOB_UNKNOWN");
}

#[tokio::test]
async fn an_index_names_what_is_there() {
    let (_registry, api) = registry(options()).await;
    let child = api.push_image("app", "child", &[]).await;
    let index = |digest: &Digest| {
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [layer(digest, OCI_MANIFEST)],
        })
        .to_string()
    };
    let answer = api
        .put_manifest("app", "all", OCI_INDEX, index(&child.digest).as_bytes())
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let absent = index(&Digest::sha256(b"absent"));
    let answer = api
        .put_manifest("app", "bad", OCI_INDEX, absent.as_bytes())
        .await;
    assert_eq!(answer.error_code(), "MANIFEST_BLOB_UNKNOWN");
    let answer = api.get("app/manifests/bad").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let (registry, api) = registry(options()).await;
    assert_eq!(api.get("").await.status, StatusCode::OK);
    assert_eq!(api.get("app").await.status, StatusCode::NOT_FOUND);
    let answer = api.answer(api.at(Method::GET, "/v2/App/tags/list")).await;
    assert_eq!(answer.error_code(), "NAME_INVALID");
    api.push_blob("a", b"x").await;
    let answer = api.send(Method::PUT, "a/tags/list").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    registry.stop().await;
}
