//! Whatever happens, CloudFormation hears one answer that it can read.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Receiver, Scene, Script, uri_of};
use crate::cloudformation::{Delivery, ECR_IMAGE_PROPERTIES, Error, Handler};
use crate::content::BoxError;

#[tokio::test]
async fn the_answer_is_put_as_cloudformation_takes_it() {
    let scene = Scene::new(Script::Succeed).await;
    scene.send(json!({})).await.unwrap();
    let puts = scene.receiver.puts();
    let [put] = puts.as_slice() else {
        panic!("{} answers", puts.len())
    };
    assert_eq!(put.method, "PUT");
    assert!(scene.receiver.url().ends_with(&put.uri), "{}", put.uri);
    assert_eq!(put.headers["content-type"], "");
    assert_eq!(put.headers["content-length"], put.text.len().to_string());
    assert!(!put.headers.contains_key("authorization"));
    assert_eq!(put.body["Status"], "SUCCESS");
    assert_eq!(
        put.body["PhysicalResourceId"],
        uri_of("s3://bucket/image.tar")
    );
    assert_eq!(put.body["RequestId"], "request-1");
    assert_eq!(put.body["LogicalResourceId"], "Image");
}

#[tokio::test]
async fn a_passing_error_of_the_bucket_is_tried_again() {
    let receiver = Receiver::answering(&[500, 503]).await;
    let scene = Scene::with(Script::Succeed, receiver);
    scene.send(json!({})).await.unwrap();
    let puts = scene.receiver.puts();
    assert_eq!(puts.len(), 3);
    assert!(puts.iter().all(|put| put.text == puts[0].text));
}

#[tokio::test]
async fn a_lasting_error_of_the_bucket_is_not() {
    let receiver = Receiver::answering(&[403, 403]).await;
    let scene = Scene::with(Script::Succeed, receiver);
    let error = scene.send(json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Undelivered(_)));
    assert_eq!(scene.receiver.puts().len(), 2);
}

#[tokio::test]
async fn the_first_answer_stays() {
    // Another delivery of the event was answered.
    let scene = Scene::with(Script::Fail, Receiver::answering(&[409, 412]).await);
    scene.send(json!({})).await.unwrap();
    let puts = scene.receiver.puts();
    assert_eq!(puts.len(), 2);
    assert!(puts.iter().all(|put| put.headers["if-none-match"] == "*"));
}

#[tokio::test]
async fn a_server_that_does_not_know_the_condition_gets_the_answer_without_it() {
    for status in [400, 403, 501] {
        let scene = Scene::with(Script::Succeed, Receiver::answering(&[status]).await);
        scene.send(json!({})).await.unwrap();
        let [first, second] = <[_; 2]>::try_from(scene.receiver.puts()).ok().unwrap();
        assert_eq!(first.headers["if-none-match"], "*", "{status}");
        assert!(!second.headers.contains_key("if-none-match"), "{status}");
        assert_eq!(first.text, second.text, "{status}");
    }
}

#[tokio::test]
async fn a_page_is_no_receipt() {
    let receiver = Receiver::new().await;
    receiver.show_page(2);
    let scene = Scene::with(Script::Succeed, receiver);
    scene.send(json!({})).await.unwrap();
    assert_eq!(scene.receiver.puts().len(), 3);
}

#[tokio::test]
async fn an_answer_never_goes_in_the_clear() {
    let scene = Scene::new(Script::Succeed).await;
    let url = "http://192.0.2.1/p?X-Amz-Signature=hidden";
    let error = scene.send(json!({"ResponseURL": url})).await.unwrap_err();
    let Error::Undelivered(cause) = error else {
        panic!("{error}")
    };
    assert!(cause.to_string().contains("not https"), "{cause}");
    assert!(!cause.to_string().contains("hidden"), "{cause}");
}

