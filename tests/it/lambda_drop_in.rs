//! `Custom::CDKECRDeployment`: what the construct cdk-ecr-deployment emits, and what the function
//! makes of it in the place of the construct's own.

use std::process::Command;

use longshore::local::{BucketOptions, Environment, EnvironmentOptions};
use serde_json::{Value, json};

use crate::support::{Cloud, ECR, output, tool};

/// An index of `linux/amd64` and `linux/arm64`.
const INDEX: &str = "tests/fixtures/buildah-oci-platforms.tar";
/// Two images, one of them called `localhost/app:arm64`.
const IMAGES: &str = "tests/fixtures/podman-docker-images.tar";

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn the_fixtures_are_what_the_construct_emits() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/cdk-ecr-deployment/synth.js"
    );
    let emitted = output(
        Command::new("node")
            .arg(script)
            .env("NODE_PATH", tool("npm/node_modules")),
    );
    let emitted: Value = serde_json::from_slice(&emitted).unwrap();
    let fixtures = include_str!("../fixtures/cdk-ecr-deployment/properties.json");
    let fixtures: Value = serde_json::from_str(fixtures).unwrap();
    assert_eq!(emitted, fixtures);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_resource_of_the_construct_is_answered_in_its_way() {
    let folder = tempfile::tempdir().unwrap();
    for (name, archive) in [("index.tar", INDEX), ("images.tar", IMAGES)] {
        std::fs::copy(archive, folder.path().join(name)).unwrap();
    }
    let options = EnvironmentOptions {
        bucket: BucketOptions::folder("bucket", folder.path()),
        ..EnvironmentOptions::default()
    };
    let environment = Environment::start(options).await.unwrap();
    let (aws, bucket) = (environment.aws.base_url(), environment.bucket.base_url());
    let endpoints = [
        ("AWS_ENDPOINT_URL", aws.as_str()),
        ("AWS_ENDPOINT_URL_S3", bucket.as_str()),
    ];
    let registry = environment.registry.base_url();
    let cloud = Cloud::start(&registry, &endpoints).await;
    let digest = async |image: &str| {
        let (name, tag) = image.split_once(':').unwrap();
        let url = format!("{registry}/v2/{name}/manifests/{tag}");
        let response = reqwest::get(url).await.unwrap();
        let digest = response.headers().get("docker-content-digest")?;
        Some(digest.to_str().unwrap().to_owned())
    };
    let send = async |action: &str, id: Option<&str>, properties: &Value| {
        let mut event = json!({
            "RequestType": action,
            "ResourceType": "Custom::CDKECRDeployment",
            "ResourceProperties": properties,
        });
        if let Some(id) = id {
            event["PhysicalResourceId"] = json!(id);
        }
        cloud.send(event).await
    };
    let properties = |source: &str, destination: &str, more: Value| {
        let mut properties = json!({
            "SrcImage": source,
            "DestImage": format!("docker://{ECR}/{destination}"),
        });
        for (name, value) in more.as_object().unwrap() {
            properties[name] = value.clone();
        }
        properties
    };

    let all = json!({
        "CopyImageIndex": "true",
        "ArchImageTags": "{\"amd64\":\"1-amd64\",\"arm64\":\"1-arm64\"}",
        "RetryConfigs": "{\"numAttempts\":8,\"baseDelay\":2,\"maxDelay\":30}",
    });
    let index = properties("s3://bucket/index.tar", "index:1", all);
    let created = send("Create", None, &index).await.succeeded();
    let whole = digest("index:1").await;
    assert_eq!(whole.as_deref(), Some(created.attribute("ImageDigest")));

    let source = format!("docker://{ECR}/index:1");
    for (more, tag) in [
        (json!({}), "index:1-amd64"),
        (json!({ "ImageArch": "arm64" }), "index:1-arm64"),
    ] {
        let one = properties(&source, "one:1", more);
        send("Create", None, &one).await.succeeded();
        assert_eq!(digest("one:1").await, digest(tag).await, "{tag}");
        assert_ne!(digest(tag).await, whole);
    }

    let ambiguous = properties("s3://bucket/images.tar", "picked", json!({}));
    let failed = send("Create", None, &ambiguous).await;
    let reason = failed.failure();
    assert!(reason.contains("localhost/app:arm64"), "{reason}");
    let one = "s3://bucket/images.tar:localhost/app:arm64";
    let picked = properties(one, "picked", json!({}));
    send("Create", None, &picked).await.succeeded();
    assert!(digest("picked:latest").await.is_some());

    // A resource that the construct's own function has created.
    let id = "2024/05/01/[$LATEST]0123456789abcdef0123456789abcdef";
    let updated = send("Update", Some(id), &picked).await.succeeded();
    assert_eq!(updated.id(), id);
    let deleted = send("Delete", Some(id), &picked).await.succeeded();
    assert_eq!(deleted.id(), id);
    assert!(digest("picked:latest").await.is_some());
    cloud.log();
}
