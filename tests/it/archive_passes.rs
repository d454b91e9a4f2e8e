//! Archives that are compressed as a whole: how often they are read, counted at the bucket.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use longshore::copy::Report;
use longshore::deploy::{Deployed, Image, Referrers};
use longshore::oci::{Descriptor, Digest, MediaType, Platform};
use serde_json::{Value, json};

use crate::support::{Archive, Bench, image, output};

const LAYER: usize = 1_500_000;

fn noise(seed: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed as u64);
    std::iter::repeat_with(|| random.u8(..))
        .take(LAYER)
        .collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive of `docker save` with one layer a seed.
fn docker(seeds: &[usize]) -> Archive {
    let layers: Vec<_> = seeds.iter().map(|seed| noise(*seed)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    Archive::of(&layers)
}

/// The same with what describes the image before the layers.
fn described_first(seeds: &[usize]) -> Archive {
    let mut archive = docker(seeds);
    archive.entries.rotate_right(2);
    archive
}

/// An OCI layout in the order of `regctl image export`: every manifest before what it names.
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    fn add(&mut self, name: String, bytes: Vec<u8>) {
        if self.0.iter().all(|(known, _)| *known != name) {
            self.0.push((name, bytes));
        }
    }

    fn blob(&mut self, media_type: MediaType, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        let hex = descriptor.digest.hex();
        self.add(format!("blobs/sha256/{hex}"), bytes);
        descriptor
    }

    fn append(&mut self, other: Self) {
        for (name, bytes) in other.0 {
            self.add(name, bytes);
        }
    }

    fn document(&mut self, media_type: MediaType, value: &Value) -> Descriptor {
        self.blob(media_type, value.to_string().into_bytes())
    }

    /// An image with one layer a seed, behind what is there.
    fn image(&mut self, platform: &str, seeds: &[usize]) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let plain: Vec<_> = seeds.iter().map(|seed| noise(*seed)).collect();
        let diff_ids: Vec<_> = plain.iter().map(|layer| Digest::sha256(layer)).collect();
        let mut below = Self(Vec::new());
        let config = below.document(
            MediaType::OCI_CONFIG,
            &json!({
                "os": platform.os,
                "architecture": platform.architecture,
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }),
        );
        let layers = plain.iter();
        let layers = layers.map(|layer| below.blob(MediaType::OCI_LAYER_GZIP, gzip(layer)));
        let layers: Vec<_> = layers.collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut manifest = self.document(MediaType::OCI_MANIFEST, &manifest);
        self.append(below);
        manifest.platform = Some(platform);
        manifest
    }

    /// Two platforms, the second of which begins behind the layers of the first.
    fn platforms() -> (Self, Digest) {
        let mut below = Self(Vec::new());
        let images = [
            below.image("linux/amd64", &[1, 2]),
            below.image("linux/arm64", &[3, 1]),
        ];
        let mut layout = Self(Vec::new());
        let index = json!({"schemaVersion": 2, "manifests": images});
        let root = layout.document(MediaType::OCI_INDEX, &index);
        layout.append(below);
        (layout.listing(&root), root.digest)
    }

    fn listing(mut self, root: &Descriptor) -> Self {
        let index = json!({"schemaVersion": 2, "manifests": [root]});
        let index = ("index.json".to_owned(), index.to_string().into_bytes());
        self.0.insert(0, index);
        self
    }

    fn archive(self) -> Archive {
        Archive { entries: self.0 }
    }
}

/// Deploys an archive, gzipped, and counts how much of it was read.
async fn deploy(bench: &Bench, archive: &Archive, image_of: impl Fn(&str) -> Image) -> Read {
    deploy_packed(bench, &gzip(&archive.tar()), image_of).await
}

async fn deploy_packed(bench: &Bench, packed: &[u8], image_of: impl Fn(&str) -> Image) -> Read {
    let image = image_of(&bench.stage("app.tar.gz", packed));
    let (deployed, report) = bench.deploy(&image).await;
    let read = bench.bytes_of_bucket();
    let quarter = packed.len() as u64 / 4;
    Read {
        deployed,
        report,
        quarters: (read + quarter / 2) / quarter,
    }
}

