//! A resource with several destinations: what its Create, Updates and Delete mean for each.

use serde_json::{Value, json};

use super::support::{REPOSITORY, Scene, Script, digest_of};
use crate::deploy::{PushedImage, Target};

const SOURCE: &str = "s3://bucket/image.tar";
const FOREIGN: &str = "210987654321.dkr.ecr.us-west-2.amazonaws.com/app";
const THIRD: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app";
const ROLE: &str = "arn:aws:iam::210987654321:role/push";

fn foreign() -> Value {
    json!({
        "Destination": format!("{FOREIGN}:west"), "Tags": ["own", "all"],
        "RoleArn": ROLE, "ExternalId": "id", "Credentials": "registry/login",
    })
}

fn properties(destinations: &Value, more: Value) -> Value {
    let mut properties = json!({
        "Source": SOURCE, "Destination": format!("{REPOSITORY}:v1"),
        "Destinations": destinations, "Tags": ["all"], "RemovalPolicy": "delete",
    });
    if let Value::Object(more) = more {
        for (name, value) in more {
            properties[name] = value;
        }
    }
    properties
}

fn update(old: &Value, new: &Value) -> Value {
    let first = old["Destination"].as_str();
    let first = first.map_or(FOREIGN, |first| first.trim_end_matches(":v1"));
    json!({
        "RequestType": "Update",
        "PhysicalResourceId": format!("{first}@{}", digest_of(SOURCE)),
        "OldResourceProperties": old,
        "ResourceProperties": new,
    })
}

fn tags(target: &Target) -> Vec<&str> {
    target.tags.iter().map(crate::oci::Tag::as_str).collect()
}

fn repositories(pushed: &[PushedImage]) -> Vec<String> {
    let repositories = pushed.iter().map(|pushed| pushed.repository.to_string());
    repositories.collect()
}

#[tokio::test]
async fn each_destination_is_reached_in_its_own_way_and_has_its_own_tags() {
    let scene = Scene::new(Script::Succeed).await;
    let wanted = properties(
        &json!([foreign(), THIRD]),
        json!({"DestinationRoleArn": ROLE}),
    );
    let answer = scene.answer(json!({"ResourceProperties": wanted})).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let digest = digest_of(SOURCE);
    assert_eq!(
        answer["PhysicalResourceId"],
        format!("{REPOSITORY}@{digest}")
    );
    let data = &answer["Data"];
    assert_eq!(
        data["Destinations.0.ImageUri"],
        format!("{FOREIGN}@{digest}")
    );
    assert_eq!(data["Destinations.1.ImageUri"], format!("{THIRD}@{digest}"));
    assert_eq!(data["ImageTagUri"], format!("{REPOSITORY}:v1"));

    let image = scene.deploy.deployed.lock().unwrap().pop().unwrap();
    let [first, second, third] = image.targets.as_slice() else {
        panic!("{:?}", image.targets)
    };
    assert_eq!(tags(first), ["v1", "all"]);
    assert_eq!(tags(second), ["west", "own", "all"]);
    assert_eq!(tags(third), ["all"]);
    for (target, external_id) in [(first, None), (second, Some("id"))] {
        let role = target.access.role.as_ref().unwrap();
        assert_eq!(role.arn, ROLE);
        assert_eq!(role.external_id.as_deref(), external_id);
        assert_eq!(role.purpose, "web/Image", "what an auditor sees");
    }
    assert_eq!(third.access, crate::deploy::Access::default());
}

#[tokio::test]
async fn the_first_of_a_list_is_what_the_image_is_called_by() {
    let scene = Scene::new(Script::Succeed).await;
    let wanted = json!({"Source": SOURCE, "Destinations": [foreign(), THIRD]});
    let answer = scene.answer(json!({"ResourceProperties": wanted})).await;
    let uri = format!("{FOREIGN}@{}", digest_of(SOURCE));
    assert_eq!(answer["PhysicalResourceId"], uri);
    assert_eq!(answer["Data"]["Destinations.0.ImageUri"], uri);
    assert_eq!(answer["Data"]["ImageTagUri"], format!("{FOREIGN}:west"));
}

