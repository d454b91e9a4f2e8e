//! The reason of a failure, as people read it in the events of a stack.

use super::error::Failure;
use super::invocation::Invocation;
use super::reader::scalar;
use super::request::Request;
use super::text;
use crate::copy::Report;
use crate::redact::{scrub, without_credentials};

/// Longest reason before the place of the log is named: the answer has 4096 bytes in all.
const MAX_REASON: usize = 2800;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// The whole chain of a failure, on one line and without what must not be shown.
pub(super) fn shown(failure: &Failure) -> String {
    text::plain(&scrub(&text::chain(failure)))
}

/// The reason that CloudFormation shows: what failed and why, then where the log is.
pub(super) fn of(failure: &Failure, invocation: &Invocation) -> String {
    let mut reason = text::sentence(&shown(failure));
    text::truncate(&mut reason, MAX_REASON);
    if !reason.ends_with(['.', '…']) {
        reason.push('.');
    }
    let (group, id) = (&invocation.log_group, &invocation.id);
    let at = if group.is_empty() { "the log" } else { group };
    format!("{reason} (More in {at}, request {id}.)")
}

/// What a request asks for, as far as it can be told without reading its properties.
pub(super) fn what(request: &Request) -> String {
    let text = |names: [&str; 2]| {
        let properties = request.properties.as_ref().ok()?;
        let named = names.iter().find_map(|name| scalar(properties.get(*name)?));
        named.as_deref().map(without_credentials)
    };
    match (
        text(["Source", "SrcImage"]),
        text(["Destination", "DestImage"]),
    ) {
        (Some(source), Some(destination)) => {
            format!("{} of {source} to {destination}", request.action)
        }
        _ => format!("{} of {}", request.action, request.logical_resource_id),
    }
}

/// How far a request came.
pub(super) fn came_to(report: &Report) -> String {
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MEBIBYTE);
    let moved = format!(
        "{} read and {} uploaded, {} blobs uploaded, {} reused and {} mounted",
        mebibytes(report.bytes_read),
        mebibytes(report.bytes_uploaded),
        report.blobs_uploaded,
        report.blobs_reused,
        report.blobs_mounted
    );
    let phases: Vec<_> = report
        .phases
        .iter()
        .map(|(phase, seconds)| format!("{} {seconds:.3} s", format!("{phase:?}").to_lowercase()))
        .collect();
    if phases.is_empty() {
        return moved;
    }
    format!("{moved} ({})", phases.join(", "))
}
