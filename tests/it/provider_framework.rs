//! Behind the provider framework of the CDK, which invokes the function and answers for it. The
//! framework is that of `aws-cdk-lib`, run by Node.

use longshore::local::{BucketOptions, Environment, EnvironmentOptions};
use serde_json::{Value, json};

use crate::support::{Archive, Cloud, ECR};

/// The framework's function, which stacks name as their `ServiceToken`.
const FRAMEWORK: &str = "arn:aws:lambda:us-east-1:012345678912:function:Stack-framework-onEvent";

/// An event of the resource, as CloudFormation sends it to the framework.
fn event(action: &str, id: Option<&str>, source: &str) -> Value {
    let mut event = json!({
        "RequestType": action,
        "RequestId": "the-request",
        "StackId": "arn:aws:cloudformation:us-east-1:012345678912:stack/example/1",
        "LogicalResourceId": "Image",
        "ResourceType": "Custom::ECRImage",
        "ServiceToken": FRAMEWORK,
        "ResourceProperties": {
            "ServiceToken": FRAMEWORK,
            "Source": source,
            "Destination": format!("{ECR}/example:1.0"),
        },
    });
    if let Some(id) = id {
        event["PhysicalResourceId"] = json!(id);
    }
    event
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_framework_answers_with_what_the_function_returns() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app"), Archive::of(&[b"app"]).tar()).unwrap();
    let options = EnvironmentOptions {
        bucket: BucketOptions::folder("images", folder.path()),
        ..EnvironmentOptions::default()
    };
    let environment = Environment::start(options).await.unwrap();
    let (aws, bucket) = (environment.aws.base_url(), environment.bucket.base_url());
    let endpoints = [
        ("AWS_ENDPOINT_URL", aws.as_str()),
        ("AWS_ENDPOINT_URL_S3", bucket.as_str()),
    ];
    let cloud = Cloud::start(&environment.registry.base_url(), &endpoints).await;
    let send = |action, id, source| cloud.send_by_framework(event(action, id, source));

    let created = send("Create", None, "s3://images/app").await.succeeded();
    let digest = created.attribute("ImageDigest");
    assert_eq!(created.id(), format!("{ECR}/example@{digest}"));
    assert_eq!(created.attribute("ImageUri"), created.id());

    let id = Some(created.id());
    let failed = send("Update", id, "s3://images/missing").await;
    let reason = failed.failure();
    assert!(
        reason.contains("Cannot deploy s3://images/missing"),
        "{reason}"
    );
    assert_eq!(failed.id(), created.id());
    let deleted = send("Delete", id, "s3://images/app").await.succeeded();
    assert_eq!(deleted.id(), created.id());

    let failed = send("Create", None, "s3://images/missing").await;
    assert!(failed.failure().contains("s3://images/missing"));
    send("Delete", Some(failed.id()), "s3://images/missing")
        .await
        .succeeded();
    cloud.log();
}
