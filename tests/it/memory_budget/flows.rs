//! Blobs on their way: many at once, to many destinations, some of which are slow.

use std::num::NonZeroU64;
use std::process::Output;

use longshore::local::{BucketOptions, Environment, EnvironmentOptions, Fault, RegistryOptions};
use longshore::oci::MediaType;

use super::{MEBIBYTES, ended, within};
use crate::support::{Archive, Images};

const MEBIBYTE: usize = 1 << 20;

/// Bytes that differ by number, and that no compression makes shorter.
fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// A registry and a bucket that everyone may read.
async fn environment(registry: RegistryOptions) -> (Environment, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = EnvironmentOptions {
        registry,
        bucket: BucketOptions {
            anonymous: true,
            ..BucketOptions::folder("images", folder.path())
        },
        ..EnvironmentOptions::default()
    };
    (Environment::start(options).await.unwrap(), folder)
}

fn pace(mebibytes: u64) -> Fault {
    Fault::pace(NonZeroU64::new(mebibytes << 20).unwrap()).times(u32::MAX)
}

/// An image of layers of so many MiB in the repository `source` of a registry.
async fn image(environment: &Environment, layers: &[usize]) {
    let images = Images::at(environment.registry.address(), "source");
    let mut descriptors = Vec::new();
    for (number, length) in layers.iter().enumerate() {
        let layer = noise(number as u64, length * MEBIBYTE);
        descriptors.push(images.blob(MediaType::OCI_LAYER_GZIP, layer).await);
    }
    let descriptors: Vec<_> = descriptors.iter().collect();
    let image = images.image("linux/amd64", &descriptors).await;
    images.tag("1", &image).await;
}

/// Copies `source` to so many repositories of the registry at `to`.
async fn copied(source: &str, from: &Environment, to: &Environment, destinations: usize) -> Output {
    let mut arguments = [
        "copy",
        "--concurrency",
        "32",
        "--compression",
        "none",
        source,
    ]
    .map(str::to_owned)
    .to_vec();
    for number in 0..destinations {
        arguments.extend(["--to".to_owned(), format!("mirror.example/app{number}:1")]);
    }
    let registries = format!(
        "source.example={},mirror.example={}",
        from.registry.base_url(),
        to.registry.base_url()
    );
    let variables = [
        ("LONGSHORE_REGISTRY_OVERRIDE", registries),
        ("LONGSHORE_ALLOW_LOOPBACK", "1".to_owned()),
    ];
    let run = move || within(MEBIBYTES, &arguments, &variables);
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[track_caller]
fn succeeded(what: &str, run: &Output) {
    let said = ended(what, run);
    assert!(run.status.success(), "{what}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn archives_are_read_ahead_within_bounds() {
    let (environment, folder) = environment(RegistryOptions::default()).await;
    let files: Vec<_> = (0..40).map(|number| noise(number, 6 * MEBIBYTE)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    std::fs::write(folder.path().join("app.tar"), Archive::of(&files).tar()).unwrap();
    environment
        .registry
        .faults()
        .add(pace(4).at("/blobs/uploads/"));
    let source = format!("{}/images/app.tar", environment.bucket.base_url());
    let run = copied(&source, &environment, &environment, 1).await;
    succeeded("many layers of a web server", &run);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn large_blobs_are_read_ahead_within_bounds() {
    let (from, _bucket) = environment(RegistryOptions::default()).await;
    let (to, _other) = environment(RegistryOptions::default()).await;
    image(&from, &[65, 66]).await;
    from.registry.faults().add(pace(24).on("GET", "/blobs/"));
    let run = copied("source.example/source:1", &from, &to, 1).await;
    succeeded("large blobs", &run);
    let requests = from.registry.requests();
    let ranges = requests.iter().filter(|request| request.range.is_some());
    assert!(ranges.count() > 10, "the large blobs are read by ranges");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn slow_destinations_hold_up_within_bounds() {
    let (from, _bucket) = environment(RegistryOptions::default()).await;
    let (to, _other) = environment(RegistryOptions::default()).await;
    image(&from, &[4; 12]).await;
    to.registry.faults().add(pace(4).at("/blobs/uploads/"));
    let run = copied("source.example/source:1", &from, &to, 16).await;
    succeeded("slow destinations", &run);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn chunks_for_many_destinations_take_turns() {
    let demanding = RegistryOptions {
        max_chunk: Some(16 << 20),
        min_chunk: Some(16 << 20),
        announce_min_chunk: true,
        ..RegistryOptions::default()
    };
    let small = RegistryOptions {
        max_chunk: Some(8 << 20),
        ..RegistryOptions::default()
    };
    for (what, options, layers) in [("large", demanding, [17; 2]), ("small", small, [20; 2])] {
        let (from, _bucket) = environment(RegistryOptions::default()).await;
        let (to, _other) = environment(options).await;
        image(&from, &layers).await;
        let run = copied("source.example/source:1", &from, &to, 16).await;
        succeeded(what, &run);
    }
}
