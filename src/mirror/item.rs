//! The work on one image: one read for all its destinations.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cloudformation::Properties;
use crate::oci::Digest;

/// An image that a destination lacks, or has otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Item {
    /// The item's name within its run: by it the item's outcome is found.
    pub id: String,
    /// The position of its entry in the list, from 0.
    pub entry: usize,
    /// The registry that it is read from.
    pub registry: String,
    /// The image as the list names it: repository and tag.
    pub source: String,
    /// The digest that the destinations get, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The reason for copying it.
    pub reason: Reason,
    /// The most requests to its registry in a second, for one item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// The properties of a `Custom::ECRImage` for it.
    pub properties: Properties,
}

/// A reason for copying an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// A destination's tag names another image.
    Moved,
    /// A destination does not have its tag.
    Missing,
    /// The source did not tell, for a reason that passes.
    Unknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved => "moved",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        })
    }
}
