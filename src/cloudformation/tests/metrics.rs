//! The closing line as CloudWatch takes metrics from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use super::lines::{Lines, follow};
use super::support::{Scene, Script};
use crate::cloudformation::{METRIC_DIMENSION, METRIC_NAMESPACE, METRICS, log_subscriber};

/// What is logged of one request.
async fn logged(script: Script, level: LevelFilter, metrics: bool) -> Vec<Value> {
    let lines = Lines::default();
    let subscriber = log_subscriber(level, metrics, lines.clone());
    let _guard = follow(subscriber);
    let _ = Scene::new(script).await.send(json!({})).await;
    lines.parsed()
}

#[tokio::test]
async fn every_metric_is_a_number_of_the_closing_line() {
    for (script, failed) in [(Script::Succeed, 0), (Script::Fail, 1)] {
        let lines = logged(script, LevelFilter::INFO, true).await;
        let closing: Vec<_> = lines
            .iter()
            .filter(|line| line.get("_aws").is_some())
            .collect();
        let [line] = closing.as_slice() else {
            panic!("not one line of metrics: {lines:?}")
        };
        assert_eq!(line["message"], "done");
        assert_eq!(line["failed"], failed);
        assert_eq!(line["continuations"], 0);
        assert_eq!(line["resource_type"], "Custom::ECRImage");
        assert_eq!(line["bytes_read"], 2 << 20);

        let [of_namespace] = line["_aws"]["CloudWatchMetrics"]
            .as_array()
            .unwrap()
            .as_slice()
        else {
            panic!("not one namespace: {line}")
        };
        assert_eq!(of_namespace["Namespace"], METRIC_NAMESPACE);
        assert_eq!(of_namespace["Dimensions"], json!([[METRIC_DIMENSION]]));
        assert_eq!(line[METRIC_DIMENSION], "images");
        let named = of_namespace["Metrics"].as_array().unwrap();
        assert_eq!(named.len(), METRICS.len());
        for metric in named {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}: {line}");
        }
    }
}

#[tokio::test]
async fn a_metric_is_of_now_in_milliseconds() {
    let lines = logged(Script::Succeed, LevelFilter::INFO, true).await;
    let at = lines
        .iter()
        .find_map(|line| line["_aws"]["Timestamp"].as_u64());
    let at = UNIX_EPOCH + Duration::from_millis(at.unwrap());
    let age = SystemTime::now().duration_since(at).unwrap_or_default();
    assert!(age < Duration::from_mins(10), "{age:?}");
}

#[tokio::test]
async fn metrics_do_not_depend_on_what_is_logged() {
    let lines = logged(Script::Succeed, LevelFilter::ERROR, true).await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0]["_aws"].is_object());
    assert!(
        logged(Script::Succeed, LevelFilter::ERROR, false)
            .await
            .is_empty()
    );
}
