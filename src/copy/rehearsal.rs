//! A destination that records what it would be given. A run to it finds out what it would do, by the
//! same steps, and writes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::blob::{Item, Mounts};
use super::reuse::KnownLayer;
use super::{KnownLayers, Result, Run};
use crate::content::{self, Destination, ManifestKey, MemoryOpener, Opener, Pushed, UnbuiltImage};
use crate::oci::{Digest, MediaType, RawManifest, Tag};

/// A destination that is read from and never written to.
pub struct Rehearsal {
    destination: Arc<dyn Destination>,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    blobs: HashMap<Digest, u64>,
    manifests: HashSet<Digest>,
    tags: Vec<TagChange>,
}

/// The writes that a destination would get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Blobs that it lacks. A registry may mount some of them from another repository.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Manifests and indexes that it lacks.
    pub manifests: u64,
    /// Tags to be written, in their order.
    pub tags: Vec<TagChange>,
}

/// A tag that would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChange {
    /// The tag.
    pub tag: Tag,
    /// The digest that it names now. `None`: there is no such tag.
    pub present: Option<Digest>,
}

impl Rehearsal {
    /// Stands in for `destination`, which is asked for what it has.
    pub fn of(destination: Arc<dyn Destination>) -> Self {
        Self {
            destination,
            recorded: Mutex::default(),
        }
    }

    /// The writes that it was given so far.
    pub fn changes(&self) -> Changes {
        let recorded = self.recorded();
        Changes {
            blobs: recorded.blobs.len() as u64,
            bytes: recorded.blobs.values().sum(),
            manifests: recorded.manifests.len() as u64,
            tags: recorded.tags.clone(),
        }
    }

    /// Records a tag that an image will get whose digest is not known yet.
    ///
    /// # Errors
    ///
    /// When the destination cannot be asked for the tag.
    pub async fn tag(&self, tag: &Tag) -> content::Result<()> {
        let present = self.destination.manifest_digest(ManifestKey::Tag(tag));
        let change = TagChange {
            present: present.await?,
            tag: tag.clone(),
        };
        let mut recorded = self.recorded();
        if recorded.tags.iter().all(|known| known.tag != *tag) {
            recorded.tags.push(change);
        }
        Ok(())
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_recorded(&self, key: ManifestKey<'_>) -> bool {
        matches!(key, ManifestKey::Digest(digest) if self.recorded().manifests.contains(digest))
    }
}

impl Destination for Rehearsal {
    fn name(&self) -> &str {
        self.destination.name()
    }

    fn blob_size<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, content::Result<Option<u64>>> {
        async move {
            let recorded = self.recorded().blobs.get(digest).copied();
            match recorded {
                Some(size) => Ok(Some(size)),
                None => self.destination.blob_size(digest).await,
            }
        }
        .boxed()
    }

    fn push_blob<'a>(
        &'a self,
        blob: &'a dyn Opener,
        _mount_from: &'a [String],
    ) -> BoxFuture<'a, content::Result<Pushed>> {
        async move {
            if let Some(blob) = blob.descriptor() {
                self.recorded().blobs.insert(blob.digest, blob.size);
            }
            Ok(Pushed::Uploaded)
        }
        .boxed()
    }

    fn manifest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        self.destination.manifest(key)
    }

    fn manifest_digest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<Digest>>> {
        async move {
            match key {
                ManifestKey::Digest(digest) if self.is_recorded(key) => Ok(Some(digest.clone())),
                _ => self.destination.manifest_digest(key).await,
            }
        }
        .boxed()
    }

    fn push_manifest<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tag: Option<&'a Tag>,
    ) -> BoxFuture<'a, content::Result<()>> {
        async move {
            match tag {
                Some(tag) => self.tag(tag).await?,
                None => drop(self.recorded().manifests.insert(manifest.digest().clone())),
            }
            Ok(())
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _root: &'a RawManifest) -> BoxFuture<'a, content::Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl Run {
    /// Records at the targets, which are [`Rehearsal`]s, the blobs of an image without a manifest
    /// that have a digest already. Returns the number of layers that get theirs only when they are
    /// compressed.
    pub async fn rehearse(&self, image: &UnbuiltImage, known: &KnownLayers) -> Result<u64> {
        let mut seen = HashSet::new();
        let mut unknown = 0;
        for layer in &image.layers {
            if !seen.insert(&layer.diff_id) {
                continue;
            }
            let stored = known.layer(&layer.diff_id).map(KnownLayer::opener);
            let opener = stored.unwrap_or_else(|| Arc::clone(&layer.opener));
            if opener.descriptor().is_none() {
                unknown += 1;
                continue;
            }
            self.record(opener).await?;
        }
        let config = MemoryOpener::new(MediaType::DOCKER_CONFIG, image.config.clone());
        self.record(Arc::new(config)).await?;
        Ok(unknown)
    }

    async fn record(&self, opener: Arc<dyn Opener>) -> Result<()> {
        let item = Item {
            from: "the archive",
            label: String::new(),
            opener,
            mounts: Mounts::default(),
        };
        self.push_blob(&item, &self.places).await
    }
}
