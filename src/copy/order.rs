//! Children before parents, also where a manifest is listed at several depths.

use std::collections::HashMap;

use super::target::Wanted;
use crate::oci::{Digest, RawManifest};

/// A manifest, and what it lists. The same one may be there again, for other targets.
pub(super) struct Node {
    pub(super) manifest: Wanted<RawManifest>,
    pub(super) entries: Vec<Digest>,
}

/// The manifests in steps: each lists only what is in steps before its own.
pub(super) fn in_steps(nodes: Vec<Node>) -> Vec<Vec<Wanted<RawManifest>>> {
    let heights = Heights::of(&nodes);
    let mut steps = Vec::new();
    for (node, height) in nodes.into_iter().zip(heights) {
        if steps.len() <= height {
            steps.resize_with(height + 1, Vec::new);
        }
        steps[height].push(node.manifest);
    }
    steps
}

/// How far each manifest is from the lowest one below it.
struct Heights<'a> {
    nodes: &'a [Node],
    places: HashMap<&'a Digest, usize>,
    known: Vec<Option<usize>>,
}

impl<'a> Heights<'a> {
    fn of(nodes: &'a [Node]) -> Vec<usize> {
        let places = nodes.iter().enumerate();
        let mut heights = Self {
            nodes,
            places: places
                .map(|(place, node)| (node.manifest.what.digest(), place))
                .collect(),
            known: vec![None; nodes.len()],
        };
        (0..nodes.len()).map(|place| heights.at(place)).collect()
    }

    /// Ends, since no manifest can list itself: it would have to contain its own digest.
    fn at(&mut self, place: usize) -> usize {
        if let Some(known) = self.known[place] {
            return known;
        }
        let entries = self.nodes[place].entries.iter();
        let children: Vec<_> = entries
            .filter_map(|entry| self.places.get(entry).copied())
            .collect();
        let heights = children.into_iter().map(|child| self.at(child) + 1);
        let height = heights.max().unwrap_or(0);
        self.known[place] = Some(height);
        height
    }
}
