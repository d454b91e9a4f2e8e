//! What a user can rely on of the engine, shown on repositories in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::testing::{MemoryRepository, index_of};
use super::{
    Checkpoint, Concurrency, Description, KnownLayers, Meter, Options, Report, Run, Selection,
    Target, describe, select,
};
use crate::content::{ManifestKey, MemoryOpener, Source, UnbuiltImage, UnbuiltLayer};
use crate::oci::{Digest, ImageManifest, Manifest, MediaType, Platform, RawManifest, Tag};

fn run(destination: &Arc<MemoryRepository>) -> (Run, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let destination = Arc::clone(destination);
    let targets = vec![Target::new(destination)];
    (
        Run::new(targets, Options::default(), Arc::clone(&meter)),
        meter,
    )
}

pub(super) async fn copied_to(
    source: &MemoryRepository,
    root: &RawManifest,
    destination: &Arc<MemoryRepository>,
) -> Report {
    let (run, meter) = run(destination);
    run.copy(source, root).await.unwrap();
    meter.report()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn platforms(names: &[&str]) -> Selection {
    let platforms = names.iter().map(|name| name.parse::<Platform>().unwrap());
    Selection {
        platforms: Some(platforms.collect()),
        ..Selection::default()
    }
}

fn two_platforms(source: &MemoryRepository) -> RawManifest {
    let amd64 = source.add_image("linux/amd64", "amd64 layer");
    let arm64 = source.add_image("linux/arm64", "arm64 layer");
    let index = index_of(&[("linux/amd64", &amd64), ("linux/arm64/v8", &arm64)]);
    source.add_manifest(&MediaType::OCI_INDEX, &index)
}

/// As [`two_platforms`], with a BuildKit attestation about each.
fn attested(source: &MemoryRepository) -> RawManifest {
    let amd64 = source.add_image("linux/amd64", "amd64 layer");
    let arm64 = source.add_image("linux/arm64", "arm64 layer");
    let sbom = source.add_image("unknown/unknown", "sbom of amd64");
    let other = source.add_image("unknown/unknown", "sbom of arm64");
    let mut index = index_of(&[
        ("linux/amd64", &amd64),
        ("linux/arm64", &arm64),
        ("unknown/unknown", &sbom),
        ("unknown/unknown", &other),
    ]);
    for (place, of) in [(2, &amd64), (3, &arm64)] {
        index["manifests"][place]["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of.digest(),
        });
    }
    source.add_manifest(&MediaType::OCI_INDEX, &index)
}

#[tokio::test]
async fn copies_an_index_exactly_and_children_first() {
    let source = MemoryRepository::default();
    let root = two_platforms(&source);
    let nested = index_of(&[("linux/s390x", &root)]);
    let nested = source.add_manifest(&MediaType::OCI_INDEX, &nested);
    let destination = Arc::new(MemoryRepository::default());

    let report = copied_to(&source, &nested, &destination).await;

    assert!(destination.has_manifest(nested.digest()));
    let log = destination.log();
    let kinds: Vec<_> = log
        .iter()
        .filter(|entry| !entry.starts_with("blob"))
        .collect();
    assert_eq!(kinds, ["manifest", "manifest", "index", "index"]);
    assert_eq!(
        log.iter()
            .filter(|entry| *entry == "blob shared layer")
            .count(),
        1
    );
    assert_eq!((report.blobs_uploaded, report.manifests_pushed), (5, 4));
}

#[tokio::test]
async fn a_manifest_that_is_listed_at_two_depths_goes_before_both_lists() {
    let source = MemoryRepository::default();
    let image = source.add_image("linux/amd64", "layer");
    let nested = index_of(&[("linux/amd64", &image)]);
    let nested = source.add_manifest(&MediaType::OCI_INDEX, &nested);
    let root = index_of(&[("linux/amd64", &nested), ("linux/amd64", &image)]);
    let root = source.add_manifest(&MediaType::OCI_INDEX, &root);
    let destination = Arc::new(MemoryRepository::default());
    let report = copied_to(&source, &root, &destination).await;
    assert_eq!(report.manifests_pushed, 3);
    assert!(destination.has_manifest(root.digest()));
}

