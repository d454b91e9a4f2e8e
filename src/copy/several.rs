//! What a user can rely on where an image goes to several places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::json;

use super::testing::{MemoryRepository, index_of};
use super::{KnownLayers, Meter, Options, Run, Side, Target};
use crate::content::{
    ByteStream, Destination, ManifestKey, MemoryOpener, Opener, Result, Source, UnbuiltImage,
    UnbuiltLayer,
};
use crate::oci::{Descriptor, Digest, MediaType, RawManifest, Tag};

/// How often something was read, by its digest.
type Reads = Arc<Mutex<BTreeMap<Digest, usize>>>;

/// A source whose reads are counted.
#[derive(Default)]
struct Counted {
    inner: MemoryRepository,
    reads: Reads,
}

struct CountedOpener {
    inner: Arc<dyn Opener>,
    reads: Reads,
    /// What it yields, as long as nobody has read it.
    unknown: bool,
}

impl CountedOpener {
    fn digest(&self) -> Digest {
        self.inner.descriptor().unwrap().digest
    }
}

impl Opener for CountedOpener {
    fn descriptor(&self) -> Option<Descriptor> {
        let read = self.reads.lock().unwrap().contains_key(&self.digest());
        self.inner.descriptor().filter(|_| read || !self.unknown)
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        *self.reads.lock().unwrap().entry(self.digest()).or_default() += 1;
        self.inner.open(offset)
    }
}

impl Source for Counted {
    fn name(&self) -> &str {
        Source::name(&self.inner)
    }

    fn manifest<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<RawManifest>> {
        let digest = descriptor.digest.clone();
        *self.reads.lock().unwrap().entry(digest).or_default() += 1;
        Source::manifest(&self.inner, descriptor)
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        Arc::new(CountedOpener {
            inner: self.inner.blob(descriptor),
            reads: self.reads.clone(),
            unknown: false,
        })
    }

