//! The list of a mirror: which images of which sources go to which destinations.
//!
//! A document, YAML or JSON, is read in three steps: its text becomes a tree whose size is
//! bounded; the tree is read by the tables of its keys; and each entry is checked by the reader of
//! `Custom::ECRImage`, with a tag that stands in for those of its source. All that is wrong is told
//! at once ([`InvalidList`]), with its line.

mod check;
mod conflicts;
mod destination;
mod document;
mod entry;
mod fields;
mod filter;
mod node;
mod problem;
mod registries;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

pub use conflicts::Conflicts;
pub use entry::{Entry, Source};
pub use filter::{Rules, TagFilter};
pub use problem::{InvalidList, Problem};
pub use registries::RegistryRules;
pub use table::{
    DESTINATION as DESTINATION_KEYS, ENTRY as ENTRY_KEYS, LIST as LIST_KEYS, PRUNE as PRUNE_KEYS,
    REGISTRY as REGISTRY_KEYS, TAGS as TAGS_KEYS,
};
pub use yaml::MAX_DOCUMENT;

/// Most entries of a list.
pub const MAX_ENTRIES: usize = 10_000;

/// A list, read and checked.
#[derive(Clone, Debug)]
pub struct List {
    /// The rules for registries of sources, by their hosts.
    pub registries: BTreeMap<String, RegistryRules>,
    /// The rules for removing tags that the list no longer gives. `None`: they stay.
    pub prune: Option<Prune>,
    /// The share of images, in percent, that may fail in a run that still succeeds.
    pub tolerated_failure_percentage: u8,
    /// The entries, in the order of the list.
    pub entries: Vec<Entry>,
}

/// The rules for removing tags that the mirror wrote and its list no longer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// The share of the mirror's tags, in percent, above which none are removed.
    pub max_share: u8,
}

impl List {
    /// Reads a document, YAML or JSON.
    pub fn read(document: impl AsRef<[u8]>) -> Result<Self, InvalidList> {
        let tree = yaml::parse(document.as_ref());
        tree.map_err(|problem| InvalidList::new(vec![problem]))
            .and_then(|tree| document::read(&tree))
    }

    /// Reads a list that stands in a template's properties.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, InvalidList> {
        let tree = yaml::of_value(value);
        tree.map_err(|problem| InvalidList::new(vec![problem]))
            .and_then(|tree| document::read(&tree))
    }
}
