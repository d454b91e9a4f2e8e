//! Destinations that two sources would go to.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::entry::Entry;
use super::problem::Problem;
use crate::oci::{Digest, Reference};

/// Destinations that are taken, as hashes: a list of any length takes 32 bytes for each.
#[derive(Clone, Debug, Default)]
pub struct Conflicts {
    taken: HashMap<u128, Taker>,
}

/// Who has taken a destination.
#[derive(Clone, Copy, Debug)]
struct Taker {
    index: u32,
    line: u32,
}

impl Conflicts {
    /// Takes a destination for an image of an entry, or tells who has it.
    pub fn take(&mut self, entry: &Entry, destination: &Reference) -> Option<Problem> {
        match self.taken.entry(hash(destination)) {
            Slot::Vacant(slot) => {
                slot.insert(Taker {
                    index: u32::try_from(entry.index()).unwrap_or(u32::MAX),
                    line: entry.line().unwrap_or_default(),
                });
                None
            }
            Slot::Occupied(slot) => Some(conflict(entry, destination, *slot.get())),
        }
    }
}

fn conflict(entry: &Entry, destination: &Reference, taker: Taker) -> Problem {
    let index = taker.index;
    if index as usize == entry.index() {
        return entry.problem(format_args!(
            "another image of this entry goes to {destination} already"
        ));
    }
    let line = match taker.line {
        0 => String::new(),
        line => format!(" (line {line})"),
    };
    entry.problem(format_args!(
        "an image of sync[{index}]{line} goes to {destination} already"
    ))
}

fn hash(destination: &Reference) -> u128 {
    let digest = Digest::sha256(destination.to_string().as_bytes());
    u128::from_str_radix(&digest.hex()[..32], 16).unwrap_or_default()
}