#[tokio::test]
async fn copies_nothing_twice() {
    let source = MemoryRepository::default();
    let root = two_platforms(&source);
    let destination = Arc::new(MemoryRepository::default());
    copied_to(&source, &root, &destination).await;
    let before = destination.log();

    let again = copied_to(&source, &root, &destination).await;
    assert_eq!(destination.log(), before);
    assert_eq!(
        (
            again.blobs_uploaded,
            again.manifests_pushed,
            again.manifests_reused
        ),
        (0, 0, 1)
    );

    let new = source.add_image("linux/arm64", "new layer");
    let report = copied_to(&source, &new, &destination).await;
    assert_eq!((report.blobs_uploaded, report.blobs_reused), (1, 2));
}

#[tokio::test]
async fn mounts_what_the_registry_has_elsewhere() {
    let source = MemoryRepository::default();
    let root = source.add_image("linux/amd64", "layer");
    let mountable = [Digest::sha256(b"layer"), Digest::sha256(b"shared layer")];
    let destination = Arc::new(MemoryRepository {
        mountable: mountable.into(),
        ..Default::default()
    });
    let meter = Arc::new(Meter::default());
    let target = Target {
        mount_from: vec!["base".to_owned()],
        ..Target::new(destination.clone())
    };
    let run = Run::new(vec![target], Options::default(), Arc::clone(&meter));
    run.copy(&source, &root).await.unwrap();
    assert_eq!(
        (meter.report().blobs_mounted, meter.report().blobs_uploaded),
        (2, 1)
    );
}

#[tokio::test]
async fn leaves_foreign_layers_with_their_publisher() {
    let source = MemoryRepository::default();
    let config = source.add_blob(MediaType::OCI_CONFIG, "{}");
    let base = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": Digest::sha256(b"windows"), "size": 7, "urls": ["https://example.com/layer"],
    });
    let document = json!({"schemaVersion": 2, "config": config, "layers": [base]});
    let root = source.add_manifest(&MediaType::DOCKER_MANIFEST, &document);
    let destination = Arc::new(MemoryRepository::default());
    destination.add_blob(MediaType::OCTET_STREAM, "windows");
    let report = copied_to(&source, &root, &destination).await;
    assert_eq!((report.blobs_uploaded, report.blobs_reused), (1, 0));
}

#[tokio::test]
async fn writes_each_tag_once() {
    let destination = Arc::new(MemoryRepository {
        immutable: true,
        ..Default::default()
    });
    let root = destination.add_image("linux/amd64", "layer");
    let (run, meter) = run(&destination);
    for _ in 0..2 {
        run.tag_as(&root, &[tag("1"), tag("1.0")]).await.unwrap();
    }
    assert_eq!(meter.report().tags_written, 2);

    let other = destination.add_image("linux/amd64", "other");
    let error = run.tag_as(&other, &[tag("1")]).await.unwrap_err();
    let conflict = std::error::Error::source(&error).unwrap().to_string();
    for digest in [root.digest(), other.digest()] {
        assert!(conflict.contains(&digest.to_string()), "{conflict}");
    }
    assert_eq!(destination.tag_names()["1"], *root.digest());
}

#[tokio::test]
async fn one_platform_is_its_own_manifest() {
    let source = MemoryRepository::default();
    let root = two_platforms(&source);
    let arm64 = select(&source, &root, &platforms(&["linux/arm64"]))
        .await
        .unwrap();
    let expected = source.add_image("linux/arm64", "arm64 layer");
    assert_eq!(arm64, expected);
    let same = select(&source, &arm64, &platforms(&["linux/arm64/v8"]))
        .await
        .unwrap();
    assert_eq!(same, arm64);
}