    fn referrers<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<Descriptor>>> {
        self.inner.referrers(digest)
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, Result<Option<RawManifest>>> {
        self.inner.tagged(tag)
    }
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A run to places where the image is called `1`, and another name of each place's own.
fn run(places: &[Arc<MemoryRepository>]) -> (Run, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let target = |(position, place): (usize, &Arc<MemoryRepository>)| Target {
        tags: tags(&["1", &format!("of-{position}")]),
        ..Target::new(place.clone())
    };
    let targets = places.iter().enumerate().map(target).collect();
    let run = Run::new(targets, Options::default(), Arc::clone(&meter));
    (run, meter)
}

fn places<const N: usize>() -> [Arc<MemoryRepository>; N] {
    std::array::from_fn(|_| Arc::default())
}

fn index(source: &MemoryRepository) -> RawManifest {
    let amd64 = source.add_image("linux/amd64", "amd64 layer");
    let arm64 = source.add_image("linux/arm64", "arm64 layer");
    let index = index_of(&[("linux/amd64", &amd64), ("linux/arm64", &arm64)]);
    source.add_manifest(&MediaType::OCI_INDEX, &index)
}

#[tokio::test]
async fn everything_is_read_once_and_goes_everywhere() {
    let source = Counted::default();
    let root = index(&source.inner);
    let places = places::<5>();
    let (run, meter) = run(&places);
    run.copy(&source, &root).await.unwrap();
    run.tag(&root).await.unwrap();

    let reads = source.reads.lock().unwrap().clone();
    assert_eq!(
        reads.len(),
        7,
        "five blobs and two manifests below the root"
    );
    assert!(reads.values().all(|&times| times == 1), "{reads:?}");
    for (position, place) in places.iter().enumerate() {
        let log = place.log();
        assert_eq!(log.len(), 10, "{log:?}");
        assert_eq!(&log[5..8], ["manifest", "manifest", "index"]);
        assert_eq!(&log[8..], ["tag 1", &format!("tag of-{position}")]);
    }
    assert_eq!(meter.report().blobs_uploaded, 25);
    assert!(run.failures().is_empty());
}

#[tokio::test]
async fn each_place_gets_what_it_lacks() {
    let source = Counted::default();
    let root = index(&source.inner);
    let [whole, part, none] = places();
    super::tests::copied_to(&source.inner, &root, &whole).await;
    part.add_blob(MediaType::OCI_LAYER_GZIP, "amd64 layer");
    let before = whole.log();

    let (run, meter) = run(&[whole.clone(), part.clone(), none.clone()]);
    run.copy(&source, &root).await.unwrap();

    assert_eq!(whole.log(), before);
    assert_eq!((part.log().len(), none.log().len()), (7, 8));
    assert!(!part.log().contains(&"blob amd64 layer".to_owned()));
    let report = meter.report();
    assert_eq!((report.blobs_uploaded, report.blobs_reused), (9, 1));
    assert!(
        source
            .reads
            .lock()
            .unwrap()
            .values()
            .all(|&times| times == 1)
    );
}

#[tokio::test]
async fn what_everyone_has_is_not_read() {
    let source = Counted::default();
    let root = index(&source.inner);
    let places = places::<2>();
    for _ in 0..2 {
        let (run, _) = run(&places);
        let untagged = run.untagged(&root).await.unwrap();
        untagged.copy(&source, &root).await.unwrap();
        untagged.tag(&root).await.unwrap();
    }
    assert!(
        source
            .reads
            .lock()
            .unwrap()
            .values()
            .all(|&times| times == 1)
    );
}

#[tokio::test]
async fn one_place_that_fails_does_not_keep_the_image_from_the_others() {
    let source = Counted::default();
    let root = index(&source.inner);
    let [first, broken, last] = places();
    broken.refuse("arm64 layer");
    let (run, _) = run(&[first.clone(), broken.clone(), last.clone()]);
    run.copy(&source, &root).await.unwrap();
    run.tag(&root).await.unwrap();

    for place in [&first, &last] {
        assert_eq!(place.tag_names()["1"], *root.digest());
    }
    assert!(broken.tag_names().is_empty());
    assert!(!broken.has_manifest(root.digest()));
    let failures = run.failures();
    assert_eq!(failures.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(failures[&1].side, Side::Destination);
    assert_eq!(failures[&1].place, Destination::name(&*broken));
}

#[tokio::test]
async fn the_failure_of_the_last_place_is_that_of_the_run() {
    let source = Counted::default();
    let root = index(&source.inner);
    let places = places::<2>();
    for place in &places {
        place.refuse("shared layer");
    }
    let (run, _) = run(&places);
    let error = run.copy(&source, &root).await.unwrap_err();
    let mut failed: Vec<_> = run
        .failures()
        .into_values()
        .map(|error| error.place)
        .collect();
    failed.push(error.place);
    failed.sort();
    let mut names: Vec<_> = places
        .iter()
        .map(|place| Destination::name(&**place))
        .collect();
    names.sort_unstable();
    assert_eq!(failed, names);
}

/// An image without a manifest, of layers that are made while they are read.
fn unbuilt(layers: &[&'static str]) -> (UnbuiltImage, Reads) {
    let reads = Reads::default();
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| Digest::sha256(layer.as_bytes()))
        .collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}});
    let layer = |(position, text): (usize, &&'static str)| UnbuiltLayer {
        diff_id: diff_ids[position].clone(),
        opener: Arc::new(CountedOpener {
            inner: Arc::new(MemoryOpener::new(
                MediaType::DOCKER_LAYER_GZIP,
                (*text).into(),
            )),
            reads: reads.clone(),
            unknown: true,
        }),
    };
    let image = UnbuiltImage {
        config: config.to_string().into(),
        layers: layers.iter().enumerate().map(layer).collect(),
        order: None,
        tags: Vec::new(),
    };
    (image, reads)
}

