//! Archives as tools write them, compared with what skopeo reads from each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore::archive::{Archive, Compression, Selected};
use longshore::content::{ByteStream, FileObject, Opener, Source, UnbuiltImage, collect};
use longshore::oci::{Descriptor, Digest, ImageConfig, Manifest, RawManifest};
use serde::Deserialize;

/// What skopeo reads from an archive.
#[derive(Deserialize)]
struct Expected {
    manifest: Digest,
    config: Digest,
    diff_ids: Vec<Digest>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expected() -> BTreeMap<String, Expected> {
    let file = std::fs::read(fixtures().join("expected.json")).unwrap();
    serde_json::from_slice(&file).unwrap()
}

async fn open(path: &Path) -> Archive {
    let object = FileObject::open(path).await.unwrap();
    Archive::open(Arc::new(object)).await.unwrap()
}

async fn drain(stream: ByteStream) -> bytes::Bytes {
    collect(stream, 1 << 20).await.unwrap()
}

async fn read(opener: Arc<dyn Opener>) -> bytes::Bytes {
    let bytes = drain(opener.open(0).await.unwrap()).await;
    let descriptor = opener.descriptor().unwrap();
    assert!(descriptor.digest.matches(&bytes));
    assert_eq!(descriptor.size, bytes.len() as u64);
    bytes
}

fn diff_ids(config: &[u8]) -> Vec<Digest> {
    let config: ImageConfig = serde_json::from_slice(config).unwrap();
    config.rootfs.diff_ids
}

/// Which image of an archive with several.
fn selector(file: &str) -> Option<&'static str> {
    match file {
        "podman-docker-images.tar" => Some("#localhost/app:arm64"),
        _ => None,
    }
}

/// Reads all that is below a manifest; gives the image for amd64, or the only one.
async fn read_stored(root: &RawManifest, source: &dyn Source) -> RawManifest {
    let mut found = None;
    let mut left = vec![root.clone()];
    while let Some(manifest) = left.pop() {
        let manifest = manifest.parse().unwrap();
        for blob in manifest.blobs() {
            read(source.blob(blob)).await;
        }
        for child in manifest.entries() {
            let manifest = source.manifest(child).await.unwrap();
            assert_eq!(*manifest.digest(), child.digest);
            let amd64 = |child: &Descriptor| {
                let platform = child.platform.as_ref();
                platform.is_some_and(|platform| platform.architecture == "amd64")
            };
            if amd64(child) {
                found = Some(manifest.clone());
            }
            left.push(manifest);
        }
    }
    found.unwrap_or_else(|| root.clone())
}

async fn check_stored(file: &str, root: &RawManifest, source: &dyn Source, expected: &Expected) {
    // skopeo shows the index, of which this archive has one platform.
    if file != "docker-containerd.tar" {
        assert_eq!(*root.digest(), expected.manifest, "{file}");
    }
    let image = read_stored(root, source).await;
    let Manifest::Image(image) = image.parse().unwrap() else {
        panic!("{file}: an index in place of an image");
    };
    assert_eq!(image.config.digest, expected.config, "{file}");
    let config = read(source.blob(&image.config)).await;
    assert_eq!(diff_ids(&config), expected.diff_ids, "{file}");
}

async fn check_unbuilt(file: &str, image: &UnbuiltImage, expected: &Expected) {
    assert_eq!(Digest::sha256(&image.config), expected.config, "{file}");
    assert_eq!(diff_ids(&image.config), expected.diff_ids, "{file}");
    assert_eq!(image.layers.len(), expected.diff_ids.len(), "{file}");
    for layer in &image.layers {
        read(Arc::clone(&layer.opener)).await;
    }
}

#[tokio::test]
async fn archives_hold_what_skopeo_reads_from_them() {
    let mut unbuilt = 0;
    let all = expected();
    for (file, expected) in &all {
        let archive = open(&fixtures().join(file)).await;
        let selector = selector(file).map(|text| text.parse().unwrap());
        let selected = archive.select(selector.as_ref(), Compression::Gzip).await;
        match selected.unwrap_or_else(|error| panic!("{file}: {error}")) {
            Selected::Stored { root, source } => {
                check_stored(file, &root, source.as_ref(), expected).await;
            }
            Selected::Unbuilt(image) => {
                check_unbuilt(file, &image, expected).await;
                unbuilt += 1;
            }
        }
    }
    assert_eq!((all.len(), unbuilt), (23, 14));
}

#[tokio::test]
async fn every_compression_of_the_whole_gives_the_same_layers() {
    let mut all = Vec::new();
    for extension in ["", ".gz", ".zst", ".xz", ".bz2"] {
        let archive = open(&fixtures().join(format!("docker-24.tar{extension}"))).await;
        assert_eq!(archive.is_complete(), extension.is_empty());
        let selected = archive.select(None, Compression::Gzip).await.unwrap();
        let Selected::Unbuilt(image) = selected else {
            panic!("expected an image without a manifest");
        };
        let mut digests = Vec::new();
        for layer in image.layers {
            digests.push(Digest::sha256(&read(layer.opener).await));
        }
        all.push(digests);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn a_directory_is_read_as_the_archive_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = std::fs::File::open(fixtures().join("buildah-oci-platforms.tar")).unwrap();
    tar::Archive::new(file).unpack(directory.path()).unwrap();
    let archive = Archive::open_directory(directory.path()).await.unwrap();
    let selected = archive.select(None, Compression::Gzip).await.unwrap();
    let Selected::Stored { root, source } = selected else {
        panic!("expected an image that is copied exactly");
    };
    let expected = &expected()["buildah-oci-platforms.tar"];
    check_stored("directory", &root, source.as_ref(), expected).await;
}
