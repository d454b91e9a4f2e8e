//! The closing line of an invocation, and the metrics that CloudWatch takes from it: by its
//! [embedded metric format], a log line that says which of its fields are metrics.
//!
//! [embedded metric format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;

use super::invocation::Invocation;
use super::request::Request;
use super::response::{Answer, Outcome};
use crate::copy::{Phase, Report};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "Longshore";
/// The field by whose value the metrics of several functions are told apart.
pub const DIMENSION: &str = "function";
/// The fields of the closing line that are metrics, with their units.
pub const METRICS: &[(&str, &str)] = &[
    ("failed", "Count"),
    ("continuations", "Count"),
    ("seconds", "Seconds"),
    ("seconds_resolve", "Seconds"),
    ("seconds_plan", "Seconds"),
    ("seconds_blobs", "Seconds"),
    ("seconds_manifests", "Seconds"),
    ("seconds_tags", "Seconds"),
    ("bytes_read", "Bytes"),
    ("bytes_uploaded", "Bytes"),
    ("bytes_reused", "Bytes"),
    ("bytes_mounted", "Bytes"),
    ("blobs_uploaded", "Count"),
    ("blobs_reused", "Count"),
    ("blobs_mounted", "Count"),
    ("retries", "Count"),
    ("throttles", "Count"),
];

/// The target of the closing line, by which logs know it.
pub(super) const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::closing");

/// The target of the closing line of a mirror's run.
pub(crate) const MIRROR_TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::mirror_closing");
/// The field by whose value the metrics of several mirrors are told apart.
pub const MIRROR_DIMENSION: &str = "mirror";
/// The fields of a run's closing line that are metrics, with their units.
pub const MIRROR_METRICS: &[(&str, &str)] = &[
    ("mirror_images", "Count"),
    ("mirror_current", "Count"),
    ("mirror_copied", "Count"),
    ("mirror_failed", "Count"),
    ("mirror_deferred", "Count"),
    ("mirror_extra", "Count"),
    ("mirror_pruned", "Count"),
    ("mirror_bytes_uploaded", "Bytes"),
];

/// What makes a log line of `target` one of metrics, if it is one: the value of its field `_aws`.
pub(super) fn directive(target: &str, at: SystemTime) -> Option<Value> {
    let (dimension, metrics) = match target {
        TARGET => (DIMENSION, METRICS),
        MIRROR_TARGET => (MIRROR_DIMENSION, MIRROR_METRICS),
        _ => return None,
    };
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let metrics: Vec<_> = metrics
        .iter()
        .map(|(name, unit)| json!({ "Name": name, "Unit": unit }))
        .collect();
    Some(json!({
        "Timestamp": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [[dimension]],
            "Metrics": metrics,
        }],
    }))
}

/// The one closing line of an invocation. Without an answer, another one goes on with the work.
pub(super) fn close(
    request: &Request,
    answer: Option<&Answer>,
    report: &Report,
    started: Instant,
    invocation: &Invocation,
) {
    let outcome = answer.map_or("handed on", Answer::status);
    let failed = answer.is_some_and(|answer| matches!(answer.outcome, Outcome::Failed(_)));
    let seconds = |phase| report.seconds(phase);
    info!(
        target: TARGET,
        outcome,
        action = %request.action,
        resource_type = request.resource_type,
        resource = request.logical_resource_id,
        stack = request.stack_id,
        physical_resource_id = answer.map(|answer| &answer.physical_resource_id),
        function = name(&invocation.function),
        failed = u64::from(failed),
        continuations = u64::from(answer.is_none()),
        seconds = started.elapsed().as_secs_f64(),
        seconds_resolve = seconds(Phase::Resolve),
        seconds_plan = seconds(Phase::Plan),
        seconds_blobs = seconds(Phase::Blobs),
        seconds_manifests = seconds(Phase::Manifests),
        seconds_tags = seconds(Phase::Tags),
        bytes_read = report.bytes_read,
        bytes_uploaded = report.bytes_uploaded,
        bytes_reused = report.bytes_reused,
        bytes_mounted = report.bytes_mounted,
        blobs_uploaded = report.blobs_uploaded,
        blobs_reused = report.blobs_reused,
        blobs_mounted = report.blobs_mounted,
        retries = report.retries,
        throttles = report.throttles,
        "done"
    );
}

/// The name of the function that an ARN is of, without its version or alias.
fn name(arn: &str) -> &str {
    arn.split(':').nth(6).unwrap_or(arn)
}
