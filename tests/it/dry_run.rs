//! A dry run says what the run does, and writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore::copy::{Meter, Report};
use longshore::deploy::{Deployer, Image, Preview, Referrers, Target};
use longshore::local::{EnvironmentOptions, Mounts, RegistryOptions};
use longshore::oci::{MediaType, RawManifest, Reference};
use serde_json::json;

use crate::support::{Archive, Bench, HOST, Images, image};

/// Stand-ins whose registry mounts nothing, so that what is lacking is what is sent.
async fn bench() -> Bench {
    let registry = RegistryOptions {
        mounts: Mounts::Never,
        ..RegistryOptions::default()
    };
    let options = EnvironmentOptions {
        registry,
        ..EnvironmentOptions::default()
    };
    Bench::with(options).await
}

/// An index of two images that share a layer, with a note about it.
async fn index(bench: &Bench) -> RawManifest {
    let images = Images::at(bench.environment.registry.address(), "origin");
    let shared = images.blob(MediaType::OCI_LAYER, "shared").await;
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let own = images.blob(MediaType::OCI_LAYER, architecture).await;
        let platform = format!("linux/{architecture}");
        let image = images.image(&platform, &[&shared, &own]).await;
        let mut entry = image.descriptor();
        entry.platform = Some(platform.parse().unwrap());
        entries.push(entry);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": entries,
    });
    let index = images.manifest(MediaType::OCI_INDEX, &index).await;
    images.tag("1", &index).await;
    images.about(&index, "a note").await;
    index
}

async fn preview(deployer: &Deployer, image: &Image) -> Preview {
    deployer.preview(image, &Arc::default()).await.unwrap()
}

/// The requests that may have changed something.
fn writes(bench: &Bench) -> Vec<String> {
    let requests = bench.environment.registry.requests().into_iter();
    requests
        .filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()))
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

/// Rehearses a deployment and then does it: both tell the same.
async fn rehearsed(bench: &Bench, image: &Image) -> (Preview, Report) {
    let before = writes(bench);
    let preview = preview(&bench.deployer, image).await;
    assert_eq!(writes(bench), before);
    let meter = Arc::new(Meter::default());
    let deployed = bench.deployer.run(image, &meter).await.unwrap();
    let report = meter.report();
    let sum = |of: fn(&longshore::copy::Changes) -> u64| -> u64 {
        let destinations = preview.destinations.iter();
        destinations
            .map(|destination| of(&destination.changes))
            .sum()
    };
    if let Some(digest) = &preview.digest {
        assert_eq!(deployed.digest, *digest);
        assert_eq!(report.blobs_uploaded, sum(|changes| changes.blobs));
        assert_eq!(report.bytes_uploaded, sum(|changes| changes.bytes));
        assert_eq!(report.manifests_pushed, sum(|changes| changes.manifests));
    } else {
        let known = sum(|changes| changes.blobs);
        assert_eq!(report.blobs_uploaded, known + preview.layers);
    }
    assert_eq!(
        report.tags_written,
        sum(|changes| changes.tags.len() as u64)
    );
    (preview, report)
}

#[tokio::test]
async fn a_rehearsal_tells_what_a_copy_between_registries_does() {
    let bench = bench().await;
    let index = index(&bench).await;
    let source = format!("{HOST}/origin:1");
    let amd64 = Image {
        platforms: Some(vec!["linux/amd64".parse().unwrap()]),
        ..image(&source, "copy:amd64")
    };
    rehearsed(&bench, &amd64).await;
    // The one layer, its config and its manifest are there now.
    let all = Image {
        referrers: Referrers::Copy,
        ..image(&source, "copy:all")
    };
    let (of_all, _) = rehearsed(&bench, &all).await;
    let [copy] = &of_all.destinations[..] else {
        panic!("{of_all:?}");
    };
    assert_eq!(of_all.digest.as_ref(), Some(index.digest()));
    // One layer and one config, and both of the note.
    assert_eq!(copy.changes.blobs, 4);
    assert_eq!(copy.changes.manifests, 3);
    assert!(preview(&bench.deployer, &all).await.is_empty());

    let moved = image(&source, "copy:amd64");
    let (of_moved, _) = rehearsed(&bench, &moved).await;
    let [tag] = &of_moved.destinations[0].changes.tags[..] else {
        panic!("{of_moved:?}");
    };
    assert!(tag.present.is_some());
}

#[tokio::test]
async fn a_rehearsal_tells_which_layers_of_an_archive_are_there() {
    let bench = bench().await;
    let of = |layers: &[&[u8]]| Archive::of(layers).tar();
    let first = bench.stage("first.tar", &of(&[b"one", b"two"]));
    let (preview_of_first, _) = rehearsed(&bench, &image(&first, "app:1")).await;
    assert_eq!(
        (preview_of_first.layers, &preview_of_first.digest),
        (2, &None)
    );
    assert!(
        preview(&bench.deployer, &image(&first, "app:1"))
            .await
            .is_empty()
    );

    let second = bench.stage("second.tar", &of(&[b"one", b"three"]));
    let (preview_of_second, _) = rehearsed(&bench, &image(&second, "app:1")).await;
    assert_eq!(preview_of_second.layers, 1);
    let [app] = &preview_of_second.destinations[..] else {
        panic!("{preview_of_second:?}");
    };
    // Its config.
    assert_eq!(app.changes.blobs, 1);
    assert!(app.changes.tags[0].present.is_some());
}

#[tokio::test]
async fn a_rehearsal_leaves_files_as_they_are() {
    let bench = bench().await;
    index(&bench).await;
    let folder = tempfile::tempdir().unwrap();
    let source = format!("{HOST}/origin:1");
    let to = |place: &str, append: bool| {
        let mut file: longshore::deploy::ImageFile = place.parse().unwrap();
        file.append = append;
        Image {
            files: vec![file],
            ..Image::of(source.parse().unwrap())
        }
    };
    let layout = format!("oci:{}/layout:1", folder.path().display());
    let archive = format!("oci-archive:{}/a.tar:app:1", folder.path().display());
    for place in [&layout, &archive] {
        let (found, _) = rehearsed(&bench, &to(place, false)).await;
        assert!(place.starts_with(&found.destinations[0].name), "{found:?}");
    }
    let before = content(folder.path());
    let other = format!("oci-archive:{}/a.tar:app:2", folder.path().display());
    let found = preview(&bench.deployer, &to(&other, true)).await;
    // The blobs are in the archive that is added to.
    assert_eq!(found.destinations[0].changes.blobs, 0);
    let found = preview(&bench.deployer, &to(&other, false)).await;
    assert_eq!(found.destinations[0].changes.blobs, 5);
    assert_eq!(content(folder.path()), before);
}

/// The files of a folder, with their sizes.
fn content(folder: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let size = path.metadata().unwrap().len();
            found.insert((path.display().to_string(), size));
        }
    }
    found
}

#[tokio::test]
async fn a_repository_that_is_missing_is_told() {
    let bench = bench().await;
    index(&bench).await;
    let target = |name: &str| -> Target {
        let reference: Reference = format!("{HOST}/{name}").parse().unwrap();
        Target::of(&reference)
    };
    let image = Image {
        targets: vec![target("new:1"), target("origin:2")],
        ..image(&format!("{HOST}/origin:1"), "new:1")
    };
    let found = preview(&bench.deployer, &image).await;
    let missing = found.destinations.iter();
    let missing: Vec<bool> = missing.map(|destination| destination.is_missing).collect();
    assert_eq!(missing, [true, false]);
}
