//! The cost of reading an archive that is compressed as a whole, in the order that it asks for.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{Counting, Tar, config, gzip, noise, read};
use super::*;
use crate::content::Order;
use crate::oci::{Descriptor, Digest};

/// The files of an archive, to be put into any order.
struct Parts(Vec<(String, Vec<u8>)>);

impl Parts {
    fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((name.into(), bytes.into()));
    }

    fn blob(&mut self, media_type: MediaType, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        let hex = descriptor.digest.hex();
        self.add(format!("blobs/sha256/{hex}"), bytes);
        descriptor
    }

    /// A manifest, a config and two layers, in this order. The layers are noise of this length.
    fn image(&mut self, length: usize) -> Descriptor {
        self.image_of(&MediaType::OCI_LAYER_GZIP, length)
    }

    fn image_of(&mut self, layer_type: &MediaType, length: usize) -> Descriptor {
        let layers = [noise(length), noise(length + 1)];
        let mut parts = Self(Vec::new());
        let config = config(&layers.each_ref().map(Vec::as_slice));
        let config = parts.blob(MediaType::OCI_CONFIG, config.to_string().into());
        let layers = layers.map(|layer| parts.blob(layer_type.clone(), layer));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = self.blob(MediaType::OCI_MANIFEST, manifest.to_string().into());
        self.0.extend(parts.0);
        manifest
    }

    /// A layout with one image: `oci-layout`, `index.json`, and the blobs of it.
    fn layout(length: usize) -> Self {
        let mut blobs = Self(Vec::new());
        let image = blobs.image(length);
        let mut parts = Self(Vec::new());
        parts.add("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
        parts.add("index.json", index(&[&image]).to_string());
        parts.0.extend(blobs.0);
        parts
    }

    /// `manifest.json`, a config and two plain layers.
    fn docker(length: usize) -> Self {
        let layers = [noise(length), noise(length + 1)];
        let manifest = json!([{
            "Config": "config.json",
            "RepoTags": ["app:1"],
            "Layers": ["0/layer.tar", "1/layer.tar"],
        }]);
        let mut parts = Self(Vec::new());
        parts.add("manifest.json", manifest.to_string());
        let config = config(&layers.each_ref().map(Vec::as_slice));
        parts.add("config.json", config.to_string());
        for (place, layer) in layers.into_iter().enumerate() {
            parts.add(format!("{place}/layer.tar"), layer);
        }
        parts
    }

    /// An archive as `docker save` writes it since version 25: a layout over plain layers, which
    /// are to be compressed, beside `manifest.json`.
    fn docker_25(length: usize) -> Self {
        let mut blobs = Self(Vec::new());
        let image = blobs.image_of(&MediaType::OCI_LAYER, length);
        let named = |place: usize| blobs.0[place].0.clone();
        let manifest = json!([{"Config": named(1), "Layers": [named(2), named(3)]}]);
        let mut parts = Self(Vec::new());
        parts.add("index.json", index(&[&image]).to_string());
        parts.add("manifest.json", manifest.to_string());
        parts.0.extend(blobs.0);
        parts
    }

    fn in_order(&self, places: &[usize]) -> Self {
        Self(places.iter().map(|&place| self.0[place].clone()).collect())
    }

    fn packed(&self) -> Arc<Counting> {
        let files = self.0.iter();
        let tar = files.fold(Tar::default(), |tar, (name, bytes)| tar.file(name, bytes));
        Arc::new(Counting::new(gzip(&tar.finish())))
    }
}

fn index(entries: &[&Descriptor]) -> Value {
    json!({"schemaVersion": 2, "manifests": entries})
}

/// Reads the layers of the image in the order of the archive, and the archive to its end. Gives
/// their diff IDs or digests.
async fn read_all(object: &Arc<Counting>) -> Vec<Digest> {
    let archive = Archive::open(object.clone()).await.unwrap();
    let selected = archive.select(None, Compression::Gzip).await.unwrap();
    let (order, mut left) = match selected {
        Selected::Stored { root, source } => {
            let Manifest::Image(image) = root.parse().unwrap() else {
                panic!("expected one image");
            };
            let blobs = image.layers.iter().chain([&image.config]);
            let blobs = blobs.map(|blob| (blob.digest.clone(), source.blob(blob)));
            (source.order(), blobs.collect::<BTreeMap<_, _>>())
        }
        Selected::Unbuilt(image) => {
            let layers = image.layers.into_iter();
            let layers = layers.map(|layer| (layer.diff_id, layer.opener));
            (image.order, layers.collect())
        }
    };
    let order: Arc<dyn Order> = order.expect("an order");
    let mut done = Vec::new();
    while !left.is_empty() {
        let wanted: Vec<_> = left.keys().collect();
        let next = wanted[order.next(&wanted).await.unwrap()].clone();
        read(&*left.remove(&next).unwrap()).await;
        done.push(next);
    }
    archive.complete().await.unwrap();
    done.sort();
    done
}

/// The number of times that all of an object was read, beside its beginning, by which its format is
/// told. Each is so small that a pass reads it at once.
fn passes(object: &Counting) -> u64 {
    let read = object.bytes() - object.size().min(64 << 10);
    assert_eq!(read % object.size(), 0);
    read / object.size()
}

#[tokio::test]
async fn one_pass_is_enough_where_the_description_comes_before_the_layers() {
    for parts in [Parts::layout(9_000), Parts::docker(9_000)] {
        let documents = parts.0.len() - 2;
        let mut layers_swapped: Vec<usize> = (0..parts.0.len()).collect();
        layers_swapped.swap(documents, documents + 1);
        let object = parts.packed();
        let all = read_all(&object).await;
        assert_eq!(passes(&object), 1);

        let object = parts.in_order(&layers_swapped).packed();
        assert_eq!(read_all(&object).await, all);
        assert_eq!(passes(&object), 1);
    }
}

