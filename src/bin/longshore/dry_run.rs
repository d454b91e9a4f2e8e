//! Dry runs: what a command would do, and the status that it exits with.

use std::process::ExitCode;

use indicatif::HumanBytes;
use longshore::copy::Changes;
use longshore::deploy::{DestinationPreview, Preview};
use longshore::oci::Digest;
use serde_json::{Value, json};

use crate::progress::count;

/// Exit status of a dry run that found something to do.
const CHANGES: u8 = 3;

/// The exit status of a dry run.
pub(crate) fn status(has_changes: bool) -> ExitCode {
    if has_changes {
        ExitCode::from(CHANGES)
    } else {
        ExitCode::SUCCESS
    }
}

/// The lines that say what a deployment would do, one for each destination.
pub(crate) fn lines(preview: &Preview) -> Vec<String> {
    let destinations = preview.destinations.iter();
    destinations
        .map(|destination| line(preview, destination))
        .collect()
}

fn line(preview: &Preview, destination: &DestinationPreview) -> String {
    let (name, changes) = (&destination.name, &destination.changes);
    let image = preview.digest.as_ref().map(|digest| format!("@{digest}"));
    let image = image.unwrap_or_default();
    if preview.layers == 0 && *changes == Changes::default() {
        return format!("nothing to do: {name}{image} is there");
    }
    let mut parts = Vec::new();
    if destination.is_missing {
        parts.push("the repository, which does not exist".to_owned());
    }
    if preview.layers > 0 {
        let layers = count(preview.layers, "layer");
        parts.push(format!("{layers} that are compressed on the way"));
    }
    if changes.blobs > 0 {
        let blobs = count(changes.blobs, "blob");
        parts.push(format!("{blobs} ({})", HumanBytes(changes.bytes)));
    }
    let manifests = changes.manifests + u64::from(preview.digest.is_none());
    if manifests > 0 {
        parts.push(count(manifests, "manifest"));
    }
    for change in &changes.tags {
        parts.push(match &change.present {
            None => format!("the tag {}", change.tag),
            Some(present) => format!("the tag {}, which is {present} now", change.tag),
        });
    }
    format!("to be copied: {name}{image}: {}", parts.join(", "))
}

/// The same as JSON.
pub(crate) fn document(preview: &Preview) -> Value {
    let destinations = preview.destinations.iter().map(|destination| {
        let changes = &destination.changes;
        let tags = changes.tags.iter();
        let tags = tags.map(|change| json!({"tag": change.tag, "present": change.present}));
        json!({
            "name": destination.name,
            "missing": destination.is_missing,
            "blobs": changes.blobs,
            "bytes": changes.bytes,
            "manifests": changes.manifests,
            "tags": tags.collect::<Vec<_>>(),
        })
    });
    json!({
        "dryRun": true,
        "digest": preview.digest.as_ref().map(Digest::to_string),
        "layersToCompress": preview.layers,
        "destinations": destinations.collect::<Vec<_>>(),
    })
}
