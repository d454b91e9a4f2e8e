//! A repository in memory, and images to copy, for the engine's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::content::{
    ByteStream, Destination, Error, ManifestKey, MemoryOpener, Opener, Pushed, Result, Retryable,
    Source, collect,
};
use crate::oci::{Descriptor, Digest, MediaType, RawManifest, Tag};

/// A repository that refuses manifests whose content it lacks, and counts what it is asked.
pub(super) struct MemoryRepository {
    pub(super) name: String,
    pub(super) state: Mutex<State>,
    pub(super) immutable: bool,
    /// True if it takes no manifest with a subject, as ECR takes none of some.
    pub(super) without_subjects: bool,
    /// What it has of other repositories of its registry.
    pub(super) mountable: BTreeSet<Digest>,
    /// Blobs that it does not take.
    pub(super) refused: Mutex<BTreeSet<Digest>>,
    /// The time that it takes to store a blob.
    pub(super) push_time: Option<Duration>,
}

impl Default for MemoryRepository {
    /// An empty one, under a name of its own.
    fn default() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Self {
            name: format!("memory-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            state: Mutex::default(),
            immutable: false,
            without_subjects: false,
            mountable: BTreeSet::new(),
            refused: Mutex::default(),
            push_time: None,
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, RawManifest>,
    tags: BTreeMap<Tag, Digest>,
    referrers: BTreeMap<Digest, Vec<Descriptor>>,
    log: Vec<String>,
    /// Blobs that are being taken, and the most that ever were.
    under_way: (usize, usize),
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

impl Retryable for Refused {
    fn is_retryable(&self) -> bool {
        false
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::backend(Refused(why.into()))
}

impl MemoryRepository {
    pub(super) fn add_blob(&self, media_type: MediaType, bytes: &'static str) -> Descriptor {
        let opener = MemoryOpener::new(media_type, Bytes::from(bytes));
        let descriptor = opener.descriptor().unwrap();
        let mut state = self.state.lock().unwrap();
        state
            .blobs
            .insert(descriptor.digest.clone(), Bytes::from(bytes));
        descriptor
    }

    pub(super) fn add_manifest(&self, media_type: &MediaType, document: &Value) -> RawManifest {
        let manifest = RawManifest::new(media_type, document.to_string().into());
        let mut state = self.state.lock().unwrap();
        if let Ok(subject) = serde_json::from_value::<Descriptor>(document["subject"].clone()) {
            let referrers = state.referrers.entry(subject.digest).or_default();
            referrers.push(manifest.descriptor());
        }
        let digest = manifest.digest().clone();
        state.manifests.insert(digest, manifest.clone());
        manifest
    }

    pub(super) fn add_tag(&self, tag: &str, manifest: &RawManifest) {
        let mut state = self.state.lock().unwrap();
        state
            .tags
            .insert(tag.parse().unwrap(), manifest.digest().clone());
    }

    /// An image of one layer for `platform`.
    pub(super) fn add_image(&self, platform: &str, layer: &'static str) -> RawManifest {
        let (os, architecture) = platform.split_once('/').unwrap();
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"diff_ids": []}});
        let config = self.add_blob(MediaType::OCI_CONFIG, config.to_string().leak());
        let shared = self.add_blob(MediaType::OCI_LAYER_GZIP, "shared layer");
        let layer = self.add_blob(MediaType::OCI_LAYER_GZIP, layer);
        let document = json!({"schemaVersion": 2, "config": config, "layers": [shared, layer]});
        self.add_manifest(&MediaType::OCI_MANIFEST, &document)
    }

    /// Does not take this blob.
    pub(super) fn refuse(&self, text: &str) {
        let digest = Digest::sha256(text.as_bytes());
        self.refused.lock().unwrap().insert(digest);
    }

    /// What was pushed, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub(super) fn tag_names(&self) -> BTreeMap<String, Digest> {
        let state = self.state.lock().unwrap();
        let named = state
            .tags
            .iter()
            .map(|(tag, digest)| (tag.to_string(), digest.clone()));
        named.collect()
    }

    fn begin(&self) {
        let (now, most) = &mut self.state.lock().unwrap().under_way;
        *now += 1;
        *most = (*most).max(*now);
    }

    /// The most blobs that were taken at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().under_way.1
    }

    /// Begins anew to look for the most blobs that are taken at once.
    pub(super) fn forget_most_at_once(&self) {
        self.state.lock().unwrap().under_way.1 = 0;
    }

    pub(super) fn has_manifest(&self, digest: &Digest) -> bool {
        self.state.lock().unwrap().manifests.contains_key(digest)
    }
}

/// An index over manifests, each with its platform.
pub(super) fn index_of(entries: &[(&str, &RawManifest)]) -> Value {
    let entry = |(platform, manifest): &(&str, &RawManifest)| {
        let mut descriptor = manifest.descriptor();
        descriptor.platform = Some(platform.parse().unwrap());
        serde_json::to_value(descriptor).unwrap()
    };
    let manifests: Vec<Value> = entries.iter().map(entry).collect();
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests})
}

