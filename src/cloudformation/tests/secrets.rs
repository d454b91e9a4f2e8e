//! Nothing secret is logged or answered.

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use super::lines::{Lines, follow};
use super::support::{Receiver, Scene, Script, properties};
use crate::cloudformation::log_subscriber;

#[tokio::test]
async fn logs_are_json_lines_of_the_request_without_secrets() {
    let lines = Lines::default();
    let subscriber = log_subscriber(LevelFilter::TRACE, false, lines.clone());
    let _guard = follow(subscriber);
    for script in [Script::Succeed, Script::Fail, Script::Panic] {
        for status in [200, 403] {
            let receiver = Receiver::answering(&[status]).await;
            let scene = Scene::with(script, receiver);
            let source = "https://user:hidden@host/image?token=hidden";
            let access = json!({"SourceCredentials": "registry/login"});
            let leaky = json!({"SourceCredentials": "user:hidden!"});
            for properties in [
                properties("s3://bucket/image.tar", access),
                properties("s3://bucket/image.tar", leaky),
                properties(source, json!({"Password": "hidden"})),
            ] {
                let _ = scene.send(json!({"ResourceProperties": properties})).await;
            }
            assert!(
                scene
                    .receiver
                    .puts()
                    .iter()
                    .all(|put| !put.text.contains("hidden"))
            );
        }
    }
    let text = lines.text();
    assert!(!text.contains("hidden"), "{text}");
    assert!(!text.contains("?X-Amz"), "{text}");
    assert!(text.contains("registry/login"));
    let mut closing = 0;
    for line in lines.parsed() {
        assert_eq!(line["spans"][0]["request_id"], "request-1", "{line}");
        if line["message"] == "done" {
            closing += 1;
            assert!(line["seconds"].is_f64());
            assert!(line["bytes_read"].is_u64() && line["seconds_blobs"].is_f64());
            assert!(line.get("_aws").is_none());
        }
    }
    assert_eq!(closing, 3 * 2 * 3);
}

#[tokio::test]
async fn an_answer_that_could_not_be_delivered_is_logged_whole() {
    let lines = Lines::default();
    let subscriber = log_subscriber(LevelFilter::INFO, false, lines.clone());
    let _guard = follow(subscriber);
    let scene = Scene::with(Script::Fail, Receiver::answering(&[403, 403]).await);
    scene.send(json!({})).await.unwrap_err();
    let logged: Value = lines
        .parsed()
        .iter()
        .find_map(|line| Some(line["answer"].as_str()?.to_owned()))
        .and_then(|answer| serde_json::from_str(&answer).ok())
        .unwrap();
    assert_eq!(logged["Status"], "FAILED");
    assert_eq!(logged["RequestId"], "request-1");
}