#[tokio::test]
async fn the_latest_version_of_an_operating_system_is_taken() {
    let source = MemoryRepository::default();
    let images = ["1", "2", "3"].map(|layer| source.add_image("windows/amd64", layer));
    let [old, late, twin] = &images;
    let index = index_of(&[
        ("windows(10.0.17763.9)/amd64", old),
        ("windows(10.0.17763.10)/amd64", late),
        ("windows(10.0.17763.10)/amd64", twin),
        ("windows(10.0.20348.1)/arm64", old),
    ]);
    let root = source.add_manifest(&MediaType::OCI_INDEX, &index);
    for (wanted, expected) in [
        ("windows/amd64", late),
        ("windows(10.0.17763)/amd64", late),
        ("windows(10.0.17763.9)/amd64", old),
    ] {
        let selected = select(&source, &root, &platforms(&[wanted])).await;
        assert_eq!(selected.unwrap(), *expected, "{wanted}");
    }
}

const TEXT: &str = "forty layers are forty beginnings of one text, each of its own length";

/// Copies an image of so many layers to a repository where each takes a tenth of a second, and
/// which asks for fewer requests at first, or does not. Returns the most blobs that were under way
/// at once after that.
async fn most_at_once(layers: usize, concurrency: Concurrency, throttled: bool) -> usize {
    let source = MemoryRepository::default();
    let layers: Vec<_> = (0..layers)
        .map(|layer| source.add_blob(MediaType::OCI_LAYER_GZIP, &TEXT[..=layer]))
        .collect();
    let config = source.add_blob(MediaType::OCI_CONFIG, "{}");
    let document = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let root = source.add_manifest(&MediaType::OCI_MANIFEST, &document);
    let destination = Arc::new(MemoryRepository {
        push_time: Some(Duration::from_millis(100)),
        ..MemoryRepository::default()
    });
    let options = Options {
        concurrency,
        ..Options::default()
    };
    let meter = Arc::new(Meter::default());
    let targets = vec![Target::new(destination.clone())];
    let run = Run::new(targets, options, Arc::clone(&meter));
    let throttling = async {
        if throttled {
            meter.tally().throttled();
            tokio::time::sleep(Duration::from_millis(150)).await;
            destination.forget_most_at_once();
        }
    };
    let (copied, ()) = tokio::join!(run.copy(&source, &root), throttling);
    copied.unwrap();
    destination.most_at_once()
}