#[tokio::test]
async fn a_layer_that_is_there_twice_is_read_where_it_comes_first() {
    let layers = [noise(9_000), noise(9_001), noise(9_000)];
    let manifest = json!([{"Config": "config.json", "Layers": ["0", "1", "2"]}]);
    let mut parts = Parts(Vec::new());
    parts.add("manifest.json", manifest.to_string());
    let config = config(&layers.each_ref().map(Vec::as_slice));
    parts.add("config.json", config.to_string());
    for (place, layer) in layers.into_iter().enumerate() {
        parts.add(place.to_string(), layer);
    }
    let object = parts.packed();
    assert_eq!(read_all(&object).await.len(), 2);
    assert_eq!(passes(&object), 1);
}

#[tokio::test]
async fn files_that_describe_nothing_may_stand_anywhere() {
    let mut parts = Parts::layout(9_000);
    parts.0.insert(0, ("README".to_owned(), noise(700)));
    parts
        .0
        .insert(3, ("blobs/sha256/other".to_owned(), noise(70_000)));
    let object = parts.packed();
    read_all(&object).await;
    assert_eq!(passes(&object), 1);
}

#[tokio::test]
async fn a_layout_may_come_behind_a_manifest_json_that_names_its_blobs() {
    let mut blobs = Parts(Vec::new());
    let image = blobs.image(9_000);
    let named = |place: usize| blobs.0[place].0.clone();
    let manifest = json!([{"Config": named(1), "Layers": [named(2), named(3)]}]);
    let mut parts = Parts(Vec::new());
    parts.add("manifest.json", manifest.to_string());
    parts.0.extend(blobs.0.clone());
    parts.add("index.json", index(&[&image]).to_string());
    let archive = Archive::open(parts.packed()).await.unwrap();
    let selected = archive.select(None, Compression::Gzip).await.unwrap();
    let Selected::Stored { root, .. } = selected else {
        panic!("expected the image of the layout");
    };
    assert_eq!(*root.digest(), image.digest);
}

#[tokio::test]
async fn whether_plain_layers_are_compressed_depends_on_no_order() {
    let parts = Parts::docker_25(9_000);
    for (order, expected) in [([0, 1, 2, 3, 4, 5], 1), ([0, 2, 3, 4, 5, 1], 2)] {
        let object = parts.in_order(&order).packed();
        let archive = Archive::open(object.clone()).await.unwrap();
        let selected = archive.select(None, Compression::Gzip).await.unwrap();
        assert!(matches!(selected, Selected::Unbuilt(_)));
        drop((archive, selected));
        let begun = object.bytes();
        read_all(&object).await;
        let read = object.bytes() - begun - object.size().min(64 << 10);
        assert_eq!(read, expected * object.size());
    }
}

#[tokio::test]
async fn what_was_said_early_is_said_otherwise_at_the_end() {
    let mut parts = Parts::layout(9_000);
    let other = parts.image(8_000);
    parts.add("index.json", index(&[&other]).to_string());
    let archive = Archive::open(parts.packed()).await.unwrap();
    let select = async || match archive.select(None, Compression::Gzip).await.unwrap() {
        Selected::Stored { root, .. } => root.digest().clone(),
        Selected::Unbuilt(_) => panic!("expected the image of a layout"),
    };
    assert_ne!(select().await, other.digest);
    assert!(!archive.is_complete());
    archive.complete().await.unwrap();
    assert_eq!(select().await, other.digest);
}

#[tokio::test]
async fn a_large_config_behind_the_layers_takes_no_third_pass() {
    let mut parts = Parts::docker(9_000);
    let (_, config) = &mut parts.0[1];
    config.resize(3 << 20, b' ');
    let object = parts.in_order(&[2, 3, 0, 1]).packed();
    read_all(&object).await;
    assert_eq!(passes(&object), 2);
}

#[tokio::test]
async fn a_layer_that_is_not_there_is_missed_at_the_end() {
    let mut parts = Parts::docker(9_000);
    parts.0.pop();
    let archive = Archive::open(parts.packed()).await.unwrap();
    let selected = archive.select(None, Compression::Gzip).await.unwrap();
    let Selected::Unbuilt(image) = selected else {
        panic!("expected an image without a manifest");
    };
    let wanted: Vec<_> = image.layers.iter().map(|layer| &layer.diff_id).collect();
    let order = image.order.unwrap();
    assert_eq!(order.next(&wanted).await.unwrap(), 0);
    assert_eq!(order.next(&wanted[1..]).await.unwrap(), 0);
    let error = image.layers[1].opener.open(0).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "manifest.json names \"1/layer.tar\", which is not in the archive"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_takes_two_passes_at_most(
        kind in 0..3,
        places in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let parts = match kind {
            0 => Parts::layout(4_000),
            1 => Parts::docker(4_000),
            _ => Parts::docker_25(4_000),
        };
        let places: Vec<_> = places.into_iter().filter(|&p| p < parts.0.len()).collect();
        let documents = parts.0.len() - 2;
        let first_layer = places.iter().position(|&place| place >= documents).unwrap();
        let says_something = |place: &usize| parts.0[*place].0 != "oci-layout";
        let is_described = (0..documents)
            .filter(says_something)
            .all(|document| places[..first_layer].contains(&document));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let straight = parts.packed();
            let object = parts.in_order(&places).packed();
            assert_eq!(read_all(&object).await, read_all(&straight).await);
            let passes = passes(&object);
            assert!(passes <= if is_described { 1 } else { 2 }, "{passes} passes");
        });
    }
}
