//! The tags that a list wants at its destinations.

use std::collections::{BTreeMap, BTreeSet};

use super::Tags;
use crate::deploy::Access;
use crate::mirror::list::List;
use crate::oci::{Repository, Tag};

/// The tags that a list wants at its destinations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted(BTreeMap<Repository, Place>);

/// A destination repository: how it is reached, and its tags.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The access to it.
    pub access: Access,
    /// The tags that the list wants there.
    pub tags: BTreeSet<Tag>,
}

impl Wanted {
    /// Collects the destinations' tags of all images that `list` means by `tags`.
    pub fn of(list: &List, tags: &Tags) -> Self {
        let mut wanted = Self::default();
        for (entry, selected) in list.entries.iter().zip(&tags.0) {
            for tag in selected.each() {
                for target in entry.destinations(tag).unwrap_or_default() {
                    let place = wanted.0.entry(target.repository).or_insert_with(|| Place {
                        access: target.access,
                        tags: BTreeSet::new(),
                    });
                    place.tags.extend(target.tags);
                }
            }
        }
        wanted
    }

    /// The destination repositories, in order.
    pub fn places(&self) -> impl Iterator<Item = (&Repository, &Place)> {
        self.0.iter()
    }

    /// Returns the access to a destination repository of the list.
    pub fn access(&self, repository: &Repository) -> Option<&Access> {
        self.0.get(repository).map(|place| &place.access)
    }

    /// Returns true if the list wants the tag there.
    pub fn has(&self, repository: &Repository, tag: &Tag) -> bool {
        let place = self.0.get(repository);
        place.is_some_and(|place| place.tags.contains(tag))
    }
}