#[tokio::test]
async fn pull_access_is_granted_everywhere_and_taken_from_what_is_left() {
    let scene = Scene::new(Script::Succeed).await;
    let access = json!({"PullAccess": {"Principals": ["333333333333"]}});
    let old = properties(&json!([foreign(), THIRD]), access.clone());
    scene.answer(json!({"ResourceProperties": old})).await;
    let granted = std::mem::take(&mut *scene.deploy.granted.lock().unwrap());
    let named: Vec<_> = granted
        .iter()
        .map(|(part, _)| part.repository.to_string())
        .collect();
    assert_eq!(named, [REPOSITORY, FOREIGN, THIRD]);
    assert_eq!(granted[1].0.access.role.as_ref().unwrap().arn, ROLE);

    let new = properties(&json!([THIRD]), access);
    let answer = scene.answer(update(&old, &new)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let revoked = std::mem::take(&mut *scene.deploy.revoked.lock().unwrap());
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].repository.to_string(), FOREIGN);
    assert_eq!(
        revoked[0].owner, granted[1].0.owner,
        "the statements of before"
    );

    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": answer["PhysicalResourceId"],
        "ResourceProperties": new,
    });
    scene.answer(delete).await;
    let revoked = scene.deploy.revoked.lock().unwrap();
    let named: Vec<_> = revoked
        .iter()
        .map(|part| part.repository.to_string())
        .collect();
    assert_eq!(named, [REPOSITORY, THIRD]);
}

#[tokio::test]
async fn a_grant_that_fails_leaves_no_statements_anywhere() {
    let scene = Scene::new(Script::FailToGrant).await;
    let access = json!({"PullAccess": {"Principals": ["333333333333"]}});
    let wanted = properties(&json!([foreign()]), access);
    let answer = scene.answer(json!({"ResourceProperties": wanted})).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(scene.deploy.granted.lock().unwrap().len(), 1);
    assert_eq!(scene.deploy.revoked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn delete_removes_the_image_from_all() {
    let scene = Scene::new(Script::Succeed).await;
    let wanted = properties(
        &json!([foreign(), {"Destination": "not a reference"}, 7, THIRD]),
        json!({"PlatformTags": {"linux/arm64": "arm"}}),
    );
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": format!("{REPOSITORY}@{}", digest_of(SOURCE)),
        "ResourceProperties": wanted,
    });
    let answer = scene.answer(delete).await;
    assert_eq!(answer["Status"], "SUCCESS");
    let removed = std::mem::take(&mut *scene.deploy.removed.lock().unwrap());
    assert_eq!(repositories(&removed), [REPOSITORY, FOREIGN, THIRD]);
    assert!(
        removed
            .iter()
            .all(|pushed| pushed.digest == digest_of(SOURCE))
    );
    let names: Vec<_> = removed[1].tags.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["west", "own", "all", "arm"]);
    assert_eq!(
        removed[1].access.role.as_ref().unwrap().purpose,
        "web/Image"
    );
}

