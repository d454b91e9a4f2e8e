//! What is heard of invocations that failed as a whole: the function gets Lambda's record of them.

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use super::lines::{Lines, follow};
use super::support::{Receiver, Scene, Script};
use crate::cloudformation::log_subscriber;

const OUT_OF_MEMORY: &str = "RequestId: 1 Error: Runtime exited with error: signal: killed";

/// The batch of the queue with Lambda's record of an invocation for `event`.
fn record_of(event: &Value) -> Value {
    let record = json!({
        "requestContext": {"requestId": "invocation-0", "condition": "RetriesExhausted"},
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {
            "errorType": "Runtime.OutOfMemory", "errorMessage": OUT_OF_MEMORY,
        },
    });
    batch(&record.to_string())
}

fn batch(body: &str) -> Value {
    json!({"Records": [{"messageId": "message-1", "eventSource": "aws:sqs", "body": body}]})
}

async fn send(scene: &Scene, event: &Value) -> Value {
    scene.send_raw(&event.to_string()).await.unwrap()
}

#[tokio::test]
async fn a_record_is_answered_and_starts_nothing() {
    let scene = Scene::new(Script::Succeed).await;
    for (request, id) in [("Create", ""), ("Update", "old"), ("Delete", "old")] {
        let event = scene.event(json!({"RequestType": request, "PhysicalResourceId": id}));
        let returned = send(&scene, &record_of(&event)).await;
        assert_eq!(returned, json!({"batchItemFailures": []}));
        let answer = scene.receiver.answer();
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["RequestId"], "request-1");
        let expected = if id.is_empty() {
            "failed-create/request-1"
        } else {
            id
        };
        assert_eq!(answer["PhysicalResourceId"], expected);
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("ran out of memory"), "{reason}");
        assert!(reason.contains("request invocation-0"), "{reason}");
    }
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_record_of_a_later_invocation_is_answered_too() {
    let scene = Scene::new(Script::Succeed).await;
    let event = scene.event(json!({"LongshoreContinuation": {
        "invocation": 3, "startedAt": 1, "blobs": 2, "checkpoint": {},
    }}));
    send(&scene, &record_of(&event)).await;
    assert_eq!(scene.receiver.answer()["Status"], "FAILED");
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_answered_before_is_done() {
    let scene = Scene::with(Script::Succeed, Receiver::answering(&[412]).await);
    let returned = send(&scene, &record_of(&scene.event(json!({})))).await;
    assert_eq!(returned, json!({"batchItemFailures": []}));
    assert_eq!(scene.receiver.puts().len(), 1);
}

/// The closing lines of a record whose answer CloudFormation takes by these statuses.
async fn closing_lines(statuses: &[u16]) -> Vec<Value> {
    let lines = Lines::default();
    let subscriber = log_subscriber(LevelFilter::INFO, true, lines.clone());
    let _guard = follow(subscriber);
    let scene = Scene::with(Script::Succeed, Receiver::answering(statuses).await);
    send(&scene, &record_of(&scene.event(json!({})))).await;
    let mut lines = lines.parsed();
    lines.retain(|line| line.get("_aws").is_some());
    lines
}

#[tokio::test]
async fn a_record_counts_as_a_failure_once_it_is_answered() {
    let lines = closing_lines(&[]).await;
    let [line] = lines.as_slice() else {
        panic!("not one line of metrics: {lines:?}")
    };
    assert_eq!(line["message"], "done");
    assert_eq!(line["failed"], 1);
    assert_eq!(line["bytes_read"], 0);
    // The invocation itself has counted what was answered before, and a record that comes again
    // will be counted then.
    assert!(closing_lines(&[412]).await.is_empty());
    assert!(closing_lines(&[403, 403]).await.is_empty());
}

#[tokio::test]
async fn a_record_whose_answer_is_refused_comes_again() {
    let scene = Scene::with(Script::Succeed, Receiver::answering(&[403, 403]).await);
    let returned = send(&scene, &record_of(&scene.event(json!({})))).await;
    let again = json!({"batchItemFailures": [{"itemIdentifier": "message-1"}]});
    assert_eq!(returned, again);
}

#[tokio::test]
async fn a_message_that_is_no_record_is_kept_for_people() {
    let scene = Scene::new(Script::Succeed).await;
    let event = scene.event(json!({})).to_string();
    for body in ["", "text", event.as_str()] {
        let returned = send(&scene, &batch(body)).await;
        let again = json!({"batchItemFailures": [{"itemIdentifier": "message-1"}]});
        assert_eq!(returned, again, "{body}");
    }
    assert!(scene.receiver.puts().is_empty());
    assert!(scene.deploy.deployed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_record_that_nobody_waits_for_is_dropped() {
    let scene = Scene::new(Script::Succeed).await;
    let by_hand = scene.event(json!({"ResponseURL": "..."}));
    for event in [json!({"key": "value"}), by_hand] {
        let returned = send(&scene, &record_of(&event)).await;
        assert_eq!(returned, json!({"batchItemFailures": []}), "{event}");
    }
    assert!(scene.receiver.puts().is_empty());
}
