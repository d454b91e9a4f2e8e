//! `longshore delete`: a tag alone, or an image with all its tags.

use std::process::{Command, Output, Stdio};

use longshore::local::{EnvironmentOptions, Registry, RegistryOptions};
use longshore::oci::{Digest, MediaType, RawManifest};
use serde_json::{Value, json};

use crate::support::{Archive, Bench, HOST, Images, image, stderr};

fn run(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    let variables = bench.environment.variables();
    command.arg("delete").args(arguments).env_clear();
    command.envs(variables).stdin(Stdio::null());
    command.output().unwrap()
}

fn done(bench: &Bench, arguments: &[&str]) -> String {
    let run = run(bench, arguments);
    assert!(run.status.success(), "{arguments:?}: {}", stderr(&run));
    String::from_utf8(run.stdout).unwrap()
}

fn tags(bench: &Bench, repository: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    let variables = bench.environment.variables();
    command.args(["tags", repository]).env_clear();
    let run = command.envs(variables).output().unwrap();
    String::from_utf8(run.stdout).unwrap()
}

/// An image with these tags in ECR's `app`.
async fn deployed(bench: &Bench, tags: &[&str]) -> Digest {
    let staged = bench.stage("app.tar", &Archive::of(&[b"one"]).tar());
    let mut digest = None;
    for tag in tags {
        let (deployed, _) = bench.deploy(&image(&staged, &format!("app:{tag}"))).await;
        digest = Some(deployed.digest);
    }
    digest.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ecr_a_tag_goes_and_the_image_stays_until_its_last() {
    let bench = Bench::new().await;
    let digest = deployed(&bench, &["1", "2"]).await;
    let (one, two) = (format!("{HOST}/app:1"), format!("{HOST}/app:2"));
    let planned = done(&bench, &["--dry-run", &one]);
    assert_eq!(
        planned,
        format!("to be deleted: {one}; the image {digest} stays as 2\n")
    );
    assert_eq!(tags(&bench, &format!("{HOST}/app")), "1\n2\n");

    done(&bench, &["--yes", &one]);
    assert_eq!(tags(&bench, &format!("{HOST}/app")), "2\n");
    let last = done(&bench, &["--yes", "--json", &two]);
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        last,
        json!({
            "name": two, "digest": digest, "tag": "2", "otherTags": [],
            "manifestDeleted": true, "dryRun": false,
        })
    );
    let gone = run(&bench, &["--yes", &format!("{HOST}/app@{digest}")]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        stderr(&gone).contains("there is no image"),
        "{}",
        stderr(&gone)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn by_its_digest_an_image_goes_with_all_its_tags() {
    let bench = Bench::new().await;
    let digest = deployed(&bench, &["1", "2"]).await;
    let by_digest = format!("{HOST}/app@{digest}");
    assert_eq!(
        done(&bench, &["--yes", &by_digest]),
        format!("deleted: {by_digest}, with its tags 1, 2\n")
    );
    assert_eq!(tags(&bench, &format!("{HOST}/app")), "");

    // The same by the distribution specification's API.
    let digest = deployed(&bench, &["1", "2"]).await;
    let registry = bench.environment.registry.address();
    let elsewhere = format!("{registry}/app");
    let planned = done(&bench, &["--dry-run", &format!("{elsewhere}@{digest}")]);
    assert!(planned.ends_with(", with its tags 1, 2\n"), "{planned}");
    let one = done(&bench, &["--yes", &format!("{elsewhere}:1")]);
    assert_eq!(
        one,
        format!("deleted: {elsewhere}:1; the image {digest} stays\n")
    );
    assert_eq!(tags(&bench, &elsewhere), "2\n");
    done(&bench, &["--yes", &format!("{elsewhere}@{digest}")]);
    assert_eq!(tags(&bench, &elsewhere), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_needs_stays_and_so_does_what_it_lists() {
    let bench = Bench::new().await;
    let images = Images::at(bench.environment.registry.address(), "app");
    let layer = images.blob(MediaType::OCI_LAYER, "layer").await;
    let single: RawManifest = images.image("linux/amd64", &[&layer]).await;
    let mut entry = single.descriptor();
    entry.platform = Some("linux/amd64".parse().unwrap());
    let document = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [entry],
    });
    let index = images.manifest(MediaType::OCI_INDEX, &document).await;
    images.tag("1", &index).await;

    let of_single = format!("{HOST}/app@{}", entry.digest);
    let refused = run(&bench, &["--yes", &of_single]);
    assert!(
        stderr(&refused).contains("an index in the repository still names it"),
        "{}",
        stderr(&refused)
    );
    let shown = done(
        &bench,
        &["--yes", &format!("{HOST}/app@{}", index.digest())],
    );
    assert!(
        shown.contains("the images that the index lists stay"),
        "{shown}"
    );
    done(&bench, &["--yes", &of_single]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_unasked() {
    let bench = Bench::new().await;
    deployed(&bench, &["1"]).await;
    bench.environment.registry.reset();
    let refused = run(&bench, &[&format!("{HOST}/app:1")]);
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    assert!(
        told.contains("--yes") && told.contains("--dry-run"),
        "{told}"
    );
    assert!(bench.registry_requests().is_empty());

    for (name, part) in [
        (format!("{HOST}/app"), "neither a tag nor a digest"),
        ("app:1".to_owned(), "names no registry"),
        ("oci:layout".to_owned(), "only images of registries"),
        (
            format!("{HOST}/app:1@sha256:{}", "0".repeat(64)),
            "a tag and a digest, of which one",
        ),
    ] {
        let refused = run(&bench, &["--yes", &name]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(
            stderr(&refused).contains(part),
            "{name}: {}",
            stderr(&refused)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_deletes_nothing_is_told() {
    let bench = Bench::with(EnvironmentOptions::default()).await;
    let options = RegistryOptions {
        deletes: false,
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await.unwrap();
    let images = Images::at(registry.address(), "app");
    let layer = images.blob(MediaType::OCI_LAYER, "layer").await;
    let single = images.image("linux/amd64", &[&layer]).await;
    images.tag("1", &single).await;
    let (name, digest) = (format!("{}/app", registry.address()), single.digest());
    let refused = run(&bench, &["--yes", &format!("{name}:1")]);
    let told = stderr(&refused);
    assert!(told.contains("removes no single tag"), "{told}");
    assert!(
        told.contains(&format!("{name}@{digest} removes the image")),
        "{told}"
    );
    let refused = run(&bench, &["--yes", &format!("{name}@{digest}")]);
    assert!(
        stderr(&refused).contains("removes no images by its API"),
        "{}",
        stderr(&refused)
    );
}