#[tokio::test(start_paused = true)]
async fn no_more_blobs_are_under_way_than_allowed() {
    assert_eq!(most_at_once(8, Concurrency::fixed(3), false).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_asks_for_fewer_requests_gets_fewer_blobs_at_once() {
    let adaptive = Concurrency { start: 4, most: 16 };
    assert_eq!(most_at_once(40, adaptive, false).await, 16);
    assert_eq!(most_at_once(40, adaptive, true).await, 2);
}

#[tokio::test]
async fn some_platforms_are_a_new_index_with_their_attestations() {
    let source = MemoryRepository::default();
    let root = attested(&source);
    let entries = |manifest: &RawManifest| match manifest.parse().unwrap() {
        Manifest::Index(index) => index.manifests,
        other => panic!("an index was expected, not {other:?}"),
    };
    let old = entries(&root);

    let all = select(&source, &root, &Selection::default()).await.unwrap();
    assert_eq!(all, root);

    let both = select(&source, &root, &platforms(&["linux/arm64", "linux/amd64"]))
        .await
        .unwrap();
    assert_eq!(entries(&both), old);

    let images = Selection {
        drop_attestations: true,
        ..Selection::default()
    };
    let images = select(&source, &root, &images).await.unwrap();
    assert_eq!(entries(&images), old[..2]);

    let destination = Arc::new(MemoryRepository::default());
    copied_to(&source, &images, &destination).await;
    assert!(destination.has_manifest(images.digest()));
}

#[tokio::test]
async fn platforms_of_an_index_only_leave_a_single_image_as_it_is() {
    let source = MemoryRepository::default();
    let image = source.add_image("linux/arm64", "layer");
    let wanted = Selection {
        of_index_only: true,
        ..platforms(&["linux/amd64"])
    };
    assert_eq!(select(&source, &image, &wanted).await.unwrap(), image);
    let index = attested(&source);
    let one = select(&source, &index, &wanted).await.unwrap();
    assert!(matches!(one.parse().unwrap(), Manifest::Image(_)));
}

#[tokio::test]
async fn a_missing_platform_lists_what_there_is() {
    let source = MemoryRepository::default();
    let root = attested(&source);
    let error = select(&source, &root, &platforms(&["linux/s390x"]))
        .await
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "no image for linux/s390x; there is linux/amd64, linux/arm64"
    );
}

#[tokio::test]
async fn describes_an_image_and_an_index() {
    let source = MemoryRepository::default();
    let index = two_platforms(&source);
    let image = source.add_image("linux/amd64", "amd64 layer");
    let sizes = |manifest: &RawManifest| match manifest.parse().unwrap() {
        Manifest::Image(image) => (
            image.config.clone(),
            image.config.size + "shared layeramd64 layer".len() as u64,
        ),
        other => panic!("an image was expected, not {other:?}"),
    };
    let (config, size) = sizes(&image);
    let expected = Description {
        size,
        config: Some(config.digest),
        platforms: vec!["linux/amd64".parse().unwrap()],
        missing: Vec::new(),
    };
    assert_eq!(describe(&source, &image).await.unwrap(), expected);

    let all = describe(&source, &index).await.unwrap();
    assert_eq!(all.config, None);
    assert_eq!(
        all.platforms
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64/v8"]
    );
    assert_eq!(all.size, 2 * size - "shared layer".len() as u64);
}

#[tokio::test]
async fn schema_1_says_what_to_do() {
    let source = MemoryRepository::default();
    let root = source.add_manifest(
        &MediaType::DOCKER_SCHEMA1_SIGNED,
        &json!({"schemaVersion": 1}),
    );
    let error = select(&source, &root, &Selection::default())
        .await
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("schema 1"), "{cause}");
}

#[tokio::test]
async fn a_manifest_of_an_unknown_media_type_takes_along_what_it_names() {
    let source = MemoryRepository::default();
    let layer = source.add_blob("application/vnd.example.data".into(), "data");
    let config = source.add_blob("application/vnd.example.config".into(), "{}");
    let image = source.add_image("linux/amd64", "layer");
    let document = json!({
        "mediaType": "application/vnd.example.bundle+json",
        "config": config,
        "blobs": [layer],
        "layers": ["not a descriptor"],
        "manifests": [image.descriptor()],
    });
    let bundle = source.add_manifest(&"application/vnd.example.bundle+json".into(), &document);
    let root = index_of(&[("unknown/unknown", &bundle)]);
    let root = source.add_manifest(&MediaType::OCI_INDEX, &root);
    let destination = Arc::new(MemoryRepository::default());
    let selected = select(&source, &root, &Selection::default()).await.unwrap();
    let report = copied_to(&source, &selected, &destination).await;
    for manifest in [&root, &bundle, &image] {
        assert!(destination.has_manifest(manifest.digest()));
    }
    assert_eq!((report.manifests_pushed, report.blobs_uploaded), (3, 5));
    let described = describe(&source, &root).await.unwrap();
    assert_eq!(described, describe(&*destination, &root).await.unwrap());
    assert!(described.size > layer.size + config.size);
}

#[tokio::test]
async fn a_manifest_that_names_nothing_is_copied_as_it_stands() {
    let source = MemoryRepository::default();
    let document = json!({"anything": {"digest": 1}, "config": 7, "layers": {}});
    let root = source.add_manifest(&"application/vnd.example+json".into(), &document);
    let destination = Arc::new(MemoryRepository::default());
    copied_to(&source, &root, &destination).await;
    let copy = Source::manifest(&*destination, &root.descriptor()).await;
    assert_eq!(copy.unwrap(), root);

    let error = select(&source, &root, &platforms(&["linux/amd64"])).await;
    let cause = std::error::Error::source(&error.unwrap_err())
        .unwrap()
        .to_string();
    assert_eq!(cause, "no image for linux/amd64; there is none");
}

