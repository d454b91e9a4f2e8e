//! Create, Update, replacement, rollback, Delete.

use serde_json::{Value, json};

use crate::deploy::Credentials;

use super::support::{REPOSITORY, Scene, Script, digest_of, properties, uri_of};

const OLD: &str = "s3://bucket/old.tar";
const NEW: &str = "s3://bucket/new.tar";

fn update(old: &Value, new: &Value) -> Value {
    json!({
        "RequestType": "Update",
        "PhysicalResourceId": uri_of(OLD),
        "ResourceProperties": new,
        "OldResourceProperties": old,
    })
}

#[tokio::test]
async fn create_gives_every_attribute() {
    let scene = Scene::new(Script::Succeed).await;
    let answer = scene
        .answer(json!({"ResourceProperties": properties(OLD, json!({"Tags": ["a", "v1"]}))}))
        .await;
    let digest = digest_of(OLD).to_string();
    assert_eq!(
        answer["Data"],
        json!({
            "ImageUri": uri_of(OLD),
            "ImageTagUri": format!("{REPOSITORY}:v1"),
            "ImageDigest": digest,
            "RepositoryUri": REPOSITORY,
            "RepositoryName": "app",
            "RegistryId": "123456789012",
            "Region": "eu-west-1",
            "MediaType": "application/vnd.oci.image.manifest.v1+json",
            "SizeInBytes": "42",
            "ImageId": digest_of("config").to_string(),
            "Platforms": "linux/amd64",
        })
    );
    let image = scene.deploy.deployed.lock().unwrap().pop().unwrap();
    let tags: Vec<_> = image.targets[0]
        .tags
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tags, ["v1", "a"]);
    assert_eq!(image.known, None);
}

#[tokio::test]
async fn a_failed_create_is_deleted_without_touching_anything() {
    let scene = Scene::new(Script::Fail).await;
    let answer = scene.answer(json!({})).await;
    assert_eq!(answer["PhysicalResourceId"], "failed-create/request-1");

    let delete = scene
        .answer(json!({
            "RequestType": "Delete",
            "PhysicalResourceId": answer["PhysicalResourceId"],
            "ResourceProperties": properties(OLD, json!({"RemovalPolicy": "delete"})),
        }))
        .await;
    assert_eq!(delete["Status"], "SUCCESS");
    assert_eq!(delete["PhysicalResourceId"], "failed-create/request-1");
    assert!(scene.deploy.removed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_same_event_twice_ends_in_the_same_answer() {
    let scene = Scene::new(Script::Succeed).await;
    assert_eq!(scene.answer(json!({})).await, scene.answer(json!({})).await);
    *scene.deploy.script.lock().unwrap() = Script::Fail;
    assert_eq!(
        scene.answer(json!({})).await["PhysicalResourceId"],
        scene.answer(json!({})).await["PhysicalResourceId"]
    );
}

#[tokio::test]
async fn other_content_is_a_replacement_and_the_same_is_not() {
    let scene = Scene::new(Script::Succeed).await;
    let replaced = scene
        .answer(update(
            &properties(OLD, json!({})),
            &properties(NEW, json!({})),
        ))
        .await;
    assert_eq!(replaced["PhysicalResourceId"], uri_of(NEW));
    let kept = scene
        .answer(update(
            &properties(OLD, json!({})),
            &properties(OLD, json!({"Tags": ["more"]})),
        ))
        .await;
    assert_eq!(kept["PhysicalResourceId"], uri_of(OLD));
}

#[tokio::test]
async fn a_failed_update_keeps_the_old_id() {
    for script in [Script::Fail, Script::Panic] {
        let scene = Scene::new(script).await;
        let answer = scene
            .answer(update(
                &properties(OLD, json!({})),
                &properties(NEW, json!({})),
            ))
            .await;
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["PhysicalResourceId"], uri_of(OLD));
    }
}

#[tokio::test]
async fn an_update_that_keeps_the_content_can_do_without_its_source() {
    let scene = Scene::new(Script::Succeed).await;
    let known = |fields: Value| async {
        scene.answer(fields).await;
        scene.deploy.deployed.lock().unwrap().pop().unwrap().known
    };
    let old = properties(OLD, json!({}));
    let tagged = properties(OLD, json!({"Tags": "more"}));
    assert_eq!(known(update(&old, &tagged)).await, Some(digest_of(OLD)));
    let other = properties(NEW, json!({}));
    assert_eq!(known(update(&old, &other)).await, None);
    let refreshed = properties(OLD, json!({"Refresh": "2"}));
    assert_eq!(known(update(&old, &refreshed)).await, None);
}

#[tokio::test]
async fn delete_removes_only_where_it_is_told_to() {
    let scene = Scene::new(Script::Succeed).await;
    let delete = |more: Value| {
        json!({
            "RequestType": "Delete",
            "PhysicalResourceId": uri_of(OLD),
            "ResourceProperties": properties(OLD, more),
        })
    };
    scene.answer(delete(json!({}))).await;
    scene
        .answer(delete(json!({"RemovalPolicy": "remove"})))
        .await;
    assert!(scene.deploy.removed.lock().unwrap().is_empty());

    let more = json!({
        "RemovalPolicy": "delete", "Tags": ["a", "not a tag"], "Unknown": {},
        "PlatformTags": {"linux/arm64": "arm"}, "DestinationCredentials": "registry/login",
    });
    let answer = scene.answer(delete(more)).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["PhysicalResourceId"], uri_of(OLD));
    let removed = scene.deploy.removed.lock().unwrap().pop().unwrap();
    let tags: Vec<_> = removed.tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["v1", "a", "arm"]);
    assert_eq!(removed.digest, digest_of(OLD));
    assert_eq!(
        removed.access.credentials,
        Some(Credentials::Stored("registry/login".to_owned()))
    );
}

#[tokio::test]
async fn delete_succeeds_on_whatever_the_resource_was() {
    let scene = Scene::new(Script::Succeed).await;
    for (id, properties) in [
        ("", json!({})),
        ("some-other-id", json!({"RemovalPolicy": "delete"})),
        (uri_of(OLD).as_str(), json!("no properties")),
    ] {
        let answer = scene
            .answer(json!({
                "RequestType": "Delete", "PhysicalResourceId": id,
                "ResourceProperties": properties,
            }))
            .await;
        assert_eq!(answer["Status"], "SUCCESS", "{id}");
    }
    assert!(scene.deploy.removed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_update_that_drops_a_tag_removes_it_if_the_image_is_its_own() {
    let scene = Scene::new(Script::Succeed).await;
    let with =
        |tags: Value, policy: &str| properties(OLD, json!({"Tags": tags, "RemovalPolicy": policy}));
    scene
        .answer(update(
            &with(json!(["a", "b"]), "retain"),
            &with(json!(["a"]), "retain"),
        ))
        .await;
    assert!(scene.deploy.untagged.lock().unwrap().is_empty());
    scene
        .answer(update(
            &with(json!(["a", "b"]), "delete"),
            &with(json!(["a"]), "delete"),
        ))
        .await;
    let untagged = scene.deploy.untagged.lock().unwrap().pop().unwrap();
    let tags: Vec<_> = untagged.tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["b"]);
    assert_eq!(untagged.digest, digest_of(OLD));
}
