//! The embedded object store, through AWS's own client.

use std::fs;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use longshore::local::{Bucket, BucketOptions, Fault};
use tempfile::TempDir;

struct Stage {
    bucket: Bucket,
    client: Client,
    folder: TempDir,
}

async fn stage(change: impl FnOnce(&mut BucketOptions)) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let mut options = BucketOptions::folder("stage", folder.path());
    change(&mut options);
    let bucket = Bucket::start(options).await.unwrap();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(bucket.base_url())
        .credentials_provider(Credentials::new("AKIALOCAL", "secret", None, None, "test"))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build();
    Stage {
        bucket,
        client: Client::from_conf(config),
        folder,
    }
}

impl Stage {
    fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        let get = self
            .client
            .get_object()
            .bucket("stage")
            .key(key)
            .send()
            .await
            .unwrap();
        get.body.collect().await.unwrap().to_vec()
    }

    async fn etag(&self, key: &str) -> String {
        let head = self
            .client
            .head_object()
            .bucket("stage")
            .key(key)
            .send()
            .await
            .unwrap();
        head.e_tag.unwrap()
    }
}

/// The code of a failed call.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    match result.unwrap_err() {
        SdkError::ServiceError(error) => error.err().code().unwrap_or_default().to_owned(),
        _ => "no answer".to_owned(),
    }
}

#[tokio::test]
async fn reads_objects_and_their_parts() {
    let stage = stage(|_| {}).await;
    stage.write("images/app.tar", b"0123456789");
    assert_eq!(stage.read("images/app.tar").await, b"0123456789");
    let get = || {
        stage
            .client
            .get_object()
            .bucket("stage")
            .key("images/app.tar")
    };
    let part = get().range("bytes=2-4").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"234");
    assert_eq!(code(get().range("bytes=10-").send().await), "InvalidRange");
    let head = stage
        .client
        .head_object()
        .bucket("stage")
        .key("images/app.tar");
    assert_eq!(head.send().await.unwrap().content_length(), Some(10));
    let records = stage.bucket.requests();
    assert_eq!(records[1].repository.as_deref(), Some("stage"));
    assert_eq!(
        (records[1].bytes_out, records[1].range.as_deref()),
        (3, Some("bytes=2-4"))
    );
}

#[tokio::test]
async fn any_key_that_a_file_can_have() {
    let stage = stage(|_| {}).await;
    for key in [
        "a b",
        "a+b",
        "c:d#e?f",
        "ü/…/%2e%2e",
        "a&b=c",
        "(x)'!*",
        "..hidden",
    ] {
        stage.write(key, key.as_bytes());
        assert_eq!(stage.read(key).await, key.as_bytes(), "{key}");
    }
}

#[tokio::test]
async fn nothing_outside_the_folder() {
    let stage = stage(|_| {}).await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), stage.folder.path().join("link")).unwrap();
    let get = |key: &str| stage.client.get_object().bucket("stage").key(key).send();
    assert_eq!(code(get("link/secret").await), "AccessDenied");
    assert_eq!(code(get("../secret").await), "NoSuchKey");
    let put = stage.client.put_object().bucket("stage").key("link/new");
    let put = put.body(ByteStream::from_static(b"x"));
    assert_eq!(code(put.send().await), "AccessDenied");
    assert!(!outside.path().join("new").exists());
}