#[tokio::test]
async fn platforms_are_chosen_from_a_list_of_an_unknown_media_type() {
    let source = MemoryRepository::default();
    let data = source.add_blob("application/vnd.example.data".into(), "data");
    let amd64 = source.add_image("linux/amd64", "amd64");
    let arm64 = source.add_image("linux/arm64", "arm64");
    let mut document = index_of(&[("linux/amd64", &amd64), ("linux/arm64", &arm64)]);
    document["artifactType"] = json!("application/vnd.example.set");
    document["manifests"]
        .as_array_mut()
        .unwrap()
        .push(json!(data));
    let media_type = "application/vnd.example.set+json".into();
    let root = source.add_manifest(&media_type, &document);

    let one = select(&source, &root, &platforms(&["linux/arm64"])).await;
    assert_eq!(one.unwrap().digest(), arm64.digest());

    let both = platforms(&["linux/arm64", "linux/amd64"]);
    let both = select(&source, &root, &both).await.unwrap();
    let entries = both.parse().unwrap();
    let entries: Vec<_> = entries
        .entries()
        .iter()
        .map(|entry| &entry.digest)
        .collect();
    assert_eq!(entries, [amd64.digest(), arm64.digest()]);
    assert_eq!(*both.media_type(), media_type);

    let error = select(&source, &root, &platforms(&["linux/s390x"])).await;
    let cause = std::error::Error::source(&error.unwrap_err())
        .unwrap()
        .to_string();
    let expected = "no image for linux/s390x; there is linux/amd64, linux/arm64";
    assert_eq!(cause, expected);
}

#[tokio::test]
async fn what_is_no_json_is_no_manifest() {
    let source = MemoryRepository::default();
    let page = RawManifest::new(&"text/html".into(), "<html>Sign in</html>".into());
    let error = select(&source, &page, &Selection::default())
        .await
        .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains(r#"of media type "text/html" is malformed"#),
        "{cause}"
    );
}

#[tokio::test]
async fn a_build_cache_is_an_index_of_blobs() {
    let source = MemoryRepository::default();
    let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, "layer");
    let config = source.add_blob("application/vnd.buildkit.cacheconfig.v0".into(), "{}");
    let document = json!({"schemaVersion": 2, "manifests": [layer, config, layer]});
    let root = source.add_manifest(&MediaType::OCI_INDEX, &document);
    let destination = Arc::new(MemoryRepository::default());
    let report = copied_to(&source, &root, &destination).await;
    assert_eq!((report.manifests_pushed, report.blobs_uploaded), (1, 2));
    let described = describe(&source, &root).await.unwrap();
    assert_eq!(described.size, layer.size + config.size);
    let run = run(&destination).0;
    run.copy_referrers(&source, &root).await.unwrap();
}

#[tokio::test]
async fn referrers_follow_their_image() {
    let source = MemoryRepository::default();
    let root = two_platforms(&source);
    let empty = source.add_blob(MediaType::OCI_EMPTY, "{}");
    let about = |subject: &RawManifest| {
        let document = json!({"schemaVersion": 2, "config": empty, "layers": [], "subject": subject.descriptor()});
        source.add_manifest(&MediaType::OCI_MANIFEST, &document)
    };
    let sbom = about(&root);
    let signature = about(&sbom);
    let cosign = source.add_image("linux/amd64", "cosign");
    let name = format!("sha256-{}.sig", root.digest().hex());
    source.add_tag(&name, &cosign);

    let destination = Arc::new(MemoryRepository::default());
    let (run, _) = run(&destination);
    run.copy(&source, &root).await.unwrap();
    run.copy_referrers(&source, &root).await.unwrap();

    for referrer in [&sbom, &signature, &cosign] {
        assert!(destination.has_manifest(referrer.digest()));
    }
    assert_eq!(destination.tag_names()[&name], *cosign.digest());
}