impl Source for MemoryRepository {
    fn name(&self) -> &str {
        &self.name
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<RawManifest>> {
        async {
            let found =
                Destination::manifest(self, ManifestKey::Digest(&descriptor.digest)).await?;
            found.ok_or_else(|| refused(format!("no manifest {}", descriptor.digest)))
        }
        .boxed()
    }

    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Option<RawManifest>>> {
        Destination::manifest(self, ManifestKey::Digest(&descriptor.digest))
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        let bytes = self.state.lock().unwrap().blobs[&descriptor.digest].clone();
        Arc::new(MemoryOpener::new(descriptor.media_type.clone(), bytes))
    }

    fn referrers<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<Descriptor>>> {
        let found = self.state.lock().unwrap().referrers.get(digest).cloned();
        async { Ok(found.unwrap_or_default()) }.boxed()
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, Result<Option<RawManifest>>> {
        async { Destination::manifest(self, ManifestKey::Tag(tag)).await }.boxed()
    }
}

impl Destination for MemoryRepository {
    fn name(&self) -> &str {
        &self.name
    }

    fn blob_size<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Option<u64>>> {
        let found = self
            .state
            .lock()
            .unwrap()
            .blobs
            .get(digest)
            .map(|b| b.len() as u64);
        async move { Ok(found) }.boxed()
    }

    fn push_blob<'a>(
        &'a self,
        blob: &'a dyn Opener,
        mount_from: &'a [String],
    ) -> BoxFuture<'a, Result<Pushed>> {
        async move {
            let known = blob.descriptor().map(|descriptor| descriptor.digest);
            if let Some(digest) = known.filter(|digest| self.mountable.contains(digest))
                && !mount_from.is_empty()
            {
                let mut state = self.state.lock().unwrap();
                state.blobs.insert(digest, Bytes::new());
                return Ok(Pushed::Mounted);
            }
            self.begin();
            let stream: ByteStream = blob.open(0).await?;
            let bytes = collect(stream, 1 << 20).await?;
            match self.push_time {
                Some(time) => tokio::time::sleep(time).await,
                None => tokio::task::yield_now().await,
            }
            self.state.lock().unwrap().under_way.0 -= 1;
            let digest = blob.descriptor().expect("known after the end").digest;
            if self.refused.lock().unwrap().contains(&digest) {
                return Err(refused("not this blob"));
            }
            let mut state = self.state.lock().unwrap();
            state
                .log
                .push(format!("blob {}", String::from_utf8_lossy(&bytes)));
            state.blobs.insert(digest, bytes);
            Ok(Pushed::Uploaded)
        }
        .boxed()
    }

    fn manifest<'a>(&'a self, key: ManifestKey<'a>) -> BoxFuture<'a, Result<Option<RawManifest>>> {
        let state = self.state.lock().unwrap();
        let digest = match key {
            ManifestKey::Tag(tag) => state.tags.get(tag).cloned(),
            ManifestKey::Digest(digest) => Some(digest.clone()),
        };
        let found = digest.and_then(|digest| state.manifests.get(&digest).cloned());
        async { Ok(found) }.boxed()
    }

    fn manifest_digest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, Result<Option<Digest>>> {
        let found = Destination::manifest(self, key);
        async { Ok(found.await?.map(|manifest| manifest.digest().clone())) }.boxed()
    }

    fn push_manifest<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tag: Option<&'a Tag>,
    ) -> BoxFuture<'a, Result<()>> {
        let pushed = self.take(manifest, tag);
        async { pushed }.boxed()
    }
}

/// What a repository never does.
#[derive(Debug, thiserror::Error)]
#[error("unsupported")]
struct Unsupported;

impl Retryable for Unsupported {
    fn is_retryable(&self) -> bool {
        false
    }

    fn is_unsupported(&self) -> bool {
        true
    }
}

impl MemoryRepository {
    fn take(&self, manifest: &RawManifest, tag: Option<&Tag>) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let document: Value = serde_json::from_slice(manifest.bytes()).unwrap();
        if self.without_subjects && document["subject"].is_object() {
            return Err(Error::backend(Unsupported));
        }
        let named = |member: &str| {
            let list = document[member].as_array().cloned().unwrap_or_default();
            list.into_iter()
                .filter_map(|entry| serde_json::from_value::<Descriptor>(entry).ok())
        };
        let has_blob = |blob: &Descriptor| state.blobs.contains_key(&blob.digest);
        let mut blobs = named("layers").chain(named("blobs"));
        if let Some(missing) = blobs.find(|blob| !has_blob(blob)) {
            return Err(refused(format!("layer {} is missing", missing.digest)));
        }
        let has_entry = |entry: &Descriptor| state.manifests.contains_key(&entry.digest);
        let mut entries = named("manifests");
        if let Some(missing) = entries.find(|entry| !has_entry(entry) && !has_blob(entry)) {
            return Err(refused(format!("child {} is missing", missing.digest)));
        }
        if let Some(tag) = tag {
            if self.immutable && state.tags.contains_key(tag) {
                return Err(refused("the tag is immutable"));
            }
            state.log.push(format!("tag {tag}"));
            state.tags.insert(tag.clone(), manifest.digest().clone());
        } else {
            let kind = if manifest.media_type().is_index() {
                "index"
            } else {
                "manifest"
            };
            state.log.push(kind.to_owned());
        }
        state
            .manifests
            .insert(manifest.digest().clone(), manifest.clone());
        Ok(())
    }
}
