//! The resource of the construct `cdk-ecr-deployment`, as the construct emits it.

use serde_json::{Value, json};

use super::support::{Scene, Script};
use crate::deploy::{Credentials, Image};

/// What the construct emits (`tests/fixtures/cdk-ecr-deployment/synth.js`).
const EMITTED: &str = include_str!("../../../tests/fixtures/cdk-ecr-deployment/properties.json");

/// What CloudFormation makes of properties on the way: booleans and numbers become text.
fn as_sent(properties: &Value) -> Value {
    let properties = properties.as_object().unwrap();
    let sent = properties.iter().map(|(name, value)| {
        let value = match value {
            Value::Bool(_) | Value::Number(_) => Value::from(value.to_string()),
            other => other.clone(),
        };
        (name.clone(), value)
    });
    sent.collect()
}

/// What is deployed for a resource of the construct.
async fn deployed(resource: &str) -> Image {
    let emitted: Value = serde_json::from_str(EMITTED).unwrap();
    let scene = Scene::new(Script::Succeed).await;
    let answer = scene
        .answer(json!({
            "ResourceType": "Custom::CDKECRDeployment",
            "ResourceProperties": as_sent(&emitted[resource]),
        }))
        .await;
    assert_eq!(answer["Status"], "SUCCESS", "{resource}: {answer}");
    scene.deploy.deployed.lock().unwrap().pop().unwrap()
}

#[tokio::test]
async fn every_way_to_use_the_construct_is_understood() {
    let image = deployed("Plain").await;
    assert_eq!(image.source.to_string(), "docker.io/library/nginx:1.27");
    assert_eq!(
        image.targets[0]
            .repository
            .tagged(&image.targets[0].tags[0])
            .to_string(),
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/plain:1.27"
    );
    assert_eq!(image.platforms.unwrap()[0].to_string(), "linux/amd64");

    assert_eq!(
        deployed("Untagged").await.targets[0].tags[0].as_str(),
        "latest"
    );
    let arm = deployed("Architecture").await.platforms.unwrap();
    assert_eq!(arm[0].to_string(), "linux/arm64");

    let index = deployed("Index").await;
    assert_eq!(index.platforms, None);
    assert_eq!(index.platform_tags.len(), 2);

    let credentials = |image: Image| image.source_access.credentials.unwrap();
    let given = Credentials::basic("user", "password");
    assert_eq!(credentials(deployed("Text").await), given);
    let stored = |name: &str| Credentials::Stored(name.to_owned());
    assert_eq!(
        credentials(deployed("SecretName").await),
        stored("docker-hub")
    );
    let arn = "arn:aws:secretsmanager:us-west-2:000000000000:secret:id";
    assert_eq!(credentials(deployed("SecretArn").await), stored(arn));

    let credentials = |image: Image| image.targets[0].access.credentials.clone().unwrap();
    let given = Credentials::basic("user", "pass:word");
    assert_eq!(credentials(deployed("DestText").await), given);
    let login = stored("registry/login");
    assert_eq!(credentials(deployed("DestSecret").await), login);

    assert_eq!(deployed("Retry").await.retry.unwrap().get(), 8);
    let archive = deployed("Archive").await.source.to_string();
    assert_eq!(archive, "s3://bucket/nginx.tar");
    let selected = deployed("ArchiveRef").await.source.to_string();
    assert_eq!(selected, "s3://bucket/nginx.tar#nginx:latest");
}

#[tokio::test]
async fn the_physical_id_of_an_existing_resource_is_kept() {
    let scene = Scene::new(Script::Succeed).await;
    let id = "2024/05/01/[$LATEST]0123456789abcdef0123456789abcdef";
    let properties = json!({"SrcImage": "docker://nginx:2", "DestImage": "docker://h.io/app:2"});
    let event = |action: &str| {
        json!({
            "ResourceType": "Custom::CDKECRDeployment",
            "RequestType": action,
            "PhysicalResourceId": id,
            "ResourceProperties": properties,
            "OldResourceProperties": {"SrcImage": "docker://nginx:1", "DestImage": "docker://h.io/app:1"},
        })
    };
    let updated = scene.answer(event("Update")).await;
    assert_eq!(updated["Status"], "SUCCESS");
    assert_eq!(updated["PhysicalResourceId"], id);
    assert!(updated["Data"]["ImageDigest"].is_string());

    let deleted = scene.answer(event("Delete")).await;
    assert_eq!(deleted["Status"], "SUCCESS");
    assert_eq!(deleted["PhysicalResourceId"], id);
    assert!(scene.deploy.removed.lock().unwrap().is_empty());

    *scene.deploy.script.lock().unwrap() = Script::Fail;
    let failed = scene.answer(event("Update")).await;
    assert_eq!(failed["Status"], "FAILED");
    assert_eq!(failed["PhysicalResourceId"], id);
    let reason = failed["Reason"].as_str().unwrap();
    assert!(
        reason.starts_with("Cannot deploy docker.io/library/nginx:2 to h.io/app"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_new_resource_gets_an_id_that_no_update_changes() {
    let scene = Scene::new(Script::Succeed).await;
    let properties = json!({"SrcImage": "docker://nginx:2", "DestImage": "docker://h.io/app:2"});
    let event = json!({
        "ResourceType": "Custom::CDKECRDeployment", "ResourceProperties": properties,
    });
    let created = scene.answer(event.clone()).await;
    assert_eq!(
        created["PhysicalResourceId"],
        "cdk-ecr-deployment/request-1"
    );
    assert_eq!(scene.answer(event).await, created);
}
