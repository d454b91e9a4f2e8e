//! An archive on a web server becomes an image.

use std::sync::Arc;

use longshore::copy::Meter;
use longshore::local::{BucketOptions, EnvironmentOptions};

use crate::support::{Archive, Bench, image};

#[tokio::test]
async fn an_archive_of_a_web_server_is_the_image_that_the_bucket_gives() {
    let bench = Bench::with(anonymous()).await;
    let staged = bench.stage("app.tar", &Archive::of(&[b"one", b"two"]).tar());
    let (from_bucket, _) = bench.deploy(&image(&staged, "app:1")).await;
    let url = bench.url("app.tar") + "?X-Amz-Signature=hunter2#example:1.0";
    let (from_web, report) = bench.deploy(&image(&url, "web:1")).await;
    assert_eq!(from_web.digest, from_bucket.digest);
    assert!(report.bytes_read > 0, "{report:?}");
}

#[tokio::test]
async fn a_host_that_the_function_does_not_list_is_refused() {
    let bench = Bench::with(anonymous()).await;
    bench.stage("app.tar", &Archive::of(&[b"one"]).tar());
    let url = bench.url("app.tar") + "?X-Amz-Signature=hunter2";
    let image = image(&url.replace("127.0.0.1", "localhost"), "app:1");
    let meter = Arc::new(Meter::default());
    let refused = bench.deployer.run(&image, &meter).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("LONGSHORE_HTTPS_SOURCES"), "{error}");
    assert!(error.contains("localhost"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// A bucket that serves unsigned requests, as any web server does.
fn anonymous() -> EnvironmentOptions {
    EnvironmentOptions {
        bucket: BucketOptions {
            anonymous: true,
            ..BucketOptions::default()
        },
        ..EnvironmentOptions::default()
    }
}