struct Read {
    deployed: Deployed,
    report: Report,
    /// How many quarters of the archive were read, to the nearest.
    quarters: u64,
}

#[tokio::test]
async fn an_archive_of_docker_is_read_twice_unless_it_describes_its_image_first() {
    let bench = Bench::new().await;
    let last = deploy(&bench, &docker(&[1, 2]), |source| image(source, "last:1")).await;
    let archive = described_first(&[1, 2]);
    let first = deploy(&bench, &archive, |source| image(source, "first:1")).await;
    assert_eq!(first.deployed.digest, last.deployed.digest);
    assert_eq!((first.quarters, last.quarters), (4, 8));
}

#[tokio::test]
async fn an_index_whose_images_stand_one_behind_the_other_is_read_once() {
    let bench = Bench::new().await;
    let (layout, digest) = Layout::platforms();
    let read = deploy(&bench, &layout.archive(), |source| image(source, "app:1")).await;
    assert_eq!(read.deployed.digest, digest);
    assert_eq!(read.deployed.platforms.len(), 2);
    // Two manifests with a config each, and three layers of which one is in both.
    assert_eq!(read.report.blobs_uploaded, 5);
    assert_eq!(read.quarters, 4);
}

#[tokio::test]
async fn a_layer_that_was_passed_before_it_was_wanted_takes_a_second_pass() {
    let bench = Bench::new().await;
    let (layout, _) = Layout::platforms();
    let arm64 = |source: &str| {
        let mut image = image(source, "app:1");
        image.platforms = Some(vec!["linux/arm64".parse().unwrap()]);
        image
    };
    let read = deploy(&bench, &layout.archive(), arm64).await;
    // One of its layers stands where the other image has it, before its own manifest.
    assert!((5..=8).contains(&read.quarters), "{}", read.quarters);
    let platforms = read.deployed.platforms;
    assert_eq!(platforms, ["linux/arm64".parse().unwrap()]);
}

#[tokio::test]
async fn an_index_in_any_order_is_read_twice_at_most() {
    let (layout, digest) = Layout::platforms();
    let mut archive = layout.archive();
    for seed in 0..16 {
        fastrand::Rng::with_seed(seed).shuffle(&mut archive.entries);
        let bench = Bench::new().await;
        let read = deploy(&bench, &archive, |source| image(source, "app:1")).await;
        assert_eq!(read.deployed.digest, digest);
        assert_eq!(read.report.blobs_uploaded, 5);
        let names: Vec<_> = archive.entries.iter().map(|(name, _)| name).collect();
        assert!(
            (4..=8).contains(&read.quarters),
            "{} {names:#?}",
            read.quarters
        );
    }
}

#[tokio::test]
async fn a_changed_layer_is_all_that_moves_of_an_archive_that_is_read_once() {
    let bench = Bench::new().await;
    let to = |source: &str| image(source, "app:1");
    let whole = deploy(&bench, &described_first(&[1, 2, 3, 4, 5, 6]), to).await;
    let same = deploy(&bench, &described_first(&[1, 2, 3, 4, 5, 6]), to).await;
    assert_eq!(same.deployed.digest, whole.deployed.digest);
    assert_eq!((same.report.bytes_uploaded, same.quarters), (0, 4));
    let changed = deploy(&bench, &described_first(&[1, 2, 3, 7, 5, 6]), to).await;
    assert_eq!(changed.quarters, 4);
    assert_eq!(changed.report.blobs_uploaded, 2, "the layer and the config");
    let sixth = whole.report.bytes_uploaded / 6;
    assert!(changed.report.bytes_uploaded <= sixth + sixth / 100);
}

#[tokio::test]
async fn what_an_archive_says_last_counts() {
    let bench = Bench::new().await;
    let mut layout = Layout(Vec::new());
    let old = layout.image("linux/amd64", &[1, 2]);
    let new = layout.image("linux/amd64", &[2, 3]);
    let mut archive = layout.listing(&old).archive();
    let again = Layout(Vec::new()).listing(&new).archive();
    archive.entries.extend(again.entries);
    let read = deploy(&bench, &archive, |source| image(source, "app:1")).await;
    assert_eq!(read.deployed.digest, new.digest);
    let puts = bench.registry_requests();
    let mut puts = puts.iter().filter(|request| request.method == "PUT");
    let old = old.digest.to_string();
    assert!(
        puts.any(|put| put.path.ends_with(&old)),
        "the first one, by digest"
    );
    let tags = puts.filter(|put| put.path.ends_with("/manifests/1"));
    assert_eq!(tags.count(), 1);
}