#[tokio::test]
async fn an_answer_never_goes_to_the_metadata_service() {
    let scene = Scene::new(Script::Succeed).await;
    for host in ["169.254.169.254", "2852039166", "[fd00:ec2::254]"] {
        let url = format!("https://{host}/p?X-Amz-Signature=hidden");
        let error = scene.send(json!({"ResponseURL": url})).await.unwrap_err();
        let Error::Undelivered(cause) = error else {
            panic!("{error}")
        };
        assert!(cause.to_string().contains("link-local"), "{cause}");
    }
}

#[tokio::test]
async fn a_failure_names_the_image_the_cause_and_the_log() {
    let scene = Scene::new(Script::Fail).await;
    let answer = scene.answer(json!({})).await;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.starts_with(
            "Cannot deploy s3://bucket/image.tar to \
             123456789012.dkr.ecr.eu-west-1.amazonaws.com/app: access denied, add ecr:PutImage"
        ),
        "{reason}"
    );
    assert!(
        reason.ends_with("(More in /aws/lambda/images, request invocation-1.)"),
        "{reason}"
    );
    assert!(!reason.contains("hidden"), "{reason}");
    assert!(answer.get("Data").is_none());
}

#[tokio::test]
async fn a_panic_is_answered() {
    let scene = Scene::new(Script::Panic).await;
    let answer = scene.answer(json!({})).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("defect"));
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_answered_before_the_deadline() {
    for (time, reserve) in [(900, 20), (60, 6), (3, 0)] {
        let scene = Scene {
            time: Duration::from_secs(time),
            ..Scene::new(Script::Hang).await
        };
        let started = tokio::time::Instant::now();
        let answer = scene.answer(json!({})).await;
        let left = Duration::from_secs(time).saturating_sub(started.elapsed());
        assert_eq!(answer["Status"], "FAILED");
        assert!(
            left > Duration::from_secs(reserve) / 2,
            "{left:?} of {time} s"
        );
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("2.0 MiB read"), "{reason}");
        assert!(reason.contains("s3://bucket/image.tar"), "{reason}");
    }
}

#[tokio::test]
async fn malformed_properties_are_all_named() {
    let scene = Scene::new(Script::Succeed).await;
    let properties = json!({"Sorce": "x", "Destination": "app", "Retry": "often"});
    let answer = scene
        .answer(json!({"ResourceProperties": properties}))
        .await;
    let reason = answer["Reason"].as_str().unwrap();
    for part in [
        "Source is required",
        "unknown property \"Sorce\": did you mean Source?",
        "Destination: \"app\" names no registry",
        "Retry: expected a whole number from 1 to 20, got \"often\"",
    ] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_ours_is_answered() {
    let scene = Scene::new(Script::Succeed).await;
    let answer = scene
        .answer(json!({"ResourceType": "Custom::ECRImages"}))
        .await;
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("Custom::ECRImage")
    );
    let answer = scene.answer(json!({"RequestType": "Replace"})).await;
    assert!(answer["Reason"].as_str().unwrap().contains("Replace"));
    let answer = scene
        .answer(
            json!({"ResourceType": "Custom::Other", "RequestType": "Delete",
                       "PhysicalResourceId": "other"}),
        )
        .await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["PhysicalResourceId"], "other");
}

#[tokio::test]
async fn a_caller_without_a_url_gets_the_result() {
    let scene = Scene::new(Script::Succeed).await;
    let value = scene.send(json!({"ResponseURL": "..."})).await.unwrap();
    assert_eq!(value["PhysicalResourceId"], uri_of("s3://bucket/image.tar"));
    assert_eq!(value["Data"]["Region"], "eu-west-1");
    assert_eq!(value["NoEcho"], false);
    assert!(scene.receiver.puts().is_empty());

    let scene = Scene::new(Script::Fail).await;
    let error = scene.send(json!({"ResponseURL": "..."})).await.unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
}

