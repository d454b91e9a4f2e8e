//! The Lambda as a stack meets it: AWS's emulator runs it on CloudFormation's events, `moto` is
//! S3 and ECR's API, `docker-registry` is ECR's registry.

use std::path::Path;

use longshore::cloudformation::METRICS;
use serde_json::{Value, json};

use crate::support::{Archive, Cloud, DockerRegistry, ECR, Moto, skopeo};

const CREATE: &str = include_str!("../../events/create-tarball.json");
const UPDATE: &str = include_str!("../../events/update-tarball.json");
const DELETE: &str = include_str!("../../events/delete.json");
const EXAMPLE: &str = "events/buckets/longshore-example/example-1.0.tar";

/// A stack's surroundings: an empty account and an empty registry.
struct World {
    moto: Moto,
    registry: DockerRegistry,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        let (moto, registry) = (Moto::start(), DockerRegistry::start());
        moto.create_bucket("images").await;
        let cloud = Cloud::start(&registry.url(), &[("AWS_ENDPOINT_URL", &moto.url())]).await;
        Self {
            moto,
            registry,
            cloud,
        }
    }

    async fn stage(&self, key: &str, archive: Vec<u8>) -> String {
        self.moto.put_object("images", key, archive).await;
        format!("s3://images/{key}")
    }
}