#[tokio::test]
async fn the_other_description_counts_where_a_layer_of_the_first_is_missing() {
    let bench = Bench::new().await;
    let mut layout = Layout(Vec::new());
    let incomplete = layout.image("linux/amd64", &[1, 2]);
    layout.0.pop();
    let mut archive = layout.listing(&incomplete).archive();
    let expected = deploy(&bench, &docker(&[3]), |source| image(source, "other:1")).await;
    archive.entries.extend(docker(&[3]).entries);
    let to_both = |source: &str| {
        let mut one = image(source, "app:1");
        one.targets.extend(image(source, "second:1").targets);
        one
    };
    let read = deploy(&bench, &archive, to_both).await;
    assert_eq!(read.deployed.digest, expected.deployed.digest);
    assert_eq!(read.deployed.places.len(), 2);
}

/// A layout with a signature of its image under the tag that cosign gives it.
fn signed() -> Archive {
    let mut layout = Layout(Vec::new());
    let image = layout.image("linux/amd64", &[1, 2]);
    let mut signature = layout.image("linux/amd64", &[4]);
    let tag = format!("sha256-{}.sig", image.digest.hex());
    for (key, value) in [
        ("org.opencontainers.image.ref.name", tag.as_str()),
        ("kind", "dev.cosignproject.cosign/sigs"),
    ] {
        let (key, value) = (key.to_owned(), value.to_owned());
        signature.annotations.insert(key, value);
    }
    let index = json!({"schemaVersion": 2, "manifests": [image, signature]});
    let index = ("index.json".to_owned(), index.to_string().into_bytes());
    layout.0.insert(0, index);
    layout.archive()
}

#[tokio::test]
async fn no_tag_is_written_for_an_archive_that_is_cut_off_behind_its_image() {
    for archive in [described_first(&[1, 2]), signed()] {
        let bench = Bench::new().await;
        let mut archive = archive;
        archive.entries.push(("README".to_owned(), noise(3)));
        let packed = gzip(&archive.tar());
        let with_referrers = |source: &str| Image {
            referrers: Referrers::Copy,
            ..image(source, "app:1")
        };
        let tags = || {
            let requests = bench.registry_requests().into_iter();
            let puts = requests.filter(|request| request.method == "PUT");
            let manifests = puts.filter(|put| put.path.contains("/manifests/"));
            manifests.filter(|put| !put.path.contains("/sha256:"))
        };

        let cut_off = &packed[..packed.len() - LAYER / 2];
        let source = bench.stage("cut-off.tar.gz", cut_off);
        let meter = Arc::default();
        let failed = bench.deployer.run(&with_referrers(&source), &meter).await;
        let error = failed.unwrap_err();
        let causes: Vec<_> = anyhow::Chain::new(&error)
            .map(ToString::to_string)
            .collect();
        let expected = "the archive's gzip stream is damaged or cut off: write or upload it again";
        assert!(causes.iter().any(|cause| cause == expected), "{causes:#?}");
        assert_eq!(tags().count(), 0);

        deploy_packed(&bench, &packed, with_referrers).await;
        assert!(tags().count() > 0);
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_layout_packed_as_the_page_says_is_read_once() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/archives.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, script) = page.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.tar"), docker(&[1, 2, 3]).tar()).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(folder.path());
    output(&mut shell);

    let bench = Bench::new().await;
    let packed = std::fs::read(folder.path().join("app.tar.gz")).unwrap();
    let read = deploy_packed(&bench, &packed, |source| image(source, "app:1")).await;
    assert_eq!(read.quarters, 4);
    let index = std::fs::read(folder.path().join("layout/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(
        index["manifests"][0]["digest"],
        read.deployed.digest.to_string()
    );
}