#[tokio::test]
async fn a_framework_that_answers_itself_gets_the_result() {
    let framework = "arn:aws:lambda:eu-west-1:123456789012:function:Stack-framework-onEvent";
    let properties = json!({
        "ServiceToken": framework, "Source": "nginx:1", "Destination": "host.io/app:1",
    });
    let scene = Scene::new(Script::Succeed).await;
    let event = json!({"ResourceProperties": properties});
    let value = scene.send(event.clone()).await.unwrap();
    assert_eq!(value["Data"]["ImageTagUri"], "host.io/app:1");
    *scene.deploy.script.lock().unwrap() = Script::Fail;
    let error = scene.send(event).await.unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
    assert!(scene.receiver.puts().is_empty());
}

#[tokio::test]
async fn a_function_that_is_not_set_up_says_so() {
    let scene = Scene::new(Script::Succeed).await;
    let delivery = Delivery::new(true).unwrap();
    let scene = Scene {
        handler: Handler::not_set_up(
            BoxError::from("malformed LONGSHORE_REGISTRY_OVERRIDE"),
            delivery,
        ),
        ..scene
    };
    let answer = scene.answer(json!({})).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("environment variables: malformed LONGSHORE"),
        "{reason}"
    );
    scene.handler.idle().await;
}

#[tokio::test]
async fn a_request_that_is_wrapped_or_broken_is_answered() {
    let scene = Scene::new(Script::Succeed).await;
    let request = scene.event(json!({}));
    let broken = request.to_string().replacen('{', "{\"\\ud800\": 1, ", 1);
    for event in [
        json!([request]).to_string(),
        json!({"Records": [{"Sns": {"Message": request.to_string()}}]}).to_string(),
        broken,
    ] {
        scene.send_raw(&event).await.unwrap();
        let answer = scene.receiver.answer();
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["RequestId"], "request-1");
        assert_eq!(answer["LogicalResourceId"], "Image");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("wrapped into another"), "{reason}");
    }
    let delete = scene.event(json!({"RequestType": "Delete", "PhysicalResourceId": "i"}));
    scene.send_raw(&json!([delete]).to_string()).await.unwrap();
    let answer = scene.receiver.answer();
    assert_eq!(
        (&answer["Status"], &answer["PhysicalResourceId"]),
        (&json!("SUCCESS"), &json!("i"))
    );
}

#[tokio::test]
async fn a_test_event_explains_itself() {
    let scene = Scene::new(Script::Succeed).await;
    let event = r#"{"key1": "value1", "key2": "value2"}"#;
    let error = scene.send_raw(event).await.unwrap_err();
    assert!(error.to_string().contains("ResourceProperties"), "{error}");
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(json!("s3://bucket/key")),
        Just(json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1")),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,10}", inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Fields of an event, some as they should be and some not.
fn any_fields() -> impl Strategy<Value = Value> {
    let names: Vec<&str> = ECR_IMAGE_PROPERTIES
        .iter()
        .map(|property| property.name)
        .collect();
    let properties = prop::collection::btree_map(prop::sample::select(names), any_json(), 0..8)
        .prop_map(|map| {
            let map = map
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            Value::Object(map.collect())
        });
    let field = prop::sample::select(vec![
        "RequestType",
        "StackId",
        "RequestId",
        "LogicalResourceId",
        "ResourceType",
        "PhysicalResourceId",
        "OldResourceProperties",
    ]);
    let action = prop::sample::select(vec!["Create", "Update", "Delete"]);
    (
        action,
        properties,
        prop::collection::btree_map(field, any_json(), 0..4),
    )
        .prop_map(|(action, properties, fields)| {
            let mut event = json!({"RequestType": action, "ResourceProperties": properties});
            for (name, value) in fields {
                event[name] = value;
            }
            event
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_event_with_a_url_gets_one_readable_answer(fields in any_fields()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (put, error) = runtime.block_on(async {
            let scene = Scene::new(Script::Succeed).await;
            let error = scene.send(fields).await.err();
            (scene.receiver.puts(), error)
        });
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(put.len(), 1);
        prop_assert!(put[0].text.len() <= 4096);
        let id = put[0].body["PhysicalResourceId"].as_str().unwrap();
        prop_assert!(!id.is_empty() && id.len() <= 1024);
    }
}
