//! The life of an image in a stack, up to its end and back: AWS's emulator runs the Lambda, and
//! the stand-ins of S3, ECR's registry and ECR's API share one state.

use longshore::local::{BucketOptions, Environment, EnvironmentOptions, RegistryOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Archive, Cloud, DockerRegistry, ECR, Moto, Stack};

struct World {
    folder: TempDir,
    environment: Environment,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A world whose registry is set up by `set`.
    async fn with(set: impl FnOnce(&mut RegistryOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = EnvironmentOptions {
            bucket: BucketOptions::folder("images", folder.path()),
            ..EnvironmentOptions::default()
        };
        set(&mut options.registry);
        let environment = Environment::start(options).await.unwrap();
        Self {
            cloud: cloud(&environment, &environment.registry.base_url()).await,
            environment,
            folder,
        }
    }

    /// Puts an archive of one layer into the bucket.
    fn stage(&self, name: &str) -> String {
        let archive = Archive::of(&[name.as_bytes()]).tar();
        self.stage_bytes(name, &archive)
    }

    fn stage_bytes(&self, name: &str, archive: &[u8]) -> String {
        std::fs::write(self.folder.path().join(name), archive).unwrap();
        format!("s3://images/{name}")
    }

    fn unstage(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// The ID of the image that a tag names.
    async fn named(&self, tag: &str) -> Option<String> {
        let digest = self.digest_of("example", tag).await?;
        Some(format!("{ECR}/example@{digest}"))
    }

    async fn is_there(&self, id: &str) -> bool {
        let (_, digest) = id.split_once('@').unwrap();
        self.digest_of("example", digest).await.is_some()
    }

    async fn digest_of(&self, repository: &str, reference: &str) -> Option<String> {
        let registry = self.environment.registry.base_url();
        let url = format!("{registry}/v2/{repository}/manifests/{reference}");
        let response = reqwest::get(url).await.unwrap();
        let digest = response.headers().get("docker-content-digest")?;
        Some(digest.to_str().unwrap().to_owned())
    }

    async fn tags(&self) -> Vec<String> {
        let registry = self.environment.registry.base_url();
        let url = format!("{registry}/v2/example/tags/list");
        let list = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        serde_json::from_value(list["tags"].clone()).unwrap_or_default()
    }
}

/// The function, with ECR's registry here and all else of AWS in `environment`.
async fn cloud(environment: &Environment, registry: &str) -> Cloud {
    let (aws, bucket) = (environment.aws.base_url(), environment.bucket.base_url());
    let endpoints = [
        ("AWS_ENDPOINT_URL", aws.as_str()),
        ("AWS_ENDPOINT_URL_S3", bucket.as_str()),
    ];
    Cloud::start(registry, &endpoints).await
}

fn image(source: &str, tag: &str) -> Value {
    json!({ "Source": source, "Destination": format!("{ECR}/example:{tag}") })
}

fn removed(mut image: Value) -> Value {
    image["RemovalPolicy"] = json!("delete");
    image
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_replaced_image_goes_when_the_update_is_over_and_the_last_with_the_stack() {
    let world = World::new().await;
    let old = removed(image(&world.stage("old.tar"), "1.0"));
    let new = removed(image(&world.stage("new.tar"), "1.1"));
    let mut stack = Stack::create(&world.cloud, &old).await;
    let first = stack.id().to_owned();
    stack.update(&new).await.succeeded();
    assert!(world.is_there(&first).await, "until the update is over");
    stack.finish().await;
    assert!(!world.is_there(&first).await);
    assert!(world.is_there(stack.id()).await);
    assert_eq!(world.tags().await, ["1.1"]);
    stack.delete().await;
    assert_eq!(world.tags().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_retained_image_stays_as_it_was() {
    let world = World::new().await;
    let mut stack = Stack::create(&world.cloud, &image(&world.stage("old.tar"), "1")).await;
    let first = stack.id().to_owned();
    let moved = image(&world.stage("new.tar"), "1");
    stack.update(&moved).await.succeeded();
    stack.finish().await;
    assert!(world.is_there(&first).await);
    assert_eq!(world.tags().await, ["1"]);
    stack.delete().await;
    assert_eq!(world.tags().await, ["1"]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_event_delivered_twice_at_once_ends_in_one_state() {
    let world = World::with(|registry| registry.immutable_tags = true).await;
    let registry = world.environment.registry.base_url();
    let other = cloud(&world.environment, &registry).await;
    let both = async |event: &Value| {
        let (one, two) = tokio::join!(world.cloud.send(event.clone()), other.send(event.clone()));
        assert_eq!(one, two);
        one
    };
    let old = removed(image(&world.stage("old"), "1"));
    let created = json!({ "RequestType": "Create", "ResourceProperties": old });
    let created = both(&created).await.succeeded();
    let new = removed(image(&world.stage("new"), "2"));
    let updated = json!({
        "RequestType": "Update",
        "PhysicalResourceId": created.id(),
        "OldResourceProperties": old,
        "ResourceProperties": new,
    });
    let updated = both(&updated).await.succeeded();
    for (id, properties, left) in [
        (created.id(), &old, vec!["2"]),
        (updated.id(), &new, vec![]),
    ] {
        let deleted = json!({
            "RequestType": "Delete",
            "PhysicalResourceId": id,
            "ResourceProperties": properties,
        });
        both(&deleted).await.succeeded();
        assert_eq!(world.tags().await, left);
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_update_is_rolled_back_without_the_old_source() {
    let world = World::new().await;
    let cases = [
        ("other tag", image("s3://images/old", "1.0"), "1.1"),
        (
            "the tag that the update moved",
            image("s3://images/old", "latest"),
            "latest",
        ),
        (
            "no tag",
            json!({"Source": "s3://images/old", "Destination": format!("{ECR}/example")}),
            "",
        ),
    ];
    for (what, old, tag) in cases {
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        world.stage("old");
        let mut stack = Stack::create(&world.cloud, &old).await;
        let first = stack.id().to_owned();
        let mut new = old.clone();
        new["Source"] = json!(world.stage("new"));
        if let Some(tag) = tag {
            new["Destination"] = json!(format!("{ECR}/example:{tag}"));
        }
        let replaced = stack.update(&new).await.succeeded();
        assert_ne!(replaced.id(), first, "{what}");
        world.unstage("old");
        stack.roll_back().await.succeeded();
        assert_eq!(stack.id(), first, "{what}");
        if let Some((_, tag)) = old["Destination"].as_str().unwrap().rsplit_once(':') {
            assert_eq!(world.named(tag).await, Some(first), "{what}");
        }
        let tags = world.tags().await;
        assert!(
            !tags.iter().any(|tag| tag.contains("rollback")),
            "{what}: {tags:?}"
        );
        stack.delete().await;
    }
    assert!(world.cloud.log().contains("the image is there from before"));
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_failed_update_is_rolled_back_without_the_old_source() {
    let world = World::new().await;
    let old = image(&world.stage("old"), "latest");
    let mut stack = Stack::create(&world.cloud, &old).await;
    let first = stack.id().to_owned();
    world.unstage("old");
    let failed = stack.update(&image("s3://images/missing", "latest")).await;
    assert!(failed.failure().contains("s3://images/missing"));
    stack.roll_back().await.succeeded();
    assert_eq!(stack.id(), first);
    assert_eq!(world.named("latest").await, Some(first.clone()));

    let failed = stack.update(&image("s3://images/missing", "latest")).await;
    assert!(failed.failure().contains("s3://images/missing"), "again");
    stack.roll_back().await.succeeded();
    stack.delete().await;
    let tags = world.tags().await;
    assert_eq!(tags, ["latest"]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_tag_that_is_there_is_no_evidence_for_a_source_that_is_not() {
    let world = World::new().await;
    let staging = image(&world.stage("app"), "staging");
    Stack::create(&world.cloud, &image(&world.stage("other"), "prod")).await;
    let mut stack = Stack::create(&world.cloud, &staging).await;
    let promoted = stack.update(&image("s3://images/misspelt", "prod")).await;
    assert!(promoted.failure().contains("s3://images/misspelt"));
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn where_tags_are_immutable_an_update_is_rolled_back_all_the_same() {
    let world = World::with(|registry| registry.immutable_tags = true).await;
    let mut stack = Stack::create(&world.cloud, &image(&world.stage("1"), "1")).await;
    stack
        .update(&image(&world.stage("2"), "2"))
        .await
        .succeeded();
    stack.finish().await;
    let second = stack.id().to_owned();
    let failed = stack.update(&image("s3://images/missing", "3")).await;
    failed.failure();
    stack.roll_back().await.succeeded();
    stack
        .update(&image(&world.stage("4"), "4"))
        .await
        .succeeded();
    world.unstage("2");
    stack.roll_back().await.succeeded();
    assert_eq!(stack.id(), second);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_index_is_rolled_back_with_the_tags_of_its_platforms() {
    let world = World::new().await;
    let archive = std::fs::read("tests/fixtures/buildah-oci-platforms.tar").unwrap();
    let mut old = image(&world.stage_bytes("old", &archive), "latest");
    old["PlatformTags"] = json!({ "linux/arm64": "arm" });
    let mut stack = Stack::create(&world.cloud, &old).await;
    let (first, arm) = (stack.id().to_owned(), world.named("arm").await);
    assert!(arm.is_some());
    let mut new = old.clone();
    new["Source"] = json!(world.stage("new"));
    new["PlatformTags"] = json!({ "linux/amd64": "arm" });
    stack.update(&new).await.succeeded();
    assert_ne!(world.named("arm").await, arm);
    world.unstage("old");
    stack.roll_back().await.succeeded();
    assert_eq!(stack.id(), first);
    assert_eq!(world.named("latest").await, Some(first));
    assert_eq!(world.named("arm").await, arm);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_of_a_registry_is_rolled_back_when_its_tag_is_gone() {
    let world = World::new().await;
    let seed = |source: &str, tag: &str| json!({ "Source": source, "Destination": format!("{ECR}/upstream:{tag}") });
    let seeded = Stack::create(&world.cloud, &seed(&world.stage("1"), "1")).await;
    Stack::create(&world.cloud, &seed(&world.stage("2"), "2")).await;
    let upstream = |tag: &str| image(&format!("{ECR}/upstream:{tag}"), "latest");
    let mut stack = Stack::create(&world.cloud, &upstream("1")).await;
    let first = stack.id().to_owned();
    stack.update(&upstream("2")).await.succeeded();
    let (_, digest) = seeded.id().split_once('@').unwrap();
    let url = format!(
        "{}/v2/upstream/manifests/{digest}",
        world.environment.registry.base_url()
    );
    let deleted = reqwest::Client::new().delete(url).send().await.unwrap();
    assert!(deleted.status().is_success());
    stack.roll_back().await.succeeded();
    assert_eq!(stack.id(), first);
    assert_eq!(world.named("latest").await, Some(first));
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_part_of_what_goes_that_replaces_it_stays() {
    let world = World::new().await;
    let archive = std::fs::read("tests/fixtures/buildah-oci-platforms.tar").unwrap();
    let source = world.stage_bytes("index", &archive);
    for destination in ["example:latest", "example"] {
        let whole = json!({
            "Source": source,
            "Destination": format!("{ECR}/{destination}"),
            "RemovalPolicy": "delete",
        });
        let mut part = whole.clone();
        part["Platforms"] = json!(["linux/arm64"]);
        let mut stack = Stack::create(&world.cloud, &whole).await;
        let index = stack.id().to_owned();
        stack.update(&part).await.succeeded();
        stack.finish().await;
        assert!(world.is_there(stack.id()).await, "{destination}");
        assert!(!world.is_there(&index).await, "{destination}");

        let single = stack.id().to_owned();
        stack.update(&whole).await.succeeded();
        stack.finish().await;
        assert!(world.is_there(stack.id()).await, "{destination}");
        assert!(
            world.is_there(&single).await,
            "{destination}: the index needs it"
        );

        stack.update(&part).await.succeeded();
        stack.roll_back().await.succeeded();
        assert!(
            world.is_there(&single).await,
            "{destination}: the index needs it"
        );
        stack.delete().await;
        assert!(!world.is_there(&single).await, "{destination}");
    }
    assert_eq!(world.tags().await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_named_by_its_digest_needs_no_source_once_it_is_there() {
    let world = World::new().await;
    let at = Stack::create(&world.cloud, &image(&world.stage("1"), "1")).await;
    let (_, digest) = at.id().split_once('@').unwrap();
    let pinned = image(&format!("{ECR}/no-such-repository@{digest}"), "2");
    let stack = Stack::create(&world.cloud, &pinned).await;
    assert_eq!(stack.id(), at.id());
    assert_eq!(world.named("2").await.as_deref(), Some(at.id()));
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn where_nothing_can_be_removed_an_update_is_rolled_back_all_the_same() {
    let world = World::new().await;
    // `moto` has no such repository, and so removes nothing from it.
    let (registry, moto) = (DockerRegistry::start(), Moto::start());
    let bucket = world.environment.bucket.base_url();
    let moto = moto.url();
    let endpoints = [
        ("AWS_ENDPOINT_URL", moto.as_str()),
        ("AWS_ENDPOINT_URL_S3", bucket.as_str()),
    ];
    let cloud = Cloud::start(&registry.url(), &endpoints).await;
    let mut stack = Stack::create(&cloud, &image(&world.stage("1"), "latest")).await;
    let first = stack.id().to_owned();
    for new in ["2", "3"] {
        let new = image(&world.stage(new), "latest");
        stack.update(&new).await.succeeded();
        world.unstage("1");
        stack.roll_back().await.succeeded();
        assert_eq!(stack.id(), first);
        world.stage("1");
    }
    let log = cloud.log();
    assert!(log.contains("what was noted for a rollback stays"), "{log}");
}