fn image(source: &str, tag: &str) -> Value {
    json!({ "Source": source, "Destination": format!("{ECR}/example:{tag}") })
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_lives_from_create_to_delete() {
    let world = World::new().await;
    let source = world
        .stage("example.tar", std::fs::read(EXAMPLE).unwrap())
        .await;

    let first = image(&source, "1.0");
    let created = world.cloud.create(&first).await.succeeded();
    let digest = created.attribute("ImageDigest");
    assert_eq!(created.id(), format!("{ECR}/example@{digest}"));
    assert_eq!(created.attribute("ImageUri"), created.id());
    assert_eq!(
        created.attribute("ImageTagUri"),
        format!("{ECR}/example:1.0")
    );
    assert_eq!(created.attribute("Platforms"), "linux/amd64");
    assert_eq!(
        skopeo::inspect(&world.registry, "example:1.0")["Digest"],
        digest
    );

    let mut second = first.clone();
    second["Tags"] = json!(["1", "latest"]);
    let updated = world
        .cloud
        .update(created.id(), &first, &second)
        .await
        .succeeded();
    assert_eq!(updated.id(), created.id());
    for tag in ["1.0", "1", "latest"] {
        let image = format!("example:{tag}");
        assert_eq!(skopeo::inspect(&world.registry, &image)["Digest"], digest);
    }

    let deleted = world.cloud.delete(updated.id(), &second).await.succeeded();
    assert_eq!(deleted.id(), created.id());
    assert!(world.registry.manifest("example", digest).await.is_some());
    world.cloud.log();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_sample_events_are_a_life_of_an_image() {
    let world = World::new().await;
    world.moto.create_bucket("longshore-example").await;
    let archive = std::fs::read(EXAMPLE).unwrap();
    world
        .moto
        .put_object("longshore-example", "example-1.0.tar", archive)
        .await;
    for event in [CREATE, UPDATE, DELETE] {
        let event: Value = serde_json::from_str(event).unwrap();
        let id = event["PhysicalResourceId"].as_str().map(str::to_owned);
        let answer = world.cloud.send_event(event).await.succeeded();
        // Where the compressor's output has changed, the events have to follow.
        assert_eq!(id.as_deref().unwrap_or(answer.id()), answer.id());
    }
    assert!(world.registry.manifest("example", "latest").await.is_some());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn objects_are_read_by_signed_ranges() {
    let world = World::new().await;
    let source = world
        .stage("example.tar", std::fs::read(EXAMPLE).unwrap())
        .await;
    world.cloud.create(&image(&source, "1.0")).await.succeeded();
    let log = world.moto.log();
    let gets: Vec<_> = log
        .lines()
        .filter(|line| line.contains("GET /images/example.tar"))
        .collect();
    assert!(!gets.is_empty());
    assert!(gets.iter().all(|get| get.contains(" 206 ")), "{gets:?}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn each_request_is_logged_under_its_id_and_closed_by_what_it_took() {
    let world = World::new().await;
    let archive = std::fs::read(EXAMPLE).unwrap();
    let size = archive.len() as u64;
    let source = world.stage("example.tar", archive).await;
    world.cloud.create(&image(&source, "1.0")).await.succeeded();
    let lines = world.cloud.log_lines();
    for line in &lines {
        assert_eq!(line["spans"][0]["request_id"], "the-request", "{line}");
    }
    let mut closing = lines.iter().filter(|line| line["message"] == "done");
    let closed = closing.next().expect("a closing line");
    assert!(closing.next().is_none());
    assert_eq!(closed["blobs_uploaded"], 4);
    assert!(closed["bytes_read"].as_u64().unwrap() >= size, "{closed}");
    assert!(
        closed["bytes_uploaded"].as_u64().unwrap() < size,
        "{closed}"
    );
    assert!(closed["seconds_blobs"].as_f64().unwrap() > 0.0, "{closed}");
    let metrics = &closed["_aws"]["CloudWatchMetrics"][0]["Metrics"];
    assert_eq!(metrics.as_array().unwrap().len(), METRICS.len(), "{closed}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_image_is_the_one_that_skopeo_makes_of_the_archive() {
    let world = World::new().await;
    let source = world
        .stage("example.tar", std::fs::read(EXAMPLE).unwrap())
        .await;
    let created = world.cloud.create(&image(&source, "1.0")).await.succeeded();
    skopeo::copy_archive(Path::new(EXAMPLE), &world.registry, "by-skopeo:1.0");
    assert_eq!(
        skopeo::diff_ids(&world.registry, "example:1.0"),
        skopeo::diff_ids(&world.registry, "by-skopeo:1.0"),
    );
    let by_skopeo = world.registry.manifest("by-skopeo", "1.0").await.unwrap();
    assert_eq!(created.attribute("ImageId"), by_skopeo["config"]["digest"]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_same_archive_is_the_same_image_and_moves_once() {
    const UPLOAD: &str = "\"POST /v2/example/blobs/uploads/";
    let world = World::new().await;
    let source = world
        .stage("example.tar", std::fs::read(EXAMPLE).unwrap())
        .await;
    let first = world.cloud.create(&image(&source, "1.0")).await.succeeded();
    let uploads = world.registry.log().matches(UPLOAD).count();
    assert!(uploads > 0);
    let again = world.cloud.create(&image(&source, "1.0")).await.succeeded();
    assert_eq!(again.id(), first.id());
    assert_eq!(world.registry.log().matches(UPLOAD).count(), uploads);
    let elsewhere = world.cloud.create(&image(&source, "1.1")).await.succeeded();
    assert_eq!(elsewhere.id(), first.id());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_create_that_failed_is_followed_by_a_delete_that_succeeds() {
    let world = World::new().await;
    let properties = image("s3://images/missing.tar", "1.0");
    let created = world.cloud.create(&properties).await;
    assert!(created.failure().contains("s3://images/missing.tar"));
    world
        .cloud
        .delete(created.id(), &properties)
        .await
        .succeeded();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn what_cannot_be_an_image_fails_with_the_reason_and_leaves_no_tag() {
    let world = World::new().await;
    let whole = || Archive::of(&[b"one", b"two"]);
    let mut truncated = whole().tar();
    truncated.truncate(700);
    let broken = [
        ("not-a-tar", b"PK\x03\x04 is a zip".repeat(100), "not a tar"),
        ("truncated", truncated, "truncated"),
        (
            "missing-layer",
            whole().without("1/layer.tar").tar(),
            "1/layer.tar",
        ),
        (
            "no-manifest",
            whole().without("manifest.json").tar(),
            "manifest.json",
        ),
        (
            "wrong-diff-id",
            whole().corrupted("0/layer.tar").tar(),
            "diff ID",
        ),
        ("empty", Vec::new(), "empty"),
    ];
    for (name, archive, words) in broken {
        let source = world.stage(name, archive).await;
        let created = world.cloud.create(&image(&source, name)).await;
        let reason = created.failure();
        assert!(reason.contains(words), "{name}: {reason}");
        assert!(reason.contains(&source), "{name}: {reason}");
        assert!(
            world.registry.manifest("example", name).await.is_none(),
            "{name}"
        );
    }
    world.cloud.log();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn sources_that_are_not_there_are_named() {
    let world = World::new().await;
    for source in ["s3://images/missing.tar", "s3://no-such-bucket/image.tar"] {
        let created = world.cloud.create(&image(source, "1.0")).await;
        assert!(created.failure().contains(source), "{}", created.failure());
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn properties_that_make_no_sense_are_answered() {
    let world = World::new().await;
    let mut misspelt = image("s3://images/example.tar", "1.0");
    misspelt["Platform"] = json!("linux/amd64");
    let created = world.cloud.create(&misspelt).await;
    assert!(
        created.failure().contains("Platforms"),
        "{}",
        created.failure()
    );
    world
        .cloud
        .delete(created.id(), &misspelt)
        .await
        .succeeded();
}
