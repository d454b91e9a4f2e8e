//! Images that have no manifest yet: what a `docker save` archive holds.

use std::sync::Arc;

use bytes::Bytes;

use super::{Opener, Order};
use crate::oci::Digest;

/// An image without a manifest: its config and its layers. Whoever pushes it builds the manifest
/// when the layers' descriptors are known.
#[derive(Clone)]
pub struct UnbuiltImage {
    /// The exact bytes of the image config.
    pub config: Bytes,
    /// The layers, base first, as many as the config has diff IDs.
    pub layers: Vec<UnbuiltLayer>,
    /// The order in which layers are to be read, by diff ID, one after the other. `None` where any
    /// can be read at any time, also several at once.
    pub order: Option<Arc<dyn Order>>,
    /// The names that the archive gives the image, such as `app:1`. Informative.
    pub tags: Vec<String>,
}

/// A layer of an [`UnbuiltImage`].
#[derive(Clone)]
pub struct UnbuiltLayer {
    /// Digest of the uncompressed layer, as the config says.
    pub diff_id: Digest,
    /// Yields the bytes as they are pushed, checked against the diff ID or the blob's own digest.
    /// Its descriptor has the media type that the content was found or made to be.
    pub opener: Arc<dyn Opener>,
}