#[tokio::test]
async fn a_delete_that_fails_at_one_tries_the_others() {
    let scene = Scene::new(Script::Fail).await;
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": format!("{REPOSITORY}@{}", digest_of(SOURCE)),
        "ResourceProperties": properties(&json!([FOREIGN, THIRD]), json!({})),
    });
    let answer = scene.answer(delete).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains(REPOSITORY));
    assert_eq!(scene.deploy.removed.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_update_leaves_what_it_no_longer_wants() {
    let scene = Scene::new(Script::Succeed).await;
    let old = properties(&json!([foreign(), THIRD]), json!({}));
    let mut fewer_tags = foreign();
    fewer_tags["Tags"] = json!(["all"]);
    let new = properties(&json!([fewer_tags]), json!({}));
    let answer = scene.answer(update(&old, &new)).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let untagged = std::mem::take(&mut *scene.deploy.untagged.lock().unwrap());
    assert_eq!(repositories(&untagged), [FOREIGN]);
    let names: Vec<_> = untagged[0].tags.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["own"]);
    let removed = std::mem::take(&mut *scene.deploy.removed.lock().unwrap());
    assert_eq!(repositories(&removed), [THIRD]);

    let retained = json!({"RemovalPolicy": "retain"});
    let old = properties(&json!([foreign(), THIRD]), retained.clone());
    let new = properties(&json!([]), retained);
    scene.answer(update(&old, &new)).await;
    assert!(scene.deploy.removed.lock().unwrap().is_empty());
    assert!(scene.deploy.untagged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_left_before_all_else_is_done() {
    let scene = Scene::new(Script::FailToGrant).await;
    let access = json!({"PullAccess": {"Principals": ["333333333333"]}});
    let old = properties(&json!([foreign(), THIRD]), access.clone());
    let new = properties(&json!([THIRD]), access);
    let answer = scene.answer(update(&old, &new)).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(scene.deploy.removed.lock().unwrap().is_empty());
    assert!(scene.deploy.revoked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_same_image_under_another_first_name_would_be_taken_away() {
    let scene = Scene::new(Script::Succeed).await;
    let old = properties(&json!([FOREIGN]), json!({}));
    let mut swapped = properties(&json!([REPOSITORY]), json!({}));
    swapped["Destination"] = json!(FOREIGN);
    let answer = scene.answer(update(&old, &swapped)).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("keep the first destination"), "{reason}");
    assert_eq!(
        answer["PhysicalResourceId"],
        format!("{REPOSITORY}@{}", digest_of(SOURCE)),
        "what works is not deleted"
    );

    let elsewhere = {
        let mut properties = properties(&json!([]), json!({}));
        properties["Destination"] = json!(THIRD);
        properties
    };
    let answer = scene.answer(update(&old, &elsewhere)).await;
    assert_eq!(answer["Status"], "SUCCESS", "nothing is shared");
    swapped["Source"] = json!("s3://bucket/other.tar");
    let answer = scene.answer(update(&old, &swapped)).await;
    assert_eq!(
        answer["Status"], "SUCCESS",
        "other content has other digests"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_destination_is_told_by_its_place_in_the_list() {
    let scene = Scene::new(Script::Succeed).await;
    let long = format!("{FOREIGN}/{}", "x".repeat(180));
    let many: Vec<String> = (0..17).map(|n| format!("{THIRD}/{n}")).collect();
    let lengthy: Vec<String> = (0..10).map(|n| format!("{long}{n}")).collect();
    for (destinations, more, expected) in [
        (
            json!([{"Tags": ["a"]}]),
            json!({}),
            "Destinations[0]: Destination is required",
        ),
        (
            json!([{"Destination": FOREIGN, "Role": ROLE}]),
            json!({}),
            "Destinations[0]: unknown property \"Role\": did you mean RoleArn?",
        ),
        (
            json!([FOREIGN, {"Destination": FOREIGN}]),
            json!({}),
            "Destinations[1]: 210987654321.dkr.ecr.us-west-2.amazonaws.com/app is a destination \
             already",
        ),
        (json!([REPOSITORY]), json!({}), "is a destination already"),
        (
            json!(["app:1"]),
            json!({}),
            "Destinations[0]: \"app:1\" names no registry",
        ),
        (
            json!([["a"]]),
            json!({}),
            "Destinations[0]: expected a text or a map",
        ),
        (
            json!([{"Destination": FOREIGN, "ExternalId": "x"}]),
            json!({}),
            "Destinations[0]: ExternalId: it needs RoleArn beside it",
        ),
        (
            json!(many),
            json!({}),
            "expected at most 16 destinations, got 17",
        ),
        (json!(lengthy), json!({}), "Destinations: their URIs take"),
        (
            json!([]),
            json!({"Destination": null}),
            "Destination: it is required",
        ),
        (
            json!([FOREIGN]),
            json!({"Destination": null, "DestinationRoleArn": ROLE}),
            "DestinationRoleArn: it is for Destination",
        ),
        (
            json!(["ghcr.io/team/app"]),
            json!({"PullAccess": {"Principals": ["333333333333"]}}),
            "PullAccess: ghcr.io/team/app is in no private ECR registry",
        ),
    ] {
        let wanted = properties(&destinations, more);
        let answer = scene.answer(json!({"ResourceProperties": wanted})).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{expected} in {reason}");
    }
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_answer_has_room_for_every_uri() {
    let scene = Scene::new(Script::Succeed).await;
    let destinations: Vec<String> = (0..12).map(|n| format!("{FOREIGN}-{n:02}")).collect();
    let wanted = properties(&json!(destinations), json!({}));
    let answer = scene.answer(json!({"ResourceProperties": wanted})).await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    for (position, destination) in destinations.iter().enumerate() {
        let uri = &answer["Data"][format!("Destinations.{position}.ImageUri")];
        assert_eq!(*uri, format!("{destination}@{}", digest_of(SOURCE)));
    }
}