/// An image without a manifest. Its layers are passed as they are.
fn unbuilt(layers: &[&'static str]) -> UnbuiltImage {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| Digest::sha256(layer.as_bytes()))
        .collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}});
    let layer = |(position, text): (usize, &&'static str)| UnbuiltLayer {
        diff_id: diff_ids[position].clone(),
        opener: Arc::new(MemoryOpener::new(
            MediaType::DOCKER_LAYER_GZIP,
            Bytes::from(*text),
        )),
    };
    UnbuiltImage {
        config: config.to_string().into(),
        layers: layers.iter().enumerate().map(layer).collect(),
        order: None,
        tags: Vec::new(),
    }
}

#[tokio::test]
async fn builds_a_manifest_always_the_same() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let destination = Arc::new(MemoryRepository::default());
        let (run, meter) = run(&destination);
        let image = unbuilt(&["a", "b", "a"]);
        let manifest = run.assemble(&image, &KnownLayers::default()).await.unwrap();
        assert_eq!(*manifest.media_type(), MediaType::DOCKER_MANIFEST);
        let parsed: ImageManifest = serde_json::from_slice(manifest.bytes()).unwrap();
        assert_eq!(parsed.layers.len(), 3);
        assert_eq!(parsed.layers[0], parsed.layers[2]);
        assert_eq!(
            meter.report().blobs_uploaded,
            3,
            "two layers and the config"
        );
        digests.push(manifest.digest().clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn reads_only_layers_that_changed() {
    let destination = Arc::new(MemoryRepository::default());
    let (first, _) = run(&destination);
    let old = first
        .assemble(&unbuilt(&["a", "b"]), &KnownLayers::default())
        .await
        .unwrap();
    first.tag_as(&old, &[tag("1")]).await.unwrap();

    let mut known = KnownLayers::default();
    known.learn(&destination, ManifestKey::Tag(&tag("1"))).await;
    known
        .learn(&destination, ManifestKey::Tag(&tag("absent")))
        .await;
    let config = Digest::sha256(&unbuilt(&["a", "b"]).config);
    let (_, known_image) = known.image_of(&first, &config).unwrap();
    assert_eq!(known_image, &old);
    known.read_configs().await;

    let before = destination.log().len();
    let (second, meter) = run(&destination);
    second
        .assemble(&unbuilt(&["a", "c"]), &known)
        .await
        .unwrap();
    let pushed = &destination.log()[before..];
    assert_eq!(pushed[0], "blob c");
    assert_eq!(meter.report().blobs_reused, 1);
    assert_eq!(meter.report().blobs_uploaded, 2, "one layer and the config");
}

#[tokio::test]
async fn takes_up_what_a_stopped_run_has_stored() {
    let image = unbuilt(&["a", "b"]);
    let destination = Arc::new(MemoryRepository::default());
    let (first, meter) = run(&destination);
    let whole = first.assemble(&image, &KnownLayers::default()).await;
    let checkpoint = meter.checkpoint();
    assert_eq!(checkpoint.layers.len(), 2);
    let handed_on = serde_json::to_string(&checkpoint).unwrap();
    let checkpoint: Checkpoint = serde_json::from_str(&handed_on).unwrap();

    let before = destination.log().len();
    let mut known = KnownLayers::default();
    known.resume(&destination, &checkpoint);
    let (second, meter) = run(&destination);
    let taken_up = second.assemble(&image, &known).await;
    assert_eq!(taken_up.unwrap(), whole.unwrap());
    assert!(
        !destination.log()[before..]
            .iter()
            .any(|push| push.starts_with("blob"))
    );
    assert_eq!(meter.report().blobs_reused, 3, "two layers and the config");
}