#[tokio::test]
async fn layers_are_made_once_for_all() {
    let (image, reads) = unbuilt(&["a", "b", "a"]);
    let places = places::<3>();
    let (run, meter) = run(&places);
    let manifest = run.assemble(&image, &KnownLayers::default()).await.unwrap();
    let reads = reads.lock().unwrap().clone();
    assert_eq!(reads.into_values().collect::<Vec<_>>(), [1, 1]);
    for place in &places {
        assert!(place.has_manifest(manifest.digest()));
    }
    assert_eq!(meter.report().blobs_uploaded, 9);
    assert_eq!(meter.checkpoint().layers.len(), 2);
}

#[tokio::test]
async fn an_image_that_one_place_has_is_copied_from_there() {
    let (image, _) = unbuilt(&["a", "b"]);
    let [old, new] = places();
    let (first, _) = run(std::slice::from_ref(&old));
    let manifest = first
        .assemble(&image, &KnownLayers::default())
        .await
        .unwrap();
    first.tag(&manifest).await.unwrap();

    let (both, _) = run(&[new.clone(), old.clone()]);
    let mut known = KnownLayers::default();
    known
        .learn(&old, ManifestKey::Digest(manifest.digest()))
        .await;
    let config = Digest::sha256(&image.config);
    let (place, same) = known.image_of(&both, &config).unwrap();
    let before = old.log();
    both.copy(place, same).await.unwrap();
    assert_eq!(same, &manifest);
    assert!(new.has_manifest(manifest.digest()));
    assert_eq!(old.log(), before);
}

#[tokio::test]
async fn a_layer_that_one_place_has_is_not_made_again() {
    let (before, _) = unbuilt(&["a", "b"]);
    let [old, new] = places();
    let (first, _) = run(std::slice::from_ref(&old));
    let manifest = first
        .assemble(&before, &KnownLayers::default())
        .await
        .unwrap();

    let (image, reads) = unbuilt(&["a", "c"]);
    let mut known = KnownLayers::default();
    known
        .learn(&old, ManifestKey::Digest(manifest.digest()))
        .await;
    known.read_configs().await;
    let (both, _) = run(&[new.clone(), old.clone()]);
    let manifest = both.assemble(&image, &known).await.unwrap();
    assert_eq!(reads.lock().unwrap().len(), 1, "only c");
    for place in [&old, &new] {
        assert!(place.has_manifest(manifest.digest()));
    }
}

#[tokio::test]
async fn a_target_that_takes_no_referrers_gets_the_image_without_them() {
    let source = MemoryRepository::default();
    let root = source.add_image("linux/amd64", "layer");
    let empty = source.add_blob(MediaType::OCI_EMPTY, "{}");
    let subject = root.descriptor();
    let document = json!({"schemaVersion": 2, "config": empty, "layers": [], "subject": subject});
    let sbom = source.add_manifest(&MediaType::OCI_MANIFEST, &document);
    let takes = Arc::new(MemoryRepository::default());
    let refuses = Arc::new(MemoryRepository {
        without_subjects: true,
        ..MemoryRepository::default()
    });
    let targets = [&refuses, &takes].map(|place| Target {
        tags: vec!["1".parse().unwrap()],
        ..Target::new(Arc::clone(place) as Arc<dyn Destination>)
    });
    let meter = Arc::new(Meter::default());
    let run = Run::new(targets.into(), Options::default(), Arc::clone(&meter));
    run.copy(&source, &root).await.unwrap();
    run.copy_referrers(&source, &root).await.unwrap();
    run.tag(&root).await.unwrap();

    assert!(run.failures().is_empty());
    assert_eq!(meter.report().referrers_refused, 1);
    assert!(takes.has_manifest(sbom.digest()) && !refuses.has_manifest(sbom.digest()));
    for place in [&takes, &refuses] {
        assert_eq!(place.tag_names()["1"], *root.digest());
    }
}