#[tokio::test]
async fn says_what_is_not_there() {
    let stage = stage(|_| {}).await;
    let get = |bucket: &str| {
        stage
            .client
            .get_object()
            .bucket(bucket)
            .key("absent")
            .send()
    };
    assert_eq!(code(get("stage").await), "NoSuchKey");
    assert_eq!(code(get("nowhere").await), "NoSuchBucket");
    let head = stage.client.head_object().bucket("stage").key("absent");
    assert!(
        head.send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_changed_object_has_another_etag() {
    let stage = stage(|_| {}).await;
    stage.write("a", b"one");
    let etag = stage.etag("a").await;
    let get = || {
        stage
            .client
            .get_object()
            .bucket("stage")
            .key("a")
            .if_match(&etag)
            .send()
    };
    assert!(get().await.is_ok());
    stage.bucket.change_after("stage", "a", 2);
    assert!(get().await.is_ok());
    assert!(get().await.is_ok());
    assert_eq!(code(get().await), "PreconditionFailed");
    let seemingly = stage.etag("a").await;
    stage.write("a", b"three");
    assert!(![etag.clone(), seemingly].contains(&stage.etag("a").await));
}

#[tokio::test]
async fn versions_can_be_asked_for() {
    let stage = stage(|options| options.versions = true).await;
    stage.write("a", b"x");
    let get = || stage.client.get_object().bucket("stage").key("a");
    let version = get().send().await.unwrap().version_id.unwrap();
    assert!(get().version_id(version).send().await.is_ok());
    assert_eq!(
        code(get().version_id("other").send().await),
        "NoSuchVersion"
    );
}

#[tokio::test]
async fn refuses_who_may_not_read() {
    let stage = stage(|options| {
        options.requester_pays = true;
        options.region = Some("eu-west-1".to_owned());
    })
    .await;
    stage.write("a", b"x");
    let get = || stage.client.get_object().bucket("stage").key("a");
    assert_eq!(code(get().send().await), "AccessDenied");
    let payer = aws_sdk_s3::types::RequestPayer::Requester;
    assert!(get().request_payer(payer.clone()).send().await.is_ok());
    stage.bucket.archive("stage", "a");
    assert_eq!(
        code(get().request_payer(payer).send().await),
        "InvalidObjectState"
    );

    let url = format!("{}/stage/a", stage.bucket.base_url());
    let unsigned = reqwest::get(&url).await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 403);

    let elsewhere = stage.client.config().to_builder();
    let elsewhere = Client::from_conf(elsewhere.region(Region::new("us-west-2")).build());
    let get = elsewhere.get_object().bucket("stage").key("a");
    assert_eq!(code(get.send().await), "PermanentRedirect");
}

#[tokio::test]
async fn slows_down_and_breaks_off() {
    let stage = stage(|_| {}).await;
    stage.write("a", &vec![1; 100_000]);
    let get = || stage.client.get_object().bucket("stage").key("a").send();
    stage.bucket.faults().add(Fault::answer(503));
    stage.bucket.faults().add(Fault::cut_answer(1000));
    assert_eq!(code(get().await), "SlowDown");
    assert!(get().await.unwrap().body.collect().await.is_err());
    assert_eq!(stage.read("a").await.len(), 100_000);
}

#[tokio::test]
async fn takes_objects() {
    let stage = stage(|_| {}).await;
    let put = |body: ByteStream| {
        let put = stage.client.put_object().bucket("stage").key("new/object");
        put.body(body)
    };
    put(ByteStream::from_static(b"one")).send().await.unwrap();
    assert_eq!(stage.read("new/object").await, b"one");
    let again = put(ByteStream::from_static(b"two")).if_none_match("*");
    assert_eq!(code(again.send().await), "PreconditionFailed");

    // A body from a file is sent in chunks, with its checksum behind them.
    let large = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(large.path(), &content).unwrap();
    let body = ByteStream::from_path(large.path()).await.unwrap();
    put(body).send().await.unwrap();
    assert_eq!(stage.read("new/object").await, content);

    let wrong = put(ByteStream::from_static(b"three")).checksum_crc32("AAAAAA==");
    assert_eq!(code(wrong.send().await), "BadDigest");
    assert_eq!(stage.read("new/object").await, content);
    let delete = stage
        .client
        .delete_object()
        .bucket("stage")
        .key("new/object");
    delete.send().await.unwrap();
    assert!(!stage.folder.path().join("new/object").exists());
    assert!(!stage.folder.path().join(".longshore-uploads").exists());
}

#[tokio::test]
async fn takes_objects_in_parts() {
    let stage = stage(|_| {}).await;
    let create = stage
        .client
        .create_multipart_upload()
        .bucket("stage")
        .key("big");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let parts = [vec![1_u8; 5 << 20], vec![2_u8; 10]];
    let mut done = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(&parts) {
        let upload = stage
            .client
            .upload_part()
            .bucket("stage")
            .key("big")
            .upload_id(&id);
        let upload = upload
            .part_number(number)
            .body(part.clone().into())
            .send()
            .await;
        let etag = upload.unwrap().e_tag.unwrap();
        done = done.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    let complete = || {
        stage
            .client
            .complete_multipart_upload()
            .bucket("stage")
            .key("big")
    };
    let complete_with = |parts| complete().upload_id(&id).multipart_upload(parts).send();
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"other\"")
        .build();
    let wrong = CompletedMultipartUpload::builder().parts(wrong).build();
    assert_eq!(code(complete_with(wrong).await), "InvalidPart");
    complete_with(done.build()).await.unwrap();
    assert_eq!(stage.read("big").await, parts.concat());

    let create = stage
        .client
        .create_multipart_upload()
        .bucket("stage")
        .key("big");
    let id = create.send().await.unwrap().upload_id.unwrap();
    let abort = || {
        stage
            .client
            .abort_multipart_upload()
            .bucket("stage")
            .key("big")
            .upload_id(&id)
    };
    abort().send().await.unwrap();
    assert_eq!(code(abort().send().await), "NoSuchUpload");
}

#[tokio::test]
async fn lists_keys() {
    let stage = stage(|_| {}).await;
    for key in ["a/1", "a/2", "b", "c d"] {
        stage.write(key, b"x");
    }
    let list = || stage.client.list_objects_v2().bucket("stage");
    let page = list().send().await.unwrap();
    let keys: Vec<_> = page
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(keys, ["a/1", "a/2", "b", "c d"]);
    let page = list().delimiter("/").max_keys(2).send().await.unwrap();
    assert_eq!(page.common_prefixes()[0].prefix(), Some("a/"));
    assert_eq!(page.contents()[0].key(), Some("b"));
    let next = list()
        .delimiter("/")
        .continuation_token(page.next_continuation_token().unwrap());
    assert_eq!(next.send().await.unwrap().contents()[0].key(), Some("c d"));
    let page = list().prefix("a/").send().await.unwrap();
    assert_eq!(page.key_count(), Some(2));
}

#[tokio::test]
async fn says_where_it_is_and_how_it_encrypts() {
    let stage = stage(|options| options.region = Some("eu-west-1".to_owned())).await;
    let location = stage.client.get_bucket_location().bucket("stage");
    let location = location.send().await.unwrap();
    let region = location.location_constraint().unwrap();
    assert_eq!(region.as_str(), "eu-west-1");
    let encryption = stage.client.get_bucket_encryption().bucket("stage");
    let encryption = encryption.send().await.unwrap();
    let [rule] = encryption
        .server_side_encryption_configuration()
        .unwrap()
        .rules()
    else {
        panic!("{encryption:?}");
    };
    let default = rule.apply_server_side_encryption_by_default().unwrap();
    assert_eq!(default.sse_algorithm().as_str(), "AES256");
}
