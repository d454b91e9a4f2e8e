//! The life of who may pull: `Custom::ECRPullPolicy`, and `PullAccess` of an image.

use serde_json::{Value, json};

use super::support::{REPOSITORY, Scene, Script, properties, uri_of};
use crate::policy::Owner;

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1";

fn policy(request: &str, repository: &str, more: &Value) -> Value {
    let mut event = json!({
        "RequestType": request,
        "LogicalResourceId": "Pull",
        "ResourceType": "Custom::ECRPullPolicy",
        "ResourceProperties": {
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:images",
            "Repository": repository,
            "Principals": ["210987654321"],
        },
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn id() -> String {
    format!("{ARN}#{}", Owner::new(STACK, "Pull").id())
}

#[tokio::test]
async fn a_policy_is_named_by_its_repository_however_that_is_written() {
    let scene = Scene::new(Script::Succeed).await;
    for repository in [
        "team/app",
        ARN,
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
    ] {
        let answer = scene.answer(policy("Create", repository, &json!({}))).await;
        assert_eq!(answer["PhysicalResourceId"], id(), "{repository}");
        let data = &answer["Data"];
        assert_eq!(data["RepositoryArn"], ARN);
        assert_eq!(
            data["RepositoryUri"],
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"
        );
        assert_eq!(data["PolicyText"], "{}");
        let sids = data["Sids"].as_str().unwrap();
        assert!(sids.starts_with("LongshorePullPrincipals"), "{sids}");
    }
    let other = scene.answer(policy("Update", "other", &json!({}))).await;
    assert_ne!(other["PhysicalResourceId"], id(), "a replacement");
}

#[tokio::test]
async fn a_role_says_in_whose_account_a_name_is() {
    let scene = Scene::new(Script::Succeed).await;
    let mut event = policy("Create", "app", &json!({}));
    event["ResourceProperties"]["RoleArn"] = "arn:aws:iam::999999999999:role/policies".into();
    scene.answer(event).await;
    let (part, _) = scene.deploy.granted.lock().unwrap().pop().unwrap();
    assert_eq!(
        part.repository.to_string(),
        "999999999999.dkr.ecr.eu-west-1.amazonaws.com/app"
    );
    assert_eq!(part.access.role.unwrap().purpose, "web/Pull");
}

#[tokio::test]
async fn delete_removes_the_statements_where_they_were_made() {
    let scene = Scene::new(Script::Succeed).await;
    for properties in [
        json!({"Repository": "elsewhere", "Principals": ["*"], "RoleArn": "no role"}),
        json!("no properties"),
    ] {
        let more = json!({"PhysicalResourceId": id(), "ResourceProperties": properties});
        let answer = scene.answer(policy("Delete", "", &more)).await;
        assert_eq!(answer["Status"], "SUCCESS");
        assert_eq!(answer["PhysicalResourceId"], id());
        let part = scene.deploy.revoked.lock().unwrap().pop().unwrap();
        assert!(part.repository.to_string().ends_with("/team/app"));
        assert_eq!(part.owner, Owner::new(STACK, "Pull"));
    }
}

#[tokio::test]
async fn a_create_that_failed_is_followed_by_a_delete_that_succeeds() {
    let scene = Scene::new(Script::Fail).await;
    let failed = scene.answer(policy("Create", "team/app", &json!({}))).await;
    assert_eq!(failed["Status"], "FAILED");
    let reason = failed["Reason"].as_str().unwrap();
    assert!(reason.starts_with("Cannot grant pulls from "), "{reason}");
    let more = json!({"PhysicalResourceId": failed["PhysicalResourceId"]});
    let gone = scene.answer(policy("Delete", "team/app", &more)).await;
    assert_eq!(gone["Status"], "SUCCESS");
    let revoked = scene.deploy.revoked.lock().unwrap().len();
    assert_eq!(revoked, 1, "what it may have written is looked for");

    let more = json!({"PhysicalResourceId": id()});
    let stays = scene.answer(policy("Delete", "team/app", &more)).await;
    assert_eq!(stays["Status"], "FAILED", "what was made has to go");
}

#[tokio::test]
async fn what_cannot_be_granted_is_told() {
    let scene = Scene::new(Script::Succeed).await;
    for (repository, principals, part) in [
        ("team/app", json!(["*"]), "would let everyone"),
        ("ghcr.io/", json!(["210987654321"]), "Repository: malformed"),
        (
            "public.ecr.aws/nginx/nginx",
            json!(["210987654321"]),
            "no repository of a private ECR registry",
        ),
    ] {
        let mut event = policy("Create", repository, &json!({}));
        event["ResourceProperties"]["Principals"] = principals;
        let answer = scene.answer(event).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(part), "{reason}");
    }
    assert!(scene.deploy.granted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_resource_of_no_particular_type_is_known_by_its_properties() {
    let scene = Scene::new(Script::Succeed).await;
    let more = json!({"ResourceType": "AWS::CloudFormation::CustomResource"});
    let answer = scene.answer(policy("Create", "team/app", &more)).await;
    assert_eq!(answer["PhysicalResourceId"], id());
}

const OLD: &str = "s3://bucket/old.tar";
const NEW: &str = "s3://bucket/new.tar";

fn access(account: &str) -> Value {
    json!({"PullAccess": {"Principals": [account]}})
}

fn update(id: &str, old: &Value, new: &Value) -> Value {
    json!({
        "RequestType": "Update", "PhysicalResourceId": id,
        "OldResourceProperties": old, "ResourceProperties": new,
    })
}

#[tokio::test]
async fn an_image_that_is_replaced_keeps_who_may_pull_it() {
    let scene = Scene::new(Script::Succeed).await;
    let old = properties(OLD, access("111111111111"));
    let new = properties(NEW, access("111111111111"));
    scene.answer(json!({"ResourceProperties": old})).await;
    let answer = scene.answer(update(&uri_of(OLD), &old, &new)).await;
    assert_eq!(answer["PhysicalResourceId"], uri_of(NEW));
    assert!(scene.deploy.revoked.lock().unwrap().is_empty());
    let granted = std::mem::take(&mut *scene.deploy.granted.lock().unwrap());
    let [(before, _), (after, _)] = granted.as_slice() else {
        panic!("{granted:?}");
    };
    assert_eq!(before.repository.to_string(), REPOSITORY);

    let gone = json!({
        "RequestType": "Delete", "PhysicalResourceId": uri_of(OLD), "ResourceProperties": old,
    });
    assert_eq!(scene.answer(gone).await["Status"], "SUCCESS");
    let revoked = scene.deploy.revoked.lock().unwrap().pop().unwrap();
    assert_eq!(revoked.owner, before.owner, "the old image's statements go");
    assert_ne!(revoked.owner, after.owner, "and the new one's stay");
}

#[tokio::test]
async fn an_image_that_is_for_nobody_any_more_has_no_statements() {
    let scene = Scene::new(Script::Succeed).await;
    let (with, without) = (
        properties(OLD, access("111111111111")),
        properties(OLD, json!({})),
    );
    scene.answer(update(&uri_of(OLD), &without, &without)).await;
    assert!(scene.deploy.revoked.lock().unwrap().is_empty());
    scene.answer(update(&uri_of(OLD), &with, &without)).await;
    assert_eq!(scene.deploy.revoked.lock().unwrap().len(), 1);
    assert!(scene.deploy.granted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_image_that_the_stack_will_not_know_leaves_no_statements() {
    let scene = Scene::new(Script::FailToGrant).await;
    let image = properties(OLD, access("111111111111"));
    let failed = scene.answer(json!({"ResourceProperties": image})).await;
    assert_eq!(failed["Status"], "FAILED");
    assert_eq!(scene.deploy.revoked.lock().unwrap().len(), 1);
    scene.answer(update(&uri_of(OLD), &image, &image)).await;
    let revoked = scene.deploy.revoked.lock().unwrap().len();
    assert_eq!(revoked, 1, "what is there stays");
}

#[tokio::test]
async fn an_image_without_pull_access_never_touches_the_policy() {
    let scene = Scene::new(Script::Succeed).await;
    let image = properties(OLD, json!({"RemovalPolicy": "delete"}));
    scene.answer(json!({"ResourceProperties": image})).await;
    let gone = json!({
        "RequestType": "Delete", "PhysicalResourceId": uri_of(OLD), "ResourceProperties": image,
    });
    scene.answer(gone).await;
    assert!(scene.deploy.granted.lock().unwrap().is_empty());
    assert!(scene.deploy.revoked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn pull_access_that_cannot_be_given_is_told_before_anything_moves() {
    let scene = Scene::new(Script::Succeed).await;
    for (destination, principal, part) in [
        (
            "registry.example.com/app:1",
            "111111111111",
            "no private ECR registry",
        ),
        (
            REPOSITORY,
            "*",
            "PullAccess: Principals[0]: \"*\" would let everyone",
        ),
    ] {
        let mut image = properties(OLD, access(principal));
        image["Destination"] = destination.into();
        let answer = scene.answer(json!({"ResourceProperties": image})).await;
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(part), "{reason}");
    }
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}
