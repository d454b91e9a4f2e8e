//! What a run that was stopped leaves to the one that takes it up.

use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, Digest};

/// Most layers that are kept: far more than an image has.
const MAX_LAYERS: usize = 512;

/// What is done and costs much to find out again. Blobs themselves are found at the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Digest of the source's manifest or index, once its tag was resolved.
    pub root: Option<Digest>,
    /// Layers that the destination has, and as which blobs.
    pub layers: Vec<StoredLayer>,
}

/// An uncompressed layer and the blob that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLayer {
    /// The diff ID.
    pub diff_id: Digest,
    /// The blob.
    pub blob: Descriptor,
}

impl Checkpoint {
    /// Notes a layer that the destination has.
    pub(super) fn stored(&mut self, diff_id: &Digest, blob: &Descriptor) {
        let known = self.layers.iter().any(|layer| layer.diff_id == *diff_id);
        if !known && self.layers.len() < MAX_LAYERS {
            self.layers.push(StoredLayer {
                diff_id: diff_id.clone(),
                blob: blob.clone(),
            });
        }
    }
}
