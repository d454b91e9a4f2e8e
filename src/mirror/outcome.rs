//! The outcome of one item.

use serde::{Deserialize, Serialize};

use super::item::{Item, Reason};
use crate::copy::Report;
use crate::deploy::{Deployed, Kind, Place};
use crate::oci::Digest;

/// Longest reason of a failure that is kept, in bytes.
const MAX_REASON: usize = 1000;

/// The outcome of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outcome {
    /// The item's name within its run.
    pub id: String,
    /// The position of its entry in the list, from 0.
    pub entry: usize,
    /// The image as the list names it.
    pub source: String,
    /// The item's status.
    pub status: Status,
    /// The reason for copying it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Reason>,
    /// The digest that the destinations have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The destinations, with their tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// The kind of the failure, such as `Longshore.Denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure and its causes in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of blobs sent to the destinations.
    #[serde(default)]
    pub bytes_uploaded: u64,
    /// Bytes of blobs that the destinations had already.
    #[serde(default)]
    pub bytes_reused: u64,
}

/// The status of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was copied.
    Copied,
    /// It is to be copied.
    Planned,
    /// It was not.
    Failed,
    /// It was left for a later run: its registry allows no more pulls at present.
    Deferred,
}

impl Outcome {
    /// An item that is at its destinations.
    pub fn copied(item: &Item, deployed: &Deployed, report: &Report) -> Self {
        let places = deployed.places.iter().flat_map(tagged);
        Self {
            status: Status::Copied,
            digest: Some(deployed.digest.clone()),
            destinations: places.collect(),
            bytes_uploaded: report.bytes_uploaded,
            bytes_reused: report.bytes_reused + report.bytes_mounted,
            ..Self::of(item)
        }
    }

    /// An item that is to be copied.
    pub fn planned(item: &Item) -> Self {
        Self {
            status: Status::Planned,
            ..Self::of(item)
        }
    }

    /// An item that failed, by an error of this name and for this reason.
    pub fn failed(item: &Item, error: &str, mut reason: String) -> Self {
        crate::cloudformation::truncate(&mut reason, MAX_REASON);
        Self {
            error: Some(error.to_owned()),
            reason: Some(reason),
            ..Self::of(item)
        }
    }

    /// An item that is left for a later run.
    pub fn deferred(item: &Item, reason: String) -> Self {
        Self {
            status: Status::Deferred,
            ..Self::failed(item, &Kind::Throttled.to_string(), reason)
        }
    }

    fn of(item: &Item) -> Self {
        Self {
            id: item.id.clone(),
            entry: item.entry,
            source: item.source.clone(),
            status: Status::Failed,
            why: Some(item.reason),
            digest: item.digest.clone(),
            destinations: Vec::new(),
            error: None,
            reason: None,
            bytes_uploaded: 0,
            bytes_reused: 0,
        }
    }
}

/// A place under each of its tags.
fn tagged(place: &Place) -> Vec<String> {
    let tags = place.tags.iter();
    let tagged: Vec<String> = tags
        .map(|tag| place.repository.tagged(tag).to_string())
        .collect();
    if tagged.is_empty() {
        return vec![place.repository.to_string()];
    }
    tagged
}
